package dev.rheostat.ado;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class DoremiPolicyTest {
    private static final double ABSENT = Double.NaN;

    private static DoremiPolicy policy(double[] share_K, Map<String, Double> settings) {
        Map<String, Double> shares = new LinkedHashMap<>();
        List<String> names = new ArrayList<>();
        for (int k = 0; k < share_K.length; k++) {
            names.add("d" + k);
            shares.put("d" + k, share_K[k]);
        }
        PolicyInputs inputs = PolicyInputs.of(names, share_K, 8, 100).withShares(shares);
        return (DoremiPolicy) Policies.create(
                "doremi", "", Policies.settings("doremi", "", 100).with(settings), inputs);
    }

    private static DoremiPolicy even(int K) {
        double[] share_K = new double[K];
        Arrays.fill(share_K, 1);
        return policy(share_K, Map.of());
    }

    /** A step in which the domains that are not absent had these excesses. */
    private static Observation step(long step, double... excess_K) {
        int K = excess_K.length;
        long[] sequences_K = new long[K], tokens_K = new long[K];
        double[] loss_K = new double[K];
        for (int k = 0; k < K; k++) {
            boolean absent = Double.isNaN(excess_K[k]);
            sequences_K[k] = absent ? 0 : 1;
            tokens_K[k] = absent ? 0 : 32;
            loss_K[k] = absent ? Double.NaN : 3 + excess_K[k];
        }
        return new Observation(step, 1e-3, sequences_K, tokens_K, loss_K, excess_K);
    }

    /** Algorithm 1 in 40 digits, apart from this code: even shares, rate 1, uniform part 0.001; domains absent in between. */
    @Test
    void goldenVectorsOfTheAlgorithm() {
        DoremiPolicy policy = even(3);
        PolicyState state = policy.initial();
        double[][] excess = {{0.5, 0, 0.2}, {0.1, ABSENT, 0.9}, {0, 0.3, ABSENT}};
        double[][] weight = {
            {0.4259198357675899, 0.2584645954195752, 0.3156155688128349},
            {0.3126903875570307, 0.1718455522457402, 0.5154640601972291},
            {0.1726801600202522, 0.1281876517360970, 0.6991321882436509},
        };
        for (int t = 0; t < 3; t++) {
            state = policy.observe(state, step(t, excess[t]));
            assertArrayEquals(weight[t], policy.lossWeight_K(state), 1e-15, "step " + t);
        }
        double[] average_K = {0.3111559291695515, 0.2229577831836864, 0.4658862876467620};
        assertArrayEquals(average_K, policy.average_K(state), 1e-15);
        assertArrayEquals(new double[] {1.0 / 3, 1.0 / 3, 1.0 / 3}, policy.mixture(state), 1e-16);
    }

    /** The same with other shares, rate 0.5, uniform part 0.01; the second domain comes late and until then counts as the mean. */
    @Test
    void goldenVectorsOfOtherSettings() {
        DoremiPolicy policy = policy(new double[] {5, 3, 2}, Map.of("rate", 0.5, "uniformPart", 0.01));
        PolicyState state = policy.initial();
        assertArrayEquals(new double[] {0.5, 0.3, 0.2}, policy.lossWeight_K(state), 1e-16);
        double[][] excess = {{0.4, ABSENT, 1.2}, {0.4, 2, 0}};
        double[][] weight = {
            {0.4283041855141445, 0.3147696759281257, 0.2569261385577299},
            {0.3199583413434577, 0.5212040661169477, 0.1588375925395946},
        };
        for (int t = 0; t < 2; t++) {
            state = policy.observe(state, step(t, excess[t]));
            assertArrayEquals(weight[t], policy.lossWeight_K(state), 1e-15, "step " + t);
        }
        double[] average_K = {0.4160875089525340, 0.3786579140150245, 0.2052545770324415};
        assertArrayEquals(average_K, policy.average_K(state), 1e-15);
        assertArrayEquals(new double[] {0.5, 0.3, 0.2}, policy.mixture(state), 1e-16);
    }

    /** Excesses of a spike, large enough that exponentials of them overflow. */
    @ParameterizedTest
    @ValueSource(ints = {1, 2, 22, 200, 1000})
    void weightsStayOnTheSimplex(int K) {
        DoremiPolicy policy = even(K);
        PolicyState state = policy.initial();
        Random random = new Random(K);
        for (int t = 0; t < 300; t++) {
            double[] excess_K = new double[K];
            for (int k = 0; k < K; k++)
                excess_K[k] =
                        K > 1 && random.nextInt(3) == 0 ? ABSENT : (t % 50 == 9 ? 900 : 0.5) * random.nextDouble();
            if (K > 1) excess_K[random.nextInt(K)] = 0.1;
            state = policy.observe(state, step(t, excess_K));
            for (double[] simplex : List.of(policy.lossWeight_K(state), policy.average_K(state))) {
                assertEquals(1, Simplex.sum(simplex), 1e-12, "step " + t);
                for (double weight : simplex) assertTrue(weight >= 1e-3 / K * (1 - 1e-12), "step " + t + ": " + weight);
            }
            assertEquals(1, Simplex.sum(policy.mixture(state)), 1e-12);
        }
    }

    @Test
    void theOrderOfDomainsDoesNotMatter() {
        double[] share_K = {1, 2, 3, 4, 5};
        int[] order = {3, 0, 4, 2, 1};
        DoremiPolicy one = policy(share_K, Map.of()), other = policy(permuted(share_K, order), Map.of());
        PolicyState state = one.initial(), permuted = other.initial();
        Random random = new Random(3);
        for (int t = 0; t < 100; t++) {
            double[] excess_K = random.doubles(5).toArray();
            if (t < 20) excess_K[2] = ABSENT;
            state = one.observe(state, step(t, excess_K));
            permuted = other.observe(permuted, step(t, permuted(excess_K, order)));
            assertArrayEquals(permuted(one.lossWeight_K(state), order), other.lossWeight_K(permuted), 1e-12);
            assertArrayEquals(permuted(one.average_K(state), order), other.average_K(permuted), 1e-12);
        }
    }

    private static double[] permuted(double[] x_K, int[] order) {
        double[] permuted = new double[x_K.length];
        for (int k = 0; k < x_K.length; k++) permuted[k] = x_K[order[k]];
        return permuted;
    }

    /** Also while a domain was never there. */
    @Test
    void aSavedStateGoesOnToTheLastBit() {
        DoremiPolicy policy = even(4);
        PolicyState whole = policy.initial(), parts = policy.initial();
        Random random = new Random(8);
        for (int t = 0; t < 60; t++) {
            double[] excess_K = random.doubles(4).toArray();
            if (t < 30) excess_K[1] = ABSENT;
            PolicyState before = parts;
            double[] weight_K = policy.lossWeight_K(before);
            whole = policy.observe(whole, step(t, excess_K));
            parts = policy.restore(policy.save(policy.observe(parts, step(t, excess_K))));
            assertArrayEquals(weight_K, policy.lossWeight_K(before), "the old state is unchanged");
            assertArrayEquals(policy.lossWeight_K(whole), policy.lossWeight_K(parts), "step " + t);
            assertArrayEquals(policy.average_K(whole), policy.average_K(parts), "step " + t);
        }
    }

    @Test
    void whatItCannotDoWithoutIsSaid() {
        DoremiPolicy policy = even(2);
        assertEquals(Set.of(Need.TRAIN_LOSS, Need.REFERENCE_LOSS), policy.needs());
        Observation without = new Observation(7, 1e-3, new long[] {1, 1}, new long[] {9, 9}, new double[] {3, 4});
        var e = assertThrows(IllegalArgumentException.class, () -> policy.observe(policy.initial(), without));
        assertTrue(e.getMessage().contains("reference losses") && e.getMessage().contains("step 7"), e.getMessage());
        assertThrows(IllegalArgumentException.class, () -> policy(new double[] {1, 0}, Map.of()));
        assertThrows(IllegalArgumentException.class, () -> policy(new double[] {1, 1}, Map.of("uniformPart", 0.0)));
        Map<String, Object> shown = policy.diagnostics(policy.observe(policy.initial(), step(0, 0.5, 0)));
        assertEquals(Set.of("weight", "average", "excessNats"), shown.keySet());
    }
}
