package dev.rheostat.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class NormalTest {
    /** Quantiles to the digits of printed tables (Abramowitz and Stegun 26.5), and one in each region of the algorithm. */
    @ParameterizedTest
    @CsvSource({
        "0.5,0",
        "0.975,1.959963984540054",
        "0.025,-1.959963984540054",
        "0.9986501019683699,3",
        "0.022750131948179209,-2",
        "1e-20,-9.262340089798408"
    })
    void quantilesAreTheTables(double p, double quantile) {
        assertEquals(quantile, Normal.quantile(p), 1e-13 * Math.max(1, Math.abs(quantile)));
    }

    @Test
    void truncatedStaysWithinTwoDeviationsAndHasTheirMoments() {
        int n = 100_000;
        double square = 0, sum = 0, most = 0;
        for (int i = 0; i < n; i++) {
            double z = Normal.truncated((i + 0.5) / n);
            sum += z;
            square += z * z;
            most = Math.max(most, Math.abs(z));
        }
        assertTrue(most <= 2 && most > 1.999, () -> "range");
        assertEquals(0, sum / n, 1e-12);
        // var = 1 - 2*2*phi(2)/(2*Phi(2)-1) = 0.7737413; midpoints of n cells are off by far less than 1e-4
        assertEquals(0.7737413, square / n, 1e-4);
    }

    @Test
    void countersGiveUniformNumbersThatDependOnSeedNameAndIndex() {
        int n = 100_000;
        long key = CounterRandom.key(7, "layers.0.mlp.in.weight");
        double sum = 0, square = 0, lag = 0, previous = 0.5;
        for (int i = 0; i < n; i++) {
            double u = CounterRandom.uniform(key, i);
            sum += u;
            square += (u - 0.5) * (u - 0.5);
            lag += (u - 0.5) * (previous - 0.5);
            previous = u;
        }
        // Standard errors: sqrt(1/12/n) = 9e-4, sqrt(1/180/n) = 2.4e-4, 1/12/sqrt(n) = 2.6e-4; five of each.
        assertEquals(0.5, sum / n, 4.6e-3);
        assertEquals(1 / 12.0, square / n, 1.2e-3);
        assertEquals(0, lag / n, 1.3e-3);
        assertTrue(key != CounterRandom.key(8, "layers.0.mlp.in.weight"));
        assertTrue(key != CounterRandom.key(7, "layers.1.mlp.in.weight"));
    }
}
