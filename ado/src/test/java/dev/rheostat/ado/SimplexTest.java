package dev.rheostat.ado;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class SimplexTest {
    @Test
    void anEntryUnderItsFloorIsLiftedAndTheOthersKeepTheirRatio() {
        double[] share =
                Simplex.project(new double[] {6, 3, 0.1}, new double[] {0.1, 0.1, 0.1}, new double[] {1, 1, 1}, 1);
        assertArrayEquals(new double[] {0.6, 0.3, 0.1}, share, 1e-15);
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 22, 200, 1000})
    void sharesAreOneScaleWithinTheirBounds(int K) {
        Random random = new Random(K);
        for (int trial = 0; trial < 200; trial++) {
            double[] weight = new double[K], floor = new double[K], cap = new double[K];
            for (int k = 0; k < K; k++) {
                weight[k] = random.nextInt(10) == 0 ? 0 : Math.exp(12 * random.nextGaussian());
                floor[k] = random.nextDouble() / K;
                cap[k] = Math.min(1, floor[k] + (1 + 5 * random.nextDouble()) / K);
            }
            if (Arrays.stream(cap).sum() < 1) continue;
            double reach = 0; // what scaling alone can make of it
            for (int k = 0; k < K; k++) reach += weight[k] > 0 ? cap[k] : floor[k];
            double[] share = Simplex.project(weight, floor, cap, 1);
            assertEquals(1, Arrays.stream(share).sum(), 1e-12);
            for (int k = 0; k < K; k++) assertTrue(share[k] >= floor[k] && share[k] <= cap[k], "entry " + k);
            if (reach > 1) assertArrayEquals(byBisection(weight, floor, cap), share, 1e-12);
        }
    }

    /** The definition: the scale at which the bounded shares sum to 1. */
    private static double[] byBisection(double[] weight, double[] floor, double[] cap) {
        double low = -800, high = 800;
        double[] share = new double[weight.length];
        for (int i = 0; i < 200; i++) {
            double middle = (low + high) / 2, sum = 0;
            for (int k = 0; k < share.length; k++) {
                double scaled = weight[k] == 0 ? 0 : Math.exp(middle + Math.log(weight[k]));
                share[k] = Math.clamp(scaled, floor[k], cap[k]);
                sum += share[k];
            }
            if (sum < 1) low = middle;
            else high = middle;
        }
        return share;
    }

    @Test
    void boundsThatLeaveNoShareAreNamed() {
        IllegalArgumentException floors = assertThrows(
                IllegalArgumentException.class,
                () -> Simplex.project(new double[] {1, 1}, new double[] {0.6, 0.6}, new double[] {1, 1}, 1));
        assertTrue(floors.getMessage().contains("1.2"), floors.getMessage());
        assertThrows(
                IllegalArgumentException.class,
                () -> Simplex.project(new double[] {1, 1}, new double[] {0, 0}, new double[] {0.4, 0.4}, 1));
        assertThrows(
                IllegalArgumentException.class,
                () -> Simplex.project(new double[] {Double.NaN, 1}, new double[2], new double[] {1, 1}, 1));
        assertThrows(IllegalArgumentException.class, () -> Simplex.normalise(new double[] {0, 0}));
        assertThrows(IllegalArgumentException.class, () -> Simplex.normalise(new double[] {1, -1}));
    }

    @Test
    void thePublishedClipBreaksAsItDoesThere() {
        assertArrayEquals(
                new double[] {.9603960396, .0198019802, .0099009901, .0099009901},
                ReferenceRule.clip(new double[] {.97, .02, .005, .005}, 0.01),
                1e-10);
        double[] oneHot = new double[22];
        oneHot[3] = 1;
        double[] clipped = ReferenceRule.clip(oneHot, 0.01);
        assertEquals(.8264, clipped[3], 5e-5);
        assertEquals(.00826, clipped[0], 5e-6);
        double[] many = new double[200];
        many[0] = 1;
        for (double share : ReferenceRule.clip(many, 0.01))
            assertEquals(1 / 200.0, share, 1e-12, "W9: uniform whatever came in");
    }
}
