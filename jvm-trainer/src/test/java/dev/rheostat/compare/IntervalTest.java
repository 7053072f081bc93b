package dev.rheostat.compare;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rheostat.ado.fit.StudentT;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class IntervalTest {
    /** Two-sided 95 % and 99 %, as printed in tables of the t distribution to five digits. */
    @ParameterizedTest
    @CsvSource({
        "0.95, 1, 12.7062", "0.95, 2, 4.30265", "0.95, 3, 3.18245", "0.95, 4, 2.77645", "0.95, 5, 2.57058",
        "0.95, 9, 2.26216", "0.95, 10, 2.22814", "0.95, 30, 2.04227", "0.95, 120, 1.97993", "0.99, 1, 63.6567",
        "0.99, 2, 9.92484", "0.99, 7, 3.49948"
    })
    void quantilesAreThoseOfTheTables(double part, int freedom, double expected) {
        assertEquals(expected, StudentT.quantile(part, freedom), 1e-5 * expected);
    }

    @Test
    void theCentralPartOfTwoDegreesIsItsClosedForm() {
        // n = 2: P(|T| <= t) = t / sqrt(2 + t^2).
        for (double t : new double[] {0.1, 1, 4.3, 50})
            assertEquals(t / Math.sqrt(2 + t * t), StudentT.central(t, 2), 1e-15);
    }

    @Test
    void anIntervalIsWorkedOutByHand() {
        // 1, 2, 4: mean 7/3, squares 16/9 + 1/9 + 25/9 = 42/9, s = sqrt(21/9), s / sqrt(3) = sqrt(7)/3.
        Interval interval = Interval.of(new double[] {1, 2, 4});
        assertEquals(7 / 3.0, interval.mean(), 1e-15);
        assertEquals(4.302652730 * Math.sqrt(7) / 3, interval.halfWidth(), 1e-8);
        assertEquals(3, interval.values());
        assertFalse(interval.excludesZero());
    }

    @Test
    void equalValuesHaveNoWidthAndOneValueHasNoInterval() {
        Interval equal = Interval.of(new double[] {-0.5, -0.5});
        assertEquals(0, equal.halfWidth());
        assertTrue(equal.excludesZero());
        Interval one = Interval.of(new double[] {-0.5});
        assertFalse(one.exists());
        assertFalse(one.excludesZero());
        assertThrows(IllegalArgumentException.class, () -> Interval.of(new double[0]));
    }

    @Test
    void intervalsThatTouchOverlap() {
        Interval zero = new Interval(0, 0, 3), wide = new Interval(2, 1.5, 3), other = new Interval(4, 0.5, 3);
        assertTrue(wide.overlaps(other));
        assertTrue(other.overlaps(wide));
        assertFalse(wide.overlaps(zero));
        assertFalse(zero.overlaps(other));
        assertTrue(zero.overlaps(zero));
    }
}
