package dev.rheostat.ado;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rheostat.ado.fit.LinearSystem;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

/** Policies against numbers of a separate program of their equations. Three domains, prior (.5, .3, .2), target (.2, .3, .5). */
class GoldenPoliciesTest {
    private static final double[] PRIOR_K = {.5, .3, .2}, TARGET_K = {.2, .3, .5};
    private static final long[] DRAWN_K = {4, 3, 1};

    private static PolicyInputs inputs(int sequences, long totalSteps) {
        return PolicyInputs.of(List.of("a", "b", "c"), PRIOR_K, sequences, totalSteps);
    }

    private static MixturePolicy policy(String name, Map<String, Double> settings, PolicyInputs inputs) {
        return Policies.create(
                name, "", Policies.settings(name, "", inputs.totalSteps()).with(settings), inputs);
    }

    private static double[] fixed(MixturePolicy policy) {
        return policy.mixture(policy.initial());
    }

    private static Observation observation(long step, double... loss_K) {
        long[] drawn_K = DRAWN_K.clone();
        for (int k = 0; k < 3; k++) if (Double.isNaN(loss_K[k])) drawn_K[k] = 0;
        return new Observation(step, 1e-3, drawn_K, drawn_K, loss_K);
    }

    @Test
    void temperatureIsAPowerOfThePrior() {
        assertArrayEquals(
                new double[] {.382032989515260, .327752672842220, .290214337642519},
                fixed(policy("temperature", Map.of("tau", .3), inputs(8, 100))),
                1e-14);
    }

    /** Budget 2,400: the first domain's 2 x 100 are less than a third of it, the others share the rest evenly. */
    @Test
    void temperaturesThatUnderflowKeepTheLargest() {
        PolicyInputs tiny = PolicyInputs.of(List.of("a", "b", "c"), new double[] {5e-5, 3e-5, 0}, 8, 100);
        assertArrayEquals(new double[] {1, 0, 0}, fixed(policy("temperature", Map.of("tau", 100.0), tiny)), 1e-20);
        assertArrayEquals(new double[] {.5, .5, 0}, fixed(policy("temperature", Map.of("tau", 0.0), tiny)));
    }

    /** The domain that would gain most has no share to gain by; the others are small beside it. */
    @Test
    void domainsWithoutAPriorDoNotDrownTheOthers() {
        MixturePolicy policy = policy(
                "skill-it",
                Map.of("eta", 1000.0),
                PolicyInputs.of(List.of("a", "b", "c"), new double[] {.5, .5, 0}, 8, 100)
                        .withGraph(Map.of("c", Map.of("a", 10.0, "b", 10.0))));
        PolicyState state = policy.validated(policy.initial(), 8, new double[] {3, 3, 3});
        assertArrayEquals(new double[] {.5, .5, 0}, policy.mixture(state));
    }

    @Test
    void unimaxIsUniformUnderACapOfEpochs() {
        PolicyInputs inputs = inputs(24, 100).withWindows(new long[] {100, 1000, 5000});
        assertArrayEquals(
                new double[] {1 / 12.0, 5.5 / 12, 5.5 / 12},
                fixed(policy("unimax", Map.of("epochs", 2.0), inputs)),
                1e-14);
        assertArrayEquals( // all text twice is less than the budget: the ratios stay
                new double[] {.125, .25, .625},
                fixed(policy("unimax", Map.of("epochs", 2.0), inputs.withWindows(new long[] {10, 20, 50}))),
                1e-14);
        assertThrows(IllegalArgumentException.class, () -> policy("unimax", Map.of(), inputs(24, 100)));
    }

    /** The mixture held after step t is for the batch of step t + 2. */
    @Test
    void aScheduleCountsTheStepOfTheBatch() {
        TreeMap<Long, Map<String, Double>> stages = new TreeMap<>(Map.of(
                0L, Map.of("a", 1.0, "b", 1.0), 10L, Map.of("b", 1.0), 20L, Map.of("a", 1.0, "b", 1.0, "c", 2.0)));
        MixturePolicy jumps =
                policy("schedule", Map.of(), inputs(8, 100).withStages(stages).withLag(2));
        MixturePolicy ramps = policy(
                "schedule",
                Map.of("ramp", 4.0),
                inputs(8, 100).withStages(stages).withLag(2));
        assertArrayEquals(new double[] {.5, .5, 0}, fixed(jumps));
        assertArrayEquals(new double[] {.5, .5, 0}, held(jumps, 7));
        assertArrayEquals(new double[] {0, 1, 0}, held(jumps, 8));
        assertArrayEquals(new double[] {.375, .625, 0}, held(ramps, 8));
        assertArrayEquals(new double[] {0, 1, 0}, held(ramps, 11));
        assertArrayEquals(new double[] {.25, .25, .5}, held(ramps, 50));
        assertThrows(
                IllegalArgumentException.class,
                () -> policy(
                        "schedule", Map.of(), inputs(8, 100).withStages(new TreeMap<>(Map.of(3L, Map.of("a", 1.0))))));
    }

    private static double[] held(MixturePolicy policy, long step) {
        return policy.mixture(policy.observe(policy.initial(), observation(step, 2, 2, 2)));
    }

    @Test
    void lossProportionalIsASoftmaxOfMeanLosses() {
        MixturePolicy policy = policy(
                "loss-proportional",
                Map.of("temperature", .8, "startStep", 5.0),
                inputs(8, 100).withTarget(TARGET_K));
        PolicyState state = policy.initial();
        for (int t = 0; t < 10; t++) {
            assertEquals(t < 6, policy.mixture(state)[0] == .5, "the prior before startStep " + t);
            state = policy.observe(state, observation(t, 2 - .1 * t, t % 2 == 0 ? 3 - .2 * t : Double.NaN, 2.5));
        }
        assertArrayEquals(
                new double[] {.074786698424105, .385100060855283, .540113240720613}, policy.mixture(state), 1e-13);
    }

    @Test
    void skillItFollowsItsGraph() {
        PolicyInputs inputs = inputs(8, 100).withGraph(Map.of("a", Map.of("b", .5), "c", Map.of("a", .25)));
        Map<String, Double> settings = Map.of("window", 2.0, "every", 10.0);
        MixturePolicy policy = policy("skill-it", settings, inputs),
                aimed = policy("skill-it", settings, inputs.withTarget(TARGET_K));
        PolicyState state = policy.initial(), aimedState = aimed.initial();
        assertArrayEquals(
                new double[] {.519914216897608, .282262702570692, .197823080531700}, policy.mixture(state), 1e-14);
        double[][] losses = {{4, 3, 2}, {3, 2.5, 1.9}, {2.8, 2.2, 1.8}};
        for (int v = 0; v < 3; v++) {
            assertTrue(policy.validationDue(10 * (v + 1)) && !policy.validationDue(10 * v + 5));
            state = policy.validated(state, 10 * (v + 1), losses[v]);
            aimedState = aimed.validated(aimedState, 10 * (v + 1), losses[v]);
            if (v == 0)
                assertArrayEquals(
                        new double[] {.622459331201855, .226524401278887, .151016267519258},
                        policy.mixture(state),
                        1e-14);
        }
        assertArrayEquals(
                new double[] {.657691243762868, .197929313223446, .144379443013686}, policy.mixture(state), 1e-14);
        assertArrayEquals(
                new double[] {.366800148226376, .221404538845823, .411795312927800}, aimed.mixture(aimedState), 1e-14);
        assertThrows(IllegalArgumentException.class, () -> policy("skill-it", Map.of(), inputs(8, 100)));
    }

    private static final double[][] FALL_IJ = {{.30, .10, .05}, {.02, .20, .04}, {.01, .03, .15}};
    private static final long[][] PROBE_JK = {{6, 1, 1}, {2, 5, 1}, {1, 1, 6}};

    /** One round of a policy whose probes are 2 steps each; in probe j the loss of domain i falls by FALL_IJ times scale. */
    private static PolicyState round(
            MixturePolicy policy, PolicyState state, double[] loss_K, long start, double scale, boolean transposed) {
        if (start == 0) state = policy.validated(state, 0, loss_K);
        for (long step = start; step < start + 20; step++) {
            int j = (int) Math.min(2, (step - start) / 2);
            long[] drawn_K = step < start + 6 ? PROBE_JK[j] : DRAWN_K;
            state = policy.observe(state, new Observation(step, 1e-3, drawn_K, drawn_K, new double[] {2, 2, 2}));
            boolean endsProbe = (step - start) % 2 == 1 && step < start + 6;
            if (endsProbe)
                for (int i = 0; i < 3; i++) loss_K[i] -= scale * (transposed ? FALL_IJ[j][i] : FALL_IJ[i][j]);
            assertEquals(endsProbe || step == start + 19, policy.validationDue(step + 1), "after step " + step);
            if (policy.validationDue(step + 1)) state = policy.validated(state, step + 1, loss_K);
        }
        return state;
    }

    @Test
    void aioliLearnsWhatHelpsWhat() {
        Map<String, Double> settings = Map.of("every", 20.0, "probeSteps", 2.0, "eta", 3.0);
        MixturePolicy policy = policy("aioli", settings, inputs(8, 100)),
                aimed = policy("aioli", settings, inputs(8, 100).withTarget(TARGET_K)),
                forgets =
                        policy(
                                "aioli",
                                Map.of("every", 20.0, "probeSteps", 2.0, "eta", 3.0, "memory", 0.0),
                                inputs(8, 100));
        double[] loss_K = {4, 3, 2};
        assertArrayEquals(new double[] {.75, .125, .125}, fixed(policy), "the first probe");
        PolicyState state = round(policy, policy.initial(), loss_K, 0, 1, false);
        assertArrayEquals(new double[] {.75, .125, .125}, policy.mixture(state), "the next round begins with a probe");
        assertArrayEquals(
                new double[] {.533129735263683, .319877841158210, .146992423578107}, share(policy, state), 1e-13);
        assertArrayEquals( // from the prior with the mean of both effects
                new double[] {.630857460569970, .228934601998608, .140207937431422},
                share(policy, round(policy, state, loss_K, 20, .5, true)),
                1e-13);
        assertArrayEquals( // without memory of effects from the mixture before, with the second effect alone
                new double[] {.669906914345054, .229895888726300, .100197196928646},
                share(forgets, secondRound(forgets)),
                1e-13);
        assertArrayEquals(
                new double[] {.283768750192316, .369639357658326, .346591892149358},
                share(aimed, round(aimed, aimed.initial(), new double[] {4, 3, 2}, 0, 1, false)),
                1e-13);
    }

    private static PolicyState secondRound(MixturePolicy policy) {
        double[] loss_K = {4, 3, 2};
        return round(policy, round(policy, policy.initial(), loss_K, 0, 1, false), loss_K, 20, .5, true);
    }

    private static double[] share(MixturePolicy policy, PolicyState state) {
        return (double[]) policy.save(state).get("share");
    }

    @Test
    void aioliWithoutRoomForAProbeIsRefused() {
        String why = assertThrows(
                        IllegalArgumentException.class,
                        () -> policy("aioli", Map.of("every", 10.0, "probeSteps", 6.0), inputs(8, 100)))
                .getMessage();
        assertTrue(why.contains("12"), why);
    }

    /** A policy that takes over in the middle has missed validations: it waits for the next probe that it sees whole. */
    @Test
    void aioliGoesOnWithoutValidationsThatItMissed() {
        MixturePolicy policy = policy("aioli", Map.of("every", 20.0, "probeSteps", 2.0), inputs(8, 100));
        PolicyState state = policy.initial();
        for (int t = 0; t < 23; t++) state = policy.observe(state, observation(t, 2, 2, 2));
        state = policy.validated(state, 24, new double[] {4, 3, 2});
        assertEquals(0L, policy.save(state).get("probes"));
    }

    @Test
    void linearSystemsAreSolvedOrKnownToBeSingular() {
        Random random = new Random(3);
        double[][] a = new double[7][7];
        double[] x = new double[7], b = new double[7];
        for (int i = 0; i < 7; i++) {
            x[i] = random.nextGaussian();
            for (int j = 0; j < 7; j++) a[i][j] = i == j ? 0 : random.nextGaussian(); // needs pivots
        }
        for (int i = 0; i < 7; i++) for (int j = 0; j < 7; j++) b[i] += a[i][j] * x[j];
        LinearSystem system = LinearSystem.of(a);
        assertFalse(system.isSingular());
        assertArrayEquals(x, system.solve(b), 1e-12);
        a[6] = a[0].clone();
        assertTrue(LinearSystem.of(a).isSingular());
    }
}
