package dev.rheostat.ado;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class OdmPolicyTest {
    private static final double[] PRIOR_K = {.5, .3, .2};

    private static MixturePolicy policy(String mode, double memory, long startStep) {
        PolicySettings settings =
                Policies.settings("odm", mode, 100).with(Map.of("memory", memory, "startStep", (double) startStep));
        return Policies.create("odm", mode, settings, PolicyInputs.of(List.of("a", "b", "c"), PRIOR_K, 8, 100));
    }

    /**
     * Forty updates of losses (2 - .01 t, 3 - .02 t, 2.5 - .005 t), the second domain absent from odd ones, after a step of
     * warm-up. The numbers are of a separate program of the equations in plain exponentials.
     */
    @ParameterizedTest
    @CsvSource({
        "released, .9, .241787587069, .381134554509, .377077858422",
        "released, .5, .241656422901, .370193796629, .388149780470",
        "published, .9, .313655967279, .340703675230, .345640357492",
        "published, .5, .311997081741, .341975076992, .346027841266"
    })
    void mixturesAreThoseOfTheEquations(String mode, double memory, double a, double b, double c) {
        MixturePolicy policy = policy(mode, memory, 1);
        PolicyState state = policy.initial();
        for (int t = 0; t <= 40; t++) {
            long[] sequences_K = {4, t % 2 == 0 ? 3 : 0, 1};
            double[] loss_K = {2 - .01 * t, t % 2 == 0 ? 3 - .02 * t : Double.NaN, 2.5 - .005 * t};
            state = policy.observe(state, new Observation(t, 1e-3, sequences_K, sequences_K, loss_K));
            if (t == 0) assertArrayEquals(PRIOR_K, policy.mixture(state), "still warming up");
        }
        assertArrayEquals(new double[] {a, b, c}, policy.mixture(state), 1e-11);
    }

    @Test
    void aHugeLossOverflowsNothing() {
        MixturePolicy policy = policy("released", .9, 0);
        PolicyState state = policy.initial();
        long[] one_K = {1, 1, 1};
        for (int t = 0; t < 200; t++)
            state = policy.observe(state, new Observation(t, 1e-3, one_K, one_K, new double[] {2000, 1999, 3}));
        double[] share_K = policy.mixture(state);
        double epsilon = Math.sqrt(Math.log(3) / (3 * 200)), odds = Math.E / (1 + Math.E);
        assertEquals((1 - 3 * epsilon) * odds + epsilon, share_K[0], 1e-9);
        assertEquals(epsilon, share_K[2], 1e-9);
    }
}
