package dev.rheostat.ado;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rheostat.ado.fit.LogBins;
import dev.rheostat.ado.fit.PowerLaw;
import dev.rheostat.ado.fit.RateHistory;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The gate before a fit, what a reader sees of it, and a policy whose laws count the learning rate. */
class RobustLossesTest {
    private static final double MEMORY = 0.9;

    private static double cosine(int t, int steps) {
        return 1e-3 * (0.01 + 0.99 * 0.5 * (1 + Math.cos(Math.PI * t / steps)));
    }

    private static Observation observation(long step, double rate, double... loss_K) {
        long[] sequences_K = new long[loss_K.length];
        Arrays.fill(sequences_K, 16);
        return new Observation(step, rate, sequences_K, sequences_K, loss_K);
    }

    private static DomainFit fitAfter(AdoSettings settings, int steps, double sigma, long seed) {
        PowerLaw law = new PowerLaw(1.5, 6, 0.3);
        Random random = new Random(seed);
        LossMemory losses = RobustLosses.nothing(settings, new double[] {1});
        for (int t = 0; t < steps; t++) {
            long n = 16L * (t + 1);
            losses = losses.with(n, observation(t, 1e-3, law.at(n) * Math.exp(sigma * random.nextGaussian())));
        }
        double[] alone = {1};
        return new RobustRule(settings, alone, alone)
                .adopt(List.of(), losses.fit())
                .getFirst();
    }

    /** F6 by each of its three conditions, and past them. */
    @ParameterizedTest
    @CsvSource({"25, .01, gateBins", "31, .01, gateRange", "110, .5, gateSpread", "3000, .02, fitted"})
    void f6TheReasonSaysWhatAFitLacks(int steps, double sigma, String reason) {
        for (int seed = 0; seed < 10; seed++) {
            DomainFit fit = fitAfter(AdoSettings.robust(300).with("gateSpread", 0.2), steps, sigma, seed);
            assertEquals(reason.equals("fitted"), fit.ready(), fit.reason());
            assertTrue(fit.reason().contains(reason), fit.reason());
            assertEquals(fit.reason(), fit.save().get("reason"));
        }
    }

    private static DomainFit found(double reducible, double spread) {
        PowerLaw law = new PowerLaw(2, reducible * Math.pow(1e6, 0.3), 0.3); // at n = 1e6
        return new DomainFit(Optional.of(law), true, "fitted", spread, new double[] {1e5, 1e6}, new double[] {2, 2});
    }

    /**
     * By hand: potentials in the ratio 1 : 49 : 50 give the shares .01, .49, .5. The first is .39 from its prior of .4 and its
     * standard deviation .01 * .99 * 4 = .0396: 9.8 deviations. The second is .19 from .3, with .49 * .51 * .9 = .225: 0.84.
     */
    @Test
    void aShareThatIsToldFromItsPriorIsSharpWhateverTheLogarithm() {
        double[] prior_K = {.4, .3, .3}, target_K = {1 / 3.0, 1 / 3.0, 1 / 3.0};
        RobustRule rule = new RobustRule(AdoSettings.robust(1000), prior_K, target_K);
        List<DomainFit> fits = rule.adopt(List.of(), List.of(found(.01, 4), found(.49, .9), found(.5, .2)));
        assertTrue(
                fits.get(0).ready() && fits.get(0).reason().contains("9.85 deviations"),
                fits.get(0).reason());
        assertFalse(fits.get(1).ready());
        assertTrue(
                fits.get(1).reason().contains("0.845 deviations"), fits.get(1).reason());
        assertTrue(fits.get(2).ready() && fits.get(2).reason().equals("fitted"));
    }

    @Test
    void aReaderSeesTheIntervalsOfARestoredFitToo() {
        DomainFit fit = fitAfter(AdoSettings.robust(3000), 3000, 0.02, 1);
        Map<String, Object> shown = fit.save();
        double epsilon = (double) shown.get("epsilon");
        assertTrue((double) shown.get("epsilonLow") < epsilon && epsilon < (double) shown.get("epsilonHigh"));
        double potential =
                fit.law().orElseThrow().potential(((double[]) shown.get("n"))[((double[]) shown.get("n")).length - 1]);
        assertTrue((double) shown.get("potentialLow") < potential && potential < (double) shown.get("potentialHigh"));
        assertFalse(shown.containsKey("anneal"));
        DomainFit restored = DomainFit.restore(new Saved(fit.save()));
        assertEquals(fit.law(), restored.law());
        assertEquals(text(fit), text(restored));
    }

    private static String text(DomainFit fit) {
        StringBuilder text = new StringBuilder();
        fit.save()
                .forEach((key, value) ->
                        text.append(key).append(value instanceof double[] array ? Arrays.toString(array) : value));
        return text.toString();
    }

    private record World(double[][] loss_TK, double[] rate_T) {
        /** Two domains of one law, of which annealing takes off much of the second. */
        static World annealing(int steps, double sigma, long seed) {
            Random random = new Random(seed);
            PowerLaw law = new PowerLaw(1.5, 6, 0.3);
            double[] off_K = {0.01, 0.15}; // nats, of a full annealing
            double[][] loss_TK = new double[steps][2];
            double[] rate_T = new double[steps];
            RateHistory rates = RateHistory.NONE;
            for (int t = 0; t < steps; t++) {
                rate_T[t] = cosine(t, steps);
                rates = rates.with(rate_T[t], 32, MEMORY);
                for (int k = 0; k < 2; k++)
                    loss_TK[t][k] = law.at(rates.place())
                            - off_K[k] * (1 - MEMORY) * rates.anneal()
                            + sigma * random.nextGaussian();
            }
            return new World(loss_TK, rate_T);
        }

        double[] lastMixture(double memory) {
            AdoSettings settings = AdoSettings.robust(rate_T.length).with("annealMemory", memory);
            try (PolicyDriver driver = driver(settings)) {
                for (int t = 0; t < rate_T.length; t++) driver.observe(observation(t, rate_T[t], loss_TK[t]));
                return driver.mixture();
            }
        }
    }

    private static PolicyDriver driver(AdoSettings settings) {
        return new PolicyDriver(new AdoPolicy(settings, new double[] {.5, .5}), 8, null);
    }

    @Test
    void aPolicyThatCountsTheLearningRateIsNotMovedByAnnealing() {
        World world = World.annealing(2000, 1e-4, 1);
        assertEquals(0.5, world.lastMixture(MEMORY)[0], 0.01);
        assertTrue(world.lastMixture(0)[0] < 0.42, "plain: " + Arrays.toString(world.lastMixture(0)));
    }

    /** Sequences of a step whose shares go up and down. */
    private static Observation moving(int t, World world) {
        long more = 16 + (t / 25 % 2 == 0 ? 6 : -6);
        long[] sequences_K = {more, 32 - more};
        return new Observation(t, world.rate_T[t], sequences_K, sequences_K, world.loss_TK[t]);
    }

    @ParameterizedTest
    @CsvSource({"annealMemory, .99, .5", "shareMemory, 20, 10"})
    void restoredAtAnyStepItGoesOnWithTheSameBits(String key, double value, double another) {
        int steps = 160;
        World world = World.annealing(steps, 0.01, 2);
        AdoSettings settings = AdoSettings.robust(steps).with(key, value).with("gateSpread", 100);
        double[][] mixture_TK = new double[steps][];
        List<Map<String, Object>> saved = new ArrayList<>();
        try (PolicyDriver driver = driver(settings)) {
            for (int t = 0; t < steps; t++) {
                driver.observe(moving(t, world));
                mixture_TK[t] = driver.mixture();
                saved.add(driver.save());
            }
            assertFalse(Arrays.equals(new double[] {.5, .5}, driver.mixture()), "the mixture never moved");
        }
        for (int at = 0; at < steps; at += 3) {
            try (PolicyDriver driver = driver(settings)) {
                driver.restore(saved.get(at));
                for (int t = at + 1; t < Math.min(at + 30, steps); t++) {
                    driver.observe(moving(t, world));
                    assertArrayEquals(mixture_TK[t], driver.mixture(), "step " + t + " after restoring at " + at);
                }
            }
        }
        AdoSettings other = settings.with(key, another);
        try (PolicyDriver driver = driver(other)) {
            String refusal = assertThrows(IllegalArgumentException.class, () -> driver.restore(saved.getLast()))
                    .getMessage();
            assertTrue(refusal.contains(key), refusal);
        }
    }

    /** The only domain with a law shares with nobody: nothing tells its share from the prior's. */
    @Test
    void aLawAloneIsNotApart() {
        double[] even_K = {.5, .5};
        RobustRule rule = new RobustRule(AdoSettings.robust(1000), even_K, even_K);
        List<DomainFit> fits = rule.adopt(List.of(), List.of(found(.3, .9), DomainFit.notReady("nothing drawn")));
        assertFalse(fits.getFirst().ready());
        assertTrue(
                fits.getFirst().reason().contains("its share is 0.00 deviations"),
                fits.getFirst().reason());
    }

    /**
     * By hand, memory 2, prior .25 and .75: after batches (4, 4) and (0, 8) recent sequences are (4, 4), then (2, 10). So the third
     * batch was drawn at ln(3 / (.25 * 12 + 1)) and ln(11 / (.75 * 12 + 1)) of the prior, the first at 0.
     */
    @Test
    void theRecentShareForgets() {
        AdoSettings settings = AdoSettings.robust(300).with("shareMemory", 2).with("ignoreSteps", 0);
        LossMemory losses = RobustLosses.nothing(settings, new double[] {.25, .75});
        long[][] drawn_TK = {{4, 4}, {0, 8}, {4, 4}};
        for (int t = 0; t < drawn_TK.length; t++)
            losses = losses.with(8L * (t + 1), new Observation(t, 1e-3, drawn_TK[t], drawn_TK[t], new double[] {3, 3}));
        LogBins bins = ((RobustLosses) losses).bins();
        double[] of0 = bins.points(0, 0, true).share(),
                of1 = bins.points(1, 0, true).share();
        assertArrayEquals(new double[] {0, Math.log(3 / 4.0)}, of0, 1e-15);
        assertArrayEquals(new double[] {0, Math.log(5 / 7.0), Math.log(11 / 10.0)}, of1, 1e-15);
    }

    /** Of two domains with the same law the one that gains more by its share has more of it; one that would gain by a smaller share its floor. */
    @Test
    void whatAShareGainsCountsAsThePotentialDoes() {
        PowerLaw law = new PowerLaw(2, Math.pow(1e6, .3), .3); // potential .3 at n = 1e6
        double[] even_K = {.5, .5}, place_K = {1e6, 1e6};
        RobustRule rule = new RobustRule(AdoSettings.robust(1000), even_K, even_K);
        assertArrayEquals(
                new double[] {2 / 3.0, 1 / 3.0},
                rule.target(List.of(gaining(law, .3), gaining(law, 0)), place_K, even_K),
                1e-12);
        assertArrayEquals(
                new double[] {.95, .05},
                rule.target(List.of(gaining(law, 0), gaining(law, -.4)), place_K, even_K),
                1e-12);
    }

    /** Nobody gains: there is no proportion to share out by, and the prior is not given up for an even one. */
    @Test
    void whereNoneGainsAllKeepThePrior() {
        PowerLaw law = new PowerLaw(2, Math.pow(1e6, .3), .3); // potential .3 at n = 1e6
        double[] prior_K = {.7, .2, .1}, place_K = {1e6, 1e6, 1e6};
        RobustRule rule = new RobustRule(AdoSettings.robust(1000), prior_K, prior_K);
        DomainFit losing = gaining(law, -.4);
        assertArrayEquals(prior_K, rule.target(List.of(losing, losing, losing), place_K, prior_K));
        assertArrayEquals(prior_K, rule.target(List.of(losing, losing, DomainFit.notReady("")), place_K, prior_K));
    }

    /**
     * By hand: potentials .3 and .3 with gains -.4 and 0 give the shares 0 and 1. The first is .5 from its prior, and its standard
     * deviation by a ln potential known to 2 is .3 / .3 * 2 * (1 - 0) = 2: a quarter of a deviation.
     */
    @Test
    void aShareOfNothingIsNotKnownTheBetterForIt() {
        PowerLaw law = new PowerLaw(2, Math.pow(1e6, .3), .3);
        double[] even_K = {.5, .5};
        RobustRule rule = new RobustRule(AdoSettings.robust(1000), even_K, even_K);
        DomainFit unsure = new DomainFit(
                Optional.of(law), -.4, true, "fitted", 2, gaining(law, 0).shown());
        DomainFit fit = rule.adopt(List.of(), List.of(unsure, gaining(law, 0))).getFirst();
        assertFalse(fit.ready());
        assertTrue(fit.reason().contains("0.25"), fit.reason());
    }

    /** A domain too rare for any law is shown by its losses, which a checkpoint and a report take for numbers. */
    @Test
    void aDomainWithoutALawIsShownByNumbers() {
        AdoSettings settings = AdoSettings.robust(300).with("shareMemory", 20);
        LossMemory losses = RobustLosses.nothing(settings, new double[] {.999, .001});
        for (int t = 0; t < 100; t++) {
            long[] sequences_K = {16, t == 40 ? 1 : 0};
            double[] loss_K = {3 - 0.01 * t, t == 40 ? 5 : Double.NaN};
            losses = losses.with(16L * (t + 1), new Observation(t, 1e-3, sequences_K, sequences_K, loss_K));
        }
        Map<String, Object> shown = losses.fit().getLast().save();
        assertEquals("1 bins of the 20 of gateBins", shown.get("reason"));
        assertArrayEquals(new double[] {5}, (double[]) shown.get("lossNats"));
    }

    private static DomainFit gaining(PowerLaw law, double shareGain) {
        DomainFit.Shown shown = new DomainFit.Shown(new double[] {1e6}, new double[] {3});
        return new DomainFit(Optional.of(law), shareGain, true, "fitted", 0.1, shown);
    }

    /** A warm-up that starts at a rate of 0 has trained nothing there, so there is no ln S1. */
    @Test
    void aStepAtRateZeroIsNoPoint() {
        AdoSettings settings =
                AdoSettings.robust(300).with("annealMemory", MEMORY).with("ignoreSteps", 0);
        LossMemory losses = RobustLosses.nothing(settings, new double[] {1}).with(16, observation(0, 0, 5));
        assertEquals(0, ((RobustLosses) losses).bins().size());
        losses = losses.with(32, observation(1, 1e-3, 5));
        assertEquals(1, ((RobustLosses) losses).bins().size());
        assertEquals(16, losses.place_K(32)[0]);
    }
}
