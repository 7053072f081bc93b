package dev.rheostat.ado.fit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** W7: losses made by the learning-rate-aware law itself, under schedules whose S1 and S2 are summed up here once more. */
class AnnealedFitTest {
    private static final RobustFit.Settings SETTINGS = new RobustFit.Settings(0.98, 2, 0.4, 0.35, 1);
    private static final PowerLaw LAW = new PowerLaw(2.2, 8, 0.3);
    private static final int SEEDS = 200;

    private enum Schedule {
        CONSTANT,
        COSINE,
        WSD;

        /** Highest 1e-3; but for CONSTANT a warm-up of 2 %, and 1 % of it at the end. WSD falls over the last fifth. */
        double rate(int t, int steps) {
            int warm = steps / 50, stable = steps * 4 / 5;
            if (this == CONSTANT) return 1e-3;
            if (t < warm) return 1e-3 * (t + 1) / warm;
            double progress = (t - warm) / (double) (steps - warm);
            if (this == COSINE) return 1e-3 * (0.01 + 0.99 * 0.5 * (1 + Math.cos(Math.PI * progress)));
            return t < stable ? 1e-3 : 1e-3 * (1 - 0.99 * (t - stable) / (steps - stable));
        }
    }

    /** @param aware points in ln S1, with S2. @param plain the same losses in ln n */
    private record Series(FitPoints aware, FitPoints plain) {
        double potential(PowerLaw law) {
            return law.potential(Math.exp(aware.lnN()[aware.size() - 1]));
        }
    }

    /** The first 3 % are ignored, as a run of so many steps does. */
    private static Series series(
            PowerLaw law, double anneal, double memory, Schedule schedule, int steps, double sigmaNats, long seed) {
        Random random = new Random(seed);
        RateHistory rates = RateHistory.NONE;
        LogBins aware = LogBins.empty(1, 0.03), plain = aware;
        double s1 = 0, s2 = 0, m = 0, before = 0;
        for (int t = 0; t < steps; t++) {
            double rate = schedule.rate(t, steps) / 1e-3;
            s1 += rate * Synthetic.BATCH;
            m = memory * m + Math.max(0, before - rate);
            s2 += m;
            before = rate;
            rates = rates.with(schedule.rate(t, steps), Synthetic.BATCH, memory);
            if (t < steps * 3 / 100) continue;
            double[] loss = {law.at(s1) - anneal * s2 + sigmaNats * random.nextGaussian()};
            long[] sequences = {Synthetic.BATCH};
            double[] place = {rates.travelled()}, noShare = {0};
            aware = aware.add(new LogBins.Step(place[0], place, rates.area(), noShare, sequences, loss));
            plain = plain.add((double) Synthetic.BATCH * (t + 1), sequences, loss);
        }
        assertEquals(1, rates.place() / s1, 1e-9);
        assertEquals(s2, rates.anneal(), 1e-9 * (1 + s2));
        return new Series(aware.points(0, rates.peak(), false), plain.points(0));
    }

    private static RobustFit.Result alone(Series series, double memory) {
        return AnnealedFit.fit(List.of(series.aware), SETTINGS, memory).getFirst();
    }

    /** S2 by hand: rates 1, 1, .5, .5, .75 with memory .5 give falls 0, .5, 0, -.25, so m = 0, .5, .25, -.125. */
    @Test
    void rateHistoryIsTheSumOfThePaper() {
        RateHistory rates = RateHistory.NONE;
        for (double rate : new double[] {0.002, 0.004, 0.004, 0.002, 0.002, 0.003}) rates = rates.with(rate, 10, 0.5);
        assertEquals(10 * (0.5 + 1 + 1 + 0.5 + 0.5 + 0.75), rates.place(), 1e-12);
        assertEquals(0.5 + 0.25 - 0.125, rates.anneal(), 1e-12);
    }

    /** A full annealing takes off 0.1 nats, as the loss of a model that was trained well does. */
    @ParameterizedTest
    @CsvSource({"COSINE, .99", "COSINE, .999", "WSD, .99", "WSD, .999"})
    void withoutNoiseTheLawIsFoundUnderItsSchedule(Schedule schedule, double memory) {
        double anneal = 0.1 * (1 - memory);
        Series series = series(LAW, anneal, memory, schedule, 20_000, 0, 1);
        RobustFit.Result found = alone(series, memory);
        assertEquals(1, found.potential() / series.potential(LAW), 1e-4);
        assertEquals(LAW.epsilon(), found.law().epsilon(), 1e-3);
        assertEquals(LAW.alpha(), found.law().alpha(), 1e-3);
        assertEquals(1, found.anneal() / anneal, 1e-3);
    }

    /** The plain law takes the fall of the rate for learning, so the end of a cosine looks like far more to gain. */
    @ParameterizedTest
    @ValueSource(doubles = {.99, .999})
    void thePlainLawOverstatesThePotentialUnderACosine(double memory) {
        Series series = series(LAW, 0.1 * (1 - memory), memory, Schedule.COSINE, 20_000, 0, 1);
        double ratio = RobustFit.fit(series.plain, SETTINGS).potential() / series.potential(LAW);
        assertTrue(ratio > 2, "potential of the plain law over the true one: " + ratio);
    }

    /** Two domains of one law, of which annealing takes off more of the second: a policy must not prefer it for that. */
    @Test
    void whatAnnealingTakesOffCountsForNoDomain() {
        double memory = 0.99;
        Series little = series(LAW, 0.03 * (1 - memory), memory, Schedule.COSINE, 20_000, 0, 1),
                much = series(LAW, 0.1 * (1 - memory), memory, Schedule.COSINE, 20_000, 0, 1);
        List<RobustFit.Result> both = AnnealedFit.fit(List.of(little.aware, much.aware), SETTINGS, memory);
        assertEquals(1, both.get(1).potential() / both.get(0).potential(), 1e-3);
        double plain = RobustFit.fit(much.plain, SETTINGS).potential()
                / RobustFit.fit(little.plain, SETTINGS).potential();
        assertTrue(plain > 1.3, "the plain law's potentials differ " + plain + " times");
    }

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3})
    void aConstantRateGivesThePlainLaw(long seed) {
        Series series = series(LAW, 0.001, 0.99, Schedule.CONSTANT, 6_000, 0.05, seed);
        RobustFit.Result aware = alone(series, 0.99), plain = RobustFit.fit(series.plain, SETTINGS);
        assertEquals(0, aware.anneal());
        // Noise is estimated with one more parameter taken off, 1 % of its size, and the prior on alpha is against it.
        assertEquals(1, aware.potential() / plain.potential(), 2e-3);
        assertEquals(plain.law().alpha(), aware.law().alpha(), 2e-3);
    }

    /** As F2: rms error under three bounds, and intervals that hold the truth in [0.85, 0.95] of 200 seeds. */
    @ParameterizedTest
    @EnumSource(
            value = Schedule.class,
            names = {"COSINE", "WSD"})
    void withNoiseTheErrorIsNearTheBoundAndTheIntervalsHoldTheTruth(Schedule schedule) {
        PowerLaw law = new PowerLaw(1.5, 6, 0.25);
        int steps = 10_000, potentials = 0, epsilons = 0;
        double memory = 0.99, anneal = 0.06 * (1 - memory), sigma = 0.04, squares = 0;
        double bound = bound(law, memory, schedule, steps, sigma);
        for (int seed = 0; seed < SEEDS; seed++) {
            Series series = series(law, anneal, memory, schedule, steps, sigma, seed);
            RobustFit.Result found = alone(series, memory);
            squares += Math.pow(Math.log(found.potential() / series.potential(law)), 2);
            if (found.potentials().holds(series.potential(law))) potentials++;
            if (found.epsilons().holds(law.epsilon())) epsilons++;
        }
        double error = Math.sqrt(squares / SEEDS);
        assertTrue(error < 3 * bound, "rms error " + error + ", bound " + bound);
        assertTrue(potentials >= 0.85 * SEEDS && potentials <= 0.95 * SEEDS, "potentials held: " + potentials);
        assertTrue(epsilons >= 0.85 * SEEDS && epsilons <= 0.95 * SEEDS, "epsilons held: " + epsilons);
    }

    /** Cramer-Rao bound of sd(ln potential) at the end, from the information in (epsilon, ln beta, alpha, C). */
    private static double bound(PowerLaw law, double memory, Schedule schedule, int steps, double sigmaNats) {
        double[][] information = new double[4][4];
        double s1 = 0, s2 = 0, m = 0, before = 0;
        for (int t = 0; t < steps; t++) {
            double rate = schedule.rate(t, steps) / 1e-3;
            s1 += rate * Synthetic.BATCH;
            m = memory * m + Math.max(0, before - rate);
            s2 += m;
            before = rate;
            double[] slope = {1, law.reducible(s1), -law.reducible(s1) * Math.log(s1), -s2 * (1 - memory)};
            if (t < steps * 3 / 100) continue;
            for (int i = 0; i < 4; i++)
                for (int j = 0; j < 4; j++) information[i][j] += slope[i] * slope[j] / (sigmaNats * sigmaNats);
        }
        double[] g = {0, 1, 1 / law.alpha() - Math.log(s1), 0};
        double[] x = LinearSystem.of(information).solve(g);
        return Math.sqrt(g[1] * x[1] + g[2] * x[2]);
    }

    /**
     * A domain alone tells annealing from learning only by the shape of its losses. Eight of one kind do better: their intervals are
     * shorter, and since a domain's own losses are no part of its prior they hold the truth as often.
     */
    @Test
    void domainsThatAnnealAlikeTellEachOtherHowMuch() {
        double memory = 0.99;
        int steps = 4_000, domains = 8, rounds = 25, held = 0;
        double alone = 0, shared = 0;
        for (int round = 0; round < rounds; round++) {
            List<FitPoints> points_K = new ArrayList<>();
            List<Double> potential_K = new ArrayList<>();
            for (int k = 0; k < domains; k++) {
                PowerLaw law = new PowerLaw(1.2 + 0.1 * k, 6, 0.25 + 0.01 * k);
                double anneal = 0.03 * (1 - memory) * law.at((double) Synthetic.BATCH * steps);
                Series series = series(law, anneal, memory, Schedule.COSINE, steps, 0.03, 1000L * round + k);
                points_K.add(series.aware);
                potential_K.add(series.potential(law));
                alone += alone(series, memory).spread();
            }
            List<RobustFit.Result> found_K = AnnealedFit.fit(points_K, SETTINGS, memory);
            for (int k = 0; k < domains; k++) {
                shared += found_K.get(k).spread();
                if (found_K.get(k).potentials().holds(potential_K.get(k))) held++;
            }
        }
        int all = domains * rounds;
        assertTrue(shared < 0.8 * alone, "spread alone " + alone / all + ", shared " + shared / all);
        assertTrue(held >= 0.85 * all && held <= 0.95 * all, "potentials held: " + held + " of " + all);
    }
}
