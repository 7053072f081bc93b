package dev.rheostat.ado.fit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Random;
import java.util.function.IntToDoubleFunction;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Losses made by a law and by what the share gives, which the fit must take apart. */
class ShareGainTest {
    private static final RobustFit.Settings SETTINGS = new RobustFit.Settings(0.98, 2, 0.4, 0.35, 1);
    private static final PowerLaw LAW = new PowerLaw(1.8, 8, .3);
    private static final int STEPS = 4000, FROM = 120;

    /** ln share / prior: a fall to a third and back to half, as a policy that errs and mends it would draw. */
    private static double fallen(int t) {
        return t < 1000 ? 0 : t < 2000 ? Math.log(1 / 3.0) : Math.log(.5);
    }

    /** A fall to a third within a quarter of the run, where the share stays. */
    private static double cut(int t) {
        return Math.log(1 / 3.0) * Math.clamp((t - 1000) / 1000.0, 0, 1);
    }

    private static FitPoints points(double gain, double sigmaNats, long seed, boolean counted) {
        return points(ShareGainTest::fallen, gain, sigmaNats, seed, counted);
    }

    /** With the domain's own count as n, so that a law in what it drew is the truth. */
    private static FitPoints points(
            IntToDoubleFunction share, double gain, double sigmaNats, long seed, boolean counted) {
        Random random = new Random(seed);
        LogBins bins = LogBins.empty(1, 0.03);
        double own = 0;
        for (int t = 0; t < STEPS; t++) {
            long drawn = Math.round(Synthetic.BATCH * Math.exp(share.applyAsDouble(t)));
            own += drawn;
            if (t < FROM) continue;
            double noise = sigmaNats * random.nextGaussian() * Math.sqrt(Synthetic.BATCH / (double) drawn);
            double[] loss = {LAW.at(own) - gain * share.applyAsDouble(t) + noise};
            bins = bins.add(new LogBins.Step(
                    (double) Synthetic.BATCH * (t + 1),
                    new double[] {own},
                    0,
                    new double[] {share.applyAsDouble(t)},
                    new long[] {drawn},
                    loss));
        }
        return bins.points(0, 0, counted);
    }

    private static double potential(FitPoints points) {
        return LAW.potential(Math.exp(points.lnN()[points.size() - 1]));
    }

    @ParameterizedTest
    @CsvSource({"0", ".05", ".1", "-.06"})
    void withoutNoiseLawAndGainAreTheTruth(double gain) {
        FitPoints points = points(gain, 0, 1, true);
        RobustFit.Result found = RobustFit.fit(points, SETTINGS);
        assertEquals(gain, found.shareGain(), 1e-3);
        assertEquals(1, found.potential() / potential(points), 0.01);
    }

    /** Errors of the gain are as large as is said of them, whatever it is. */
    @ParameterizedTest
    @CsvSource({"0", ".1", "-.05"})
    void theDeviationIsThatOfTheErrors(double gain) {
        int seeds = 200;
        double squares = 0, sum = 0;
        for (int seed = 0; seed < seeds; seed++) {
            RobustFit.Result found = RobustFit.fit(points(gain, 0.02, seed, true), SETTINGS);
            double error = (found.shareGain() - gain) / found.shareGainSd();
            squares += error * error;
            sum += error;
        }
        double rms = Math.sqrt(squares / seeds), bias = sum / seeds;
        assertTrue(rms > 0.8 && rms < 1.25, "errors are " + rms + " of the deviation, their mean " + bias);
    }

    /** A fall of the share that costs loss looks to a law alone like a domain that is learnt out. */
    @Test
    void aLawAloneTakesWhatAShareCostsForTheEndOfLearning() {
        FitPoints counted = points(.1, 0.002, 3, true), alone = points(.1, 0.002, 3, false);
        double truth = potential(counted);
        assertEquals(1, RobustFit.fit(counted, SETTINGS).potential() / truth, 0.15);
        double mistaken = RobustFit.fit(alone, SETTINGS).potential() / truth;
        assertTrue(mistaken < 0.7, "a law alone sees " + mistaken + " of the potential");
    }

    /**
     * A loss that rises as its share is cut, by gains of three to seventeen times the potential: a law alone has nothing left to
     * learn, at its ceiling, so what the gain is looked for with may not be as narrow as what that law sees.
     */
    @ParameterizedTest
    @CsvSource({".15", ".3", ".8"})
    void aGainThatMadeTheLossRiseIsFound(double gain) {
        FitPoints counted = points(ShareGainTest::cut, gain, 0.02, 7, true),
                alone = points(ShareGainTest::cut, gain, 0.02, 7, false);
        double truth = potential(counted);
        double mistaken = RobustFit.fit(alone, SETTINGS).potential() / truth;
        assertTrue(mistaken < 0.2, "a law alone sees " + mistaken + " of the potential");
        RobustFit.Result found = RobustFit.fit(counted, SETTINGS);
        assertEquals(gain, found.shareGain(), 0.01);
        assertEquals(1, found.potential() / truth, 0.2);
    }

    /** Losses that grow with the share, and fall at the end as if they did not: at the prior's share less than nothing would be left. */
    @Test
    void epsilonIsNotUnder0WhereTheGainTakesMoreThanTheLoss() {
        int size = 80, odd = 70;
        double[] lnN = new double[size], loss = new double[size], weight = new double[size], share = new double[size];
        for (int i = 0; i < size; i++) {
            lnN[i] = 6 + 0.05 * i;
            share[i] = i < odd ? 2 * (i / 10 % 2) : 2;
            loss[i] = i < odd ? new PowerLaw(.5, 8, .3).at(Math.exp(lnN[i])) + share[i] + 0.01 * (i % 3) : 1;
            weight[i] = 100;
        }
        RobustFit.Result found = RobustFit.fit(new FitPoints(lnN, loss, weight, new double[0], share), SETTINGS);
        assertTrue(found.shareGain() < -0.5, found.toString());
        assertEquals(0, found.law().epsilon());
        assertEquals(new RobustFit.Interval(0, 0), found.epsilons());
    }

    /** Where the share never moved nothing is known of the gain but its prior. */
    @Test
    void aShareThatStandsStillTellsNothing() {
        FitPoints moved = points(0, 0.02, 5, true);
        FitPoints still =
                new FitPoints(moved.lnN(), moved.lossNats(), moved.weight(), new double[0], new double[moved.size()]);
        RobustFit.Result with = RobustFit.fit(still, SETTINGS);
        RobustFit.Result without =
                RobustFit.fit(new FitPoints(moved.lnN(), moved.lossNats(), moved.weight()), SETTINGS);
        assertEquals(0, with.shareGain(), 0);
        assertEquals(1, with.shareGainSd() / with.potential(), 1e-3);
        assertEquals(1, with.potential() / without.potential(), 1e-3);
        assertEquals(1, with.spread() / without.spread(), 1e-2);
    }
}
