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
     * warm-up, which counts in the exploration. The numbers are of a separate program of the equations in plain exponentials.
     */
    @ParameterizedTest
    @CsvSource({
        "released, .9, .241335326314, .381370705474, .377293968211",
        "released, .5, .241203514160, .370375897291, .388420588549",
        "published, .9, .313753116239, .340682953966, .345563929795",
        "published, .5, .312109286172, .341933005409, .345957708419"
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

    /** The floor of a run may draw a domain of which the policy wants nothing. */
    @Test
    void aDomainWithoutAPriorMayBeDrawn() {
        MixturePolicy policy = Policies.create(
                "odm",
                "published",
                Policies.settings("odm", "published", 100),
                PolicyInputs.of(List.of("a", "b"), new double[] {1, 0}, 8, 100));
        PolicyState state = policy.initial();
        long[] drawn_K = {7, 1};
        for (int t = 0; t < 9; t++)
            state = policy.observe(state, new Observation(t, 1e-3, drawn_K, drawn_K, new double[] {2, 3}));
        assertEquals(1, Simplex.sum(policy.mixture(state)), 1e-12);
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
