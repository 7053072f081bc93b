package dev.rheostat.ado.testbed;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** The bed's known answers, against numbers that an independent implementation computed and against the conditions of a minimum. */
class OptimumTest {
    private static final World A = Worlds.a(Worlds.SEQUENCES, Worlds.STEPS),
            B = Worlds.b(Worlds.SEQUENCES, Worlds.STEPS);

    private static double regret(World world, double... share_K) {
        double[] seen_K = share_K.clone();
        for (int k = 0; k < seen_K.length; k++) seen_K[k] *= world.total();
        return world.objective(seen_K) - Optimum.of(world).objectiveNats();
    }

    /** J*, and what the natural and the uniform mixture lose; nats. */
    static Stream<Arguments> computedElsewhere() {
        return Stream.of(
                Arguments.of(A, 2.10707, .00492, .00478),
                Arguments.of(B, 2.33314, .0141, .0131),
                Arguments.of(Worlds.transfer(B, 0.1), 2.32041, .0110, Double.NaN),
                Arguments.of(Worlds.transfer(B, 0.5), 2.29691, .0055, Double.NaN),
                Arguments.of(Worlds.hub(B), 2.29274, .0218, Double.NaN));
    }

    @ParameterizedTest
    @MethodSource("computedElsewhere")
    void optimaAreTheOnesComputedElsewhere(World world, double objective, double natural, double uniform) {
        assertEquals(objective, Optimum.of(world).objectiveNats(), 1e-5);
        assertEquals(natural, regret(world, .4, .3, .2, .1), 6e-5); // given with three digits
        if (!Double.isNaN(uniform)) assertEquals(uniform, regret(world, .25, .25, .25, .25), 6e-5);
    }

    @Test
    void bestSharesAreTheOnesComputedElsewhere() {
        assertArrayEquals(new double[] {.227, .309, .386, .078}, Optimum.of(A).share_K(), 6e-4);
        assertArrayEquals(new double[] {.499, .119, .098, .285}, Optimum.of(B).share_K(), 6e-4);
    }

    @ParameterizedTest
    @MethodSource("computedElsewhere")
    void theBarrierAgreesWithTheClosedFormWhereThereIsOne(World world) {
        if (!world.name().equals("A") && !world.name().equals("B")) return;
        Optimum barrier = Optimum.of(world), closed = Optimum.independent(world);
        assertEquals(closed.objectiveNats(), barrier.objectiveNats(), 1e-11);
        assertArrayEquals(closed.share_K(), barrier.share_K(), 1e-6);
    }

    static Stream<World> worlds() {
        return Worlds.all(64, 3000).stream();
    }

    /** Karush, Kuhn and Tucker: a share above 0 earns the common marginal value, none earns more. */
    @ParameterizedTest
    @MethodSource("worlds")
    void everyOptimumSatisfiesTheConditionsOfAMinimum(World world) {
        Optimum best = Optimum.of(world);
        double[] seen_K = best.share_K().clone();
        double sum = 0, common = 0;
        for (int k = 0; k < seen_K.length; k++) {
            sum += seen_K[k];
            seen_K[k] *= world.total();
        }
        assertEquals(1, sum, 1e-12);
        double[] marginal_K = world.marginal_K(seen_K);
        for (int k = 0; k < seen_K.length; k++) common += best.share_K()[k] * marginal_K[k];
        for (int k = 0; k < seen_K.length; k++) {
            double excess = marginal_K[k] / common - 1;
            assertTrue(excess < 1e-6, "domain " + k + " would earn " + excess + " more");
            assertTrue(best.share_K()[k] * -excess < 1e-6, "domain " + k + " has a share and earns " + excess);
        }
    }

    /** marginal_K is what differences of the objective are. */
    @ParameterizedTest
    @MethodSource("worlds")
    void marginalValuesAreDerivatives(World world) {
        double[] seen_K = new double[4];
        for (int k = 0; k < 4; k++) seen_K[k] = world.total() * (0.1 + 0.1 * k);
        double[] marginal_K = world.marginal_K(seen_K);
        for (int k = 0; k < 4; k++) {
            double step = 1e-4 * seen_K[k];
            double[] more_K = seen_K.clone(), less_K = seen_K.clone();
            more_K[k] += step;
            less_K[k] -= step;
            double difference = (world.objective(less_K) - world.objective(more_K)) / (2 * step);
            assertEquals(1, difference / marginal_K[k], 1e-5, "domain " + k);
        }
    }

    /** Repeated text is worth its first pass in full, and never more than 1 + 15.4 passes. */
    @Test
    void repeatedTextIsWorthLessAndLess() {
        World world = B.withUnique("repetition", new double[] {1000, 1000, 1000, 1000});
        assertEquals(1000, world.worth(0, 1000), 0);
        assertEquals(1000 + 1000 * 15.4 * -Math.expm1(-3 / 15.4), world.worth(0, 4000), 1e-9);
        assertEquals(16_400, world.worth(0, 1e9), 1e-6);
        assertEquals(1, world.worthSlope(0, 1000.001), 1e-6);
    }

    /** The whole fall of the rate counts 1 in the end, most of it within a twentieth of the run. */
    @Test
    void theAreaOfAnnealingIsThatOfTheFall() {
        double[] constant = B.area();
        assertEquals(0, constant[constant.length - 1], 0);
        double[] wsd = B.withRate("wsd", RateCurve.WSD, 0.08).area();
        assertEquals(0, wsd[15_999], 1e-9);
        // The integral of (1 - exp(-20 x)) over x in [0, 0.2], over 0.2, times the fall of 0.99.
        assertEquals(0.99 * (1 - (1 - Math.exp(-4)) / 4), wsd[20_000], 2e-3);
        assertTrue(B.withRate("cosine", RateCurve.COSINE, 0.08).area()[20_000] > 0.8);
    }
}
