package dev.rheostat.ado;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rheostat.ado.fit.PowerLaw;
import dev.rheostat.ado.testbed.Optimum;
import dev.rheostat.ado.testbed.World;
import dev.rheostat.ado.testbed.Worlds;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What is asked of the policy, P1 to P6, with the published step's golden numbers; all of it without a model. */
class AdoPolicyTest {
    private static final double[] NEVER = {};

    private static DomainFit ready(PowerLaw law) {
        return new DomainFit(Optional.of(law), true, "fitted", 0.1, NEVER, NEVER);
    }

    private static AdoSettings robust(long steps) {
        return AdoSettings.of("robust", steps);
    }

    private static double[] prior(int K, long seed) {
        Random random = new Random(seed);
        double[] prior_K = new double[K];
        for (int k = 0; k < K; k++) prior_K[k] = 0.05 + random.nextDouble();
        return Simplex.normalise(prior_K);
    }

    /** A batch as the sampler would draw it: shares rounded to whole sequences, the remainder to the first. */
    private static long[] drawn(double[] mixture_K, int batch) {
        long[] drawn_K = new long[mixture_K.length];
        long left = batch;
        for (int k = 0; k < drawn_K.length; k++) left -= drawn_K[k] = (long) (mixture_K[k] * batch);
        drawn_K[0] += left;
        return drawn_K;
    }

    private static double[] everywhere(double n, int K) {
        double[] place_K = new double[K];
        Arrays.fill(place_K, n);
        return place_K;
    }

    private static Observation observation(long step, long[] drawn_K, double[] loss_K) {
        long[] tokens_K = drawn_K.clone();
        for (int k = 0; k < tokens_K.length; k++) tokens_K[k] *= 64;
        return new Observation(step, 1e-3, drawn_K, tokens_K, loss_K);
    }

    @Test
    void f7OneStepIsThePublishedOne() {
        double[] prior_K = {.5, .3, .2};
        AdoSettings settings = AdoSettings.reference().with("startStep", 1000);
        AdoPolicy policy = new AdoPolicy(settings, prior_K);
        List<Map<String, Object>> fits = new ArrayList<>();
        double[][] parameters = {{2, .7, .3}, {1.5, .6, .03}, {3, .9, .5}};
        for (double[] p : parameters)
            fits.add(ready(new PowerLaw(Math.exp(p[1]), Math.exp(p[0]), p[2])).save());
        Map<String, Object> saved = new LinkedHashMap<>(policy.save(policy.initial()));
        saved.put("step", 999L);
        saved.put("n", 256L * 1000);
        saved.put("fits", fits);
        PolicyState after = policy.observe(
                policy.restore(saved), observation(1000, new long[] {120, 80, 56}, new double[] {2.2, 4.9, 2.5}));
        assertArrayEquals(new double[] {.490669977, .3254381376, .1838918854}, policy.mixture(after), 1e-9);
        assertArrayEquals(
                new double[] {.496875, .30125, .201875},
                (double[]) policy.save(after).get("history"),
                1e-15);
        PolicyState next =
                policy.observe(after, observation(1001, new long[] {120, 80, 56}, new double[] {2.2, 4.9, 2.5}));
        assertArrayEquals(
                new double[] {.499906793, .3002541272, .1998390798},
                (double[]) policy.save(next).get("average"),
                1e-9);
    }

    private static final World A = bare(Worlds.a(Worlds.SEQUENCES, Worlds.STEPS)),
            B = bare(Worlds.b(Worlds.SEQUENCES, Worlds.STEPS));

    /** Without skill before the first step, as the analysis has it: m0 towards 0. */
    private static World bare(World world) {
        return new World(
                world.name(),
                world.target_K(),
                world.epsilon_K(),
                world.beta_K(),
                world.alpha_K(),
                0,
                world.help_KK(),
                world.crowding_K(),
                world.unique_K(),
                world.rate(),
                world.annealing(),
                world.sequences(),
                world.steps());
    }

    /** The law as a function of all sequences that has the reducible loss of m of its own, at n. */
    private static List<DomainFit> oracle(World world, double[] m_K, double n) {
        List<DomainFit> fits = new ArrayList<>();
        for (int k = 0; k < m_K.length; k++) {
            double alpha = world.alpha_K()[k];
            fits.add(ready(
                    new PowerLaw(world.epsilon_K()[k], world.beta_K()[k] * Math.pow(m_K[k] / n, -alpha), alpha)));
        }
        return fits;
    }

    private static RobustRule bareRule(World world) {
        return new RobustRule(robust(20_000).with("minShareOfPrior", 0), world.target_K(), world.target_K());
    }

    private static double regret(World world, double[] m_K) {
        return world.objective(m_K) - Optimum.independent(world).objectiveNats();
    }

    /** P1 as written holds where the rule stands still: oracle potentials, no credit, no average, no floor. */
    @Test
    void p1WithoutCreditTheFixedPointIsTheOptimum() {
        for (World world : List.of(A, B)) {
            double n = world.total();
            RobustRule rule = bareRule(world);
            double[] m_K = new double[4], share_K = {};
            Arrays.fill(m_K, n / 4);
            for (int round = 0; round < 200; round++) {
                share_K = rule.target(oracle(world, m_K, n), everywhere(n, 4), world.target_K());
                for (int k = 0; k < 4; k++) m_K[k] = share_K[k] * n;
            }
            assertArrayEquals(Optimum.independent(world).share_K(), share_K, 1e-6);
            assertEquals(0, regret(world, m_K), 1e-9);
        }
    }

    /**
     * A greedy run aims at the best mixture for what was drawn so far. Where all exponents are alike (A) that is the best for
     * the whole run, and the run ends there within P1's 1e-5. Where they differ (B) the best mixture moves with n, and the
     * counts, a sum of the mixtures of the past, lag behind it: what is lost is of second order in the lag.
     */
    @Test
    void p1ARunEndsAtTheOptimumUnlessItMoves() {
        assertTrue(greedyRegret(A) < 1e-5, "A loses " + greedyRegret(A));
        assertTrue(greedyRegret(B) < 1e-4, "B loses " + greedyRegret(B));
        double[] early_K = Optimum.independent(bare(Worlds.b(Worlds.SEQUENCES, Worlds.STEPS / 10)))
                .share_K();
        double moved = Math.abs(early_K[3] - Optimum.independent(B).share_K()[3]);
        assertTrue(moved > 0.02, "the best share of domain 3 moved by " + moved + " since a tenth of the run");
        double[] natural_K = B.target_K().clone();
        for (int k = 0; k < 4; k++) natural_K[k] *= B.total();
        assertEquals(0.0141, regret(B, natural_K), 1e-3, "as computed elsewhere");
    }

    private static double greedyRegret(World world) {
        RobustRule rule = bareRule(world);
        double[] m_K = new double[4], share_K = {};
        Arrays.fill(m_K, 64);
        double n = 256;
        for (int t = 1; t < world.steps(); t++) {
            share_K = rule.target(oracle(world, m_K, n), everywhere(n, 4), world.target_K());
            for (int k = 0; k < 4; k++) m_K[k] += 256 * share_K[k];
            n += 256;
        }
        double[] best_K = Optimum.independent(world).share_K();
        for (int k = 0; k < 4; k++) assertEquals(best_K[k], share_K[k], 0.01, "share of domain " + k);
        return regret(world, m_K);
    }

    /** pi^(1 - s + alpha) is in proportion to mu alpha beta n^-alpha, so that the published s = 0.5 over-sharpens (W5). */
    @ParameterizedTest
    @ValueSource(doubles = {0, 0.5})
    void p2TheFixedPointIsTheAnalyticOne(double s) {
        double n = B.total(), low = 1e-30, high = 1e30;
        double[] share_K = new double[4], m_K = new double[4];
        for (int i = 0; i < 400; i++) {
            double lambda = Math.sqrt(low * high), sum = 0;
            for (int k = 0; k < 4; k++) {
                double alpha = B.alpha_K()[k];
                double weight = B.target_K()[k] * alpha * B.beta_K()[k] * Math.pow(n, -alpha);
                share_K[k] = Math.pow(weight / lambda, 1 / (1 - s + alpha));
                sum += share_K[k];
            }
            if (sum > 1) low = lambda;
            else high = lambda;
        }
        for (int k = 0; k < 4; k++) m_K[k] = share_K[k] * n;
        ReferenceRule rule = new ReferenceRule(
                AdoSettings.reference().with("credit", s).with("minShare", 0), B.target_K(), B.target_K());
        assertArrayEquals(share_K, rule.target(oracle(B, m_K, n), everywhere(n, 4), share_K), 1e-9);
        if (s == 0) assertEquals(0, regret(B, m_K), 1e-9);
        else assertTrue(regret(B, m_K) > 0.003, "over-sharpening costs");
    }

    private static double[] target(RobustRule rule, double[] prior_K, PowerLaw[] law_K, double[] history_K) {
        return rule.target(
                Arrays.stream(law_K).map(AdoPolicyTest::ready).toList(), everywhere(100_000, law_K.length), history_K);
    }

    @Test
    void p4OrderDoesNotMatter() {
        double[] prior_K = prior(6, 1), history_K = prior(6, 2);
        PowerLaw[] law_K = new PowerLaw[6], swapped_K = new PowerLaw[6];
        double[] swappedPrior_K = new double[6], swappedHistory_K = new double[6];
        for (int k = 0; k < 6; k++) law_K[k] = new PowerLaw(1 + k, 3 + k, 0.1 + 0.05 * k);
        for (int k = 0; k < 6; k++) {
            swapped_K[5 - k] = law_K[k];
            swappedPrior_K[5 - k] = prior_K[k];
            swappedHistory_K[5 - k] = history_K[k];
        }
        AdoSettings settings = robust(1000).with("credit", 0.5);
        double[] one = target(new RobustRule(settings, prior_K, prior_K), prior_K, law_K, history_K),
                other =
                        target(
                                new RobustRule(settings, swappedPrior_K, swappedPrior_K),
                                swappedPrior_K,
                                swapped_K,
                                swappedHistory_K);
        for (int k = 0; k < 6; k++) assertEquals(one[k], other[5 - k], 1e-15);
    }

    /** W14: the published credit multiplies the weight of a domain cut in J parts by J^-s; on the ratio h / mu it does not. */
    @ParameterizedTest
    @ValueSource(doubles = {0, 0.5, 1})
    void p4CuttingADomainInHalvesLeavesItsShare(double credit) {
        PowerLaw a = new PowerLaw(2, 8, 0.3), b = new PowerLaw(1.5, 5, 0.2);
        AdoSettings settings = robust(1000).with("credit", credit);
        double[] whole = target(
                new RobustRule(settings, new double[] {.6, .4}, new double[] {.6, .4}),
                new double[] {.6, .4},
                new PowerLaw[] {a, b},
                new double[] {.5, .5});
        double[] parts = {.3, .3, .4};
        double[] cut = target(
                new RobustRule(settings, parts, parts), parts, new PowerLaw[] {a, a, b}, new double[] {.25, .25, .5});
        assertEquals(whole[0], cut[0] + cut[1], 1e-12);
        AdoSettings published = AdoSettings.reference().with("credit", credit).with("minShare", 0);
        double[] wholeThere = new ReferenceRule(published, new double[] {.6, .4}, new double[] {.6, .4})
                .target(List.of(ready(a), ready(b)), everywhere(100_000, 2), new double[] {.5, .5});
        double[] cutThere = new ReferenceRule(published, parts, parts)
                .target(List.of(ready(a), ready(a), ready(b)), everywhere(100_000, 3), new double[] {.25, .25, .5});
        double odds = wholeThere[0] / wholeThere[1], cutOdds = (cutThere[0] + cutThere[1]) / cutThere[2];
        assertEquals(Math.pow(2, -credit), cutOdds / odds, 1e-12);
    }

    @Test
    void p5ADeadDomainGoesToItsFloor() {
        double[] prior_K = {.5, .3, .2};
        double[] share_K = target(
                new RobustRule(robust(1000), prior_K, prior_K),
                prior_K,
                new PowerLaw[] {new PowerLaw(3, 1e-12, .3), new PowerLaw(2, 8, .3), new PowerLaw(2, 8, .3)},
                prior_K);
        assertEquals(0.05, share_K[0], 1e-12);
        assertEquals(1.5, share_K[1] / share_K[2], 1e-9);
    }

    /** W1 as a policy: a domain whose loss is below 1.65 nats starves in the published mode and not in the robust one. */
    @Test
    void aDomainOfLowLossIsStarvedByTheReferenceAlone() {
        double[] prior_K = {.5, .5};
        PowerLaw code = new PowerLaw(.9, 6, .25), text = new PowerLaw(2.4, 6, .25);
        double[] reference_K = runUntilFitted(
                AdoSettings.reference()
                        .with("ignoreSteps", 100)
                        .with("startStep", 100)
                        .with("refitEvery", 1000)
                        .with("smoothing", 1),
                prior_K,
                code,
                text,
                1002);
        double[] robust_K = runUntilFitted(robust(1000).with("smoothing", 1), prior_K, code, text, 1002);
        assertTrue(reference_K[0] < 0.05, "reference gives it " + reference_K[0]);
        assertTrue(robust_K[0] > 0.3, "robust gives it " + robust_K[0]);
    }

    private static double[] runUntilFitted(AdoSettings settings, double[] prior_K, PowerLaw a, PowerLaw b, int steps) {
        try (PolicyDriver driver = new PolicyDriver(new AdoPolicy(settings, prior_K), 0, null)) {
            for (int t = 0; t < steps; t++) {
                double n = 256.0 * (t + 1);
                driver.observe(observation(t, new long[] {128, 128}, new double[] {a.at(n), b.at(n)}));
            }
            return driver.mixture();
        }
    }

    private static double[][] losses(int steps, int K, long seed) {
        Random random = new Random(seed);
        double[][] loss_TK = new double[steps][K];
        for (int t = 0; t < steps; t++)
            for (int k = 0; k < K; k++) {
                PowerLaw law = new PowerLaw(1 + k % 3, 4 + 5 * k, 0.2 + 0.1 * (k % 4));
                loss_TK[t][k] = law.at(32.0 * (t + 1)) * Math.exp(0.01 * random.nextGaussian());
            }
        return loss_TK;
    }

    private static void step(PolicyDriver driver, long t, double[] loss_K) {
        driver.observe(observation(t, drawn(driver.mixture(), 32), loss_K));
    }

    /** P6, at every step of the run, also while a refit is under way. */
    @ParameterizedTest
    @CsvSource({"robust, 0", "robust, 8", "reference, 0", "reference, 5"})
    void p6RestoredAtAnyStepItGoesOnWithTheSameBits(String mode, int delay) {
        double[] prior_K = prior(4, 5);
        int steps = mode.equals("robust") ? 150 : 131;
        AdoSettings settings = mode.equals("robust")
                ? robust(150)
                : AdoSettings.reference()
                        .with("ignoreSteps", 5)
                        .with("startStep", 10)
                        .with("refitEvery", 120);
        double[][] loss_TK = losses(steps, 4, 6);
        double[][] mixture_TK = new double[steps][];
        List<Map<String, Object>> saved = new ArrayList<>();
        try (PolicyDriver driver = new PolicyDriver(new AdoPolicy(settings, prior_K), delay, null)) {
            for (int t = 0; t < steps; t++) {
                step(driver, t, loss_TK[t]);
                mixture_TK[t] = driver.mixture();
                saved.add(driver.save());
            }
            assertFalse(Arrays.equals(prior_K, driver.mixture()), "the mixture never moved");
        }
        int stride = mode.equals("robust") ? 1 : 9; // the reference fit takes seconds
        for (int at = 0; at < steps; at += stride) {
            boolean fitsAgain = mode.equals("reference") && at < 120;
            int until = fitsAgain ? Math.min(at + 10, 120) : Math.min(at + 30, steps);
            try (PolicyDriver driver = new PolicyDriver(new AdoPolicy(settings, prior_K), delay, null)) {
                driver.restore(saved.get(at));
                assertArrayEquals(mixture_TK[at], driver.mixture(), "restored at step " + at);
                for (int t = at + 1; t < until; t++) {
                    step(driver, t, loss_TK[t]);
                    assertArrayEquals(mixture_TK[t], driver.mixture(), "step " + t + " after restoring at " + at);
                }
            }
        }
    }

    @Test
    void f6AnEarlyGateHoldsTheMixture() {
        double[] prior_K = prior(3, 1);
        try (PolicyDriver driver = new PolicyDriver(new AdoPolicy(robust(1000), prior_K), 0, null)) {
            double[][] loss_TK = losses(80, 3, 2);
            Map<String, Object> shown = Map.of();
            for (int t = 0; t < 80; t++) {
                step(driver, t, loss_TK[t]);
                shown = driver.takeDiagnostics().orElse(shown);
            }
            assertArrayEquals(prior_K, driver.mixture(), 1e-15);
            List<?> fits = (List<?>) shown.get("fits");
            assertEquals(3, fits.size(), "a fit was tried: " + shown);
            for (Object fit : fits) {
                assertEquals(false, ((Map<?, ?>) fit).get("ready"));
                assertTrue(((Map<?, ?>) fit).get("reason").toString().contains("gateRange"), fit.toString());
            }
        }
    }

    @Test
    void aRunOfThreeHundredStepsMixesToo() {
        double[] prior_K = {.4, .3, .2, .1};
        try (PolicyDriver driver = new PolicyDriver(new AdoPolicy(robust(300), prior_K), 8, null)) {
            double[][] loss_TK = losses(300, 4, 3);
            for (int t = 0; t < 300; t++) step(driver, t, loss_TK[t]);
            int moved = 0;
            for (int k = 0; k < 4; k++) if (Math.abs(driver.mixture()[k] / prior_K[k] - 1) >= 0.1) moved++;
            assertTrue(moved >= 2, "domains that moved: " + moved + ", " + Arrays.toString(driver.mixture()));
        }
    }

    @Test
    void settingsDeriveFromTheLengthOfTheRunAndHaveMinima() {
        assertEquals(50, robust(1000).startStep());
        assertEquals(30, robust(1000).ignoreSteps());
        assertEquals(20, robust(1000).refitEvery());
        assertEquals(30, robust(100).startStep());
        assertEquals(10, robust(100).ignoreSteps());
        assertEquals(10, robust(100).refitEvery());
        assertEquals(0, robust(100).credit());
        assertEquals(500, AdoSettings.reference().startStep());
        assertEquals(1000, AdoSettings.reference().refitEvery());
    }

    @Test
    void wrongSettingsAndPoliciesAreRefusedWithTheNearestName() {
        String key = assertThrows(
                        IllegalArgumentException.class, () -> robust(100).with("refitEver", 3))
                .getMessage();
        assertTrue(key.contains("refitEvery"), key);
        String value = assertThrows(
                        IllegalArgumentException.class, () -> robust(100).with("minShareOfPrior", 2))
                .getMessage();
        assertTrue(value.contains("minShareOfPrior") && value.contains("[0, 1]"), value);
        assertThrows(
                IllegalArgumentException.class, () -> AdoSettings.reference().with("gateBins", 20));
        assertThrows(IllegalArgumentException.class, () -> AdoSettings.of("robusst", 100));
        String policy = assertThrows(IllegalArgumentException.class, () -> Policies.settings("addo", "", 100))
                .getMessage();
        assertTrue(policy.contains("ado"), policy);
        String mode = assertThrows(IllegalArgumentException.class, () -> Policies.settings("ado", "robusst", 100))
                .getMessage();
        assertTrue(mode.contains("robust"), mode);
        assertThrows(IllegalArgumentException.class, () -> Policies.settings("natural", "robust", 100));
    }

    @Test
    void observationsOutOfOrderOrOfOtherDomainsAreRefusedAndChangeNothing() {
        AdoPolicy policy = new AdoPolicy(robust(100), prior(2, 1));
        PolicyState state = policy.observe(policy.initial(), observation(3, new long[] {1, 1}, new double[] {2, 2}));
        assertThrows(
                IllegalArgumentException.class,
                () -> policy.observe(state, observation(3, new long[] {1, 1}, new double[] {2, 2})));
        assertThrows(
                IllegalArgumentException.class,
                () -> policy.observe(state, observation(4, new long[] {1}, new double[] {2})));
        assertThrows(
                IllegalArgumentException.class,
                () -> policy.observe(state, observation(4, new long[] {0, 0}, new double[] {2, 2})));
    }

    /** With a delay, a fit started after step t shows first in the mixture held after step t + delay, and is not waited for before. */
    @Test
    void aRefitTakesEffectAtItsStepHoweverLateItIs() {
        double[] prior_K = prior(4, 5);
        double[][] loss_TK = losses(150, 4, 6);
        List<Runnable> handedOut = new ArrayList<>();
        try (PolicyDriver early = new PolicyDriver(new AdoPolicy(robust(150), prior_K), 8, null);
                PolicyDriver late = new PolicyDriver(new AdoPolicy(robust(150), prior_K), 8, handedOut::add)) {
            for (int t = 0; t < 150; t++) {
                step(early, t, loss_TK[t]);
                step(late, t, loss_TK[t]);
                assertArrayEquals(early.mixture(), late.mixture(), "step " + t);
            }
            assertEquals(0, early.refitWaits());
            assertTrue(late.refitWaits() > 5 && handedOut.size() > 5, "waits: " + late.refitWaits());
        }
    }
}
