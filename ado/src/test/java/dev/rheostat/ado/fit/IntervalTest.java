package dev.rheostat.ado.fit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Do the 90 % intervals hold the truth as often as they say? Each count is over 200 seeds, so its own deviation is 0.02. */
class IntervalTest {
    private static final RobustFit.Settings SETTINGS = new RobustFit.Settings(0.98, 2, 0.4, 0.35, 1);
    private static final int SEEDS = 200;

    private static double newest(FitPoints points) {
        return Math.exp(points.lnN()[points.size() - 1]);
    }

    /**
     * The table of the known bounds, and laws of low epsilon. Where the data decide, 0.9 is expected and [0.85, 0.95] asked
     * for. Where they do not the prior on alpha keeps fits near its mean, and these laws lie near it, so the intervals hold
     * more often; by how much follows from {@link Synthetic#coverageWithPrior}, not from what the fit does. Where the ceiling
     * is nearer to epsilon than the interval reaches, no fit goes past it while the intervals may: what was derived is
     * then the least to expect.
     */
    @ParameterizedTest
    @CsvSource({
        "2.2, 8, .3, 2000, .02",
        "2.2, 8, .3, 5000, .02",
        "2.2, 8, .3, 20000, .02",
        "2.2, 8, .3, 20000, .10",
        ".9, 6, .25, 2000, .02",
        ".9, 6, .25, 5000, .02",
        ".9, 6, .25, 20000, .02",
        ".9, 6, .25, 20000, .10"
    })
    void theyHoldTheTruthAsOftenAsTheyShould(double epsilon, double beta, double alpha, int steps, double sigma) {
        PowerLaw law = new PowerLaw(epsilon, beta, alpha);
        int potentials = 0, epsilons = 0;
        for (int seed = 0; seed < SEEDS; seed++) {
            FitPoints points = Synthetic.bins(law, 1000, steps, sigma, seed).points(0);
            RobustFit.Result found = RobustFit.fit(points, SETTINGS);
            if (found.potentials().holds(law.potential(newest(points)))) potentials++;
            if (found.epsilons().holds(law.epsilon())) epsilons++;
        }
        double[] ofEpsilon = Synthetic.ofLnEpsilon();
        double reach = 1.645 * epsilon * Synthetic.bound(law, 1000, steps, sigma, ofEpsilon);
        double ceiling = SETTINGS.ceiling() * law.at((double) Synthetic.BATCH * steps);
        boolean nearCeiling = epsilon + reach > ceiling;
        held("potentials", potentials, nearCeiling, coverage(law, steps, sigma, Synthetic.ofLnPotential(law, steps)));
        held("epsilons", epsilons, nearCeiling, coverage(law, steps, sigma, ofEpsilon));
    }

    private static double coverage(PowerLaw law, int steps, double sigma, double[] slopes) {
        return Synthetic.coverageWithPrior(law, 1000, steps, sigma, SETTINGS, slopes);
    }

    private static void held(String what, int count, boolean orMore, double expected) {
        double held = (double) count / SEEDS;
        assertTrue(
                held >= expected - 0.05 && (orMore || held <= expected + 0.05),
                what + " held: " + held + ", expected " + expected);
    }

    /** Over laws that the prior itself draws, 0.9 is expected whether data or prior decide: half of these fits are of either kind. */
    @Test
    void overLawsOfThePriorTheyHoldNineInTen() {
        Random random = new Random(7);
        int steps = 20_000, potentials = 0, epsilons = 0;
        double levelNats = 2.4, n = (double) Synthetic.BATCH * steps;
        for (int seed = 0; seed < SEEDS; seed++) {
            double alpha = Double.NaN;
            while (!(alpha >= RobustFit.ALPHA_MIN && alpha <= RobustFit.ALPHA_MAX))
                alpha = SETTINGS.alphaMean() + SETTINGS.alphaSd() * random.nextGaussian();
            double epsilon = 0.97 * levelNats * random.nextDouble();
            PowerLaw law = new PowerLaw(epsilon, (levelNats - epsilon) * Math.pow(n, alpha), alpha);
            FitPoints points = Synthetic.evenlyNoisyBins(law, 1000, steps, 0.1 * levelNats, random)
                    .points(0);
            RobustFit.Result found = RobustFit.fit(points, SETTINGS);
            if (found.potentials().holds(law.potential(newest(points)))) potentials++;
            if (found.epsilons().holds(epsilon)) epsilons++;
        }
        assertTrue(potentials >= 0.85 * SEEDS && potentials <= 0.95 * SEEDS, "potentials held: " + potentials);
        assertTrue(epsilons >= 0.85 * SEEDS && epsilons <= 0.95 * SEEDS, "epsilons held: " + epsilons);
    }

    /**
     * The fit stays 2 % under the lowest loss, where this law's epsilon is not: the estimate is wrong by construction, the
     * interval need not be, because it ends at the loss itself. It misses on one side alone, so 0.95 or more are expected.
     */
    @Test
    void aboveTheCeilingTheIntervalStillHoldsEpsilon() {
        PowerLaw law = new PowerLaw(1.8, 12, 0.45);
        int held = 0;
        for (int seed = 0; seed < SEEDS; seed++) {
            FitPoints points = Synthetic.bins(law, 1000, 5_000, 0.02, seed).points(0);
            RobustFit.Result found = RobustFit.fit(points, SETTINGS);
            assertTrue(found.law().epsilon() < law.epsilon(), "seed " + seed);
            if (found.epsilons().holds(law.epsilon())) held++;
        }
        assertTrue(held >= 0.95 * SEEDS, "epsilons held: " + held);
    }

    /** An end is where the criterion, minimised over all else by another program, has risen by the square of Student's t. */
    @ParameterizedTest
    @CsvSource({"2.2, 8, .3, 20000, .02, 1", ".9, 6, .25, 5000, .02, 2", "1.5, 6, .25, 20000, .05, 3"})
    void theEndsAreWhereTheProfileIsCut(double epsilon, double beta, double alpha, int steps, double sigma, long seed) {
        RobustFit.Settings leastSquares = new RobustFit.Settings(0.98, 1e6, 0.4, 0.35, 1);
        FitPoints points = Synthetic.bins(new PowerLaw(epsilon, beta, alpha), 1000, steps, sigma, seed)
                .points(0);
        RobustFit.Result found = RobustFit.fit(points, leastSquares);
        assertTrue(found.epsilons().low() > 0 && found.epsilons().high() < points.lowestRecentMean(0, 0));
        double lowest = profile(points, found.sigmaNats(), found.law().epsilon());
        double student = 1.6606; // 0.95 quantile at 100 degrees of freedom; at 50 it is 1.676
        for (double end : new double[] {found.epsilons().low(), found.epsilons().high()})
            assertEquals(student * student, profile(points, found.sigmaNats(), end) - lowest, 0.06, "at " + end);
    }

    /** Least squares of loss - epsilon on n^-alpha for 5,000 values of alpha, and the prior. */
    private static double profile(FitPoints points, double sigma, double epsilon) {
        double lowest = Double.POSITIVE_INFINITY, end = points.lnN()[points.size() - 1];
        for (double alpha = 0.02; alpha < 1; alpha += 2e-4) {
            double xx = 0, xy = 0, squares = 0;
            for (int i = 0; i < points.size(); i++) {
                double x = Math.exp(-alpha * (points.lnN()[i] - end)), w = points.weight()[i];
                xx += w * x * x;
                xy += w * x * (points.lossNats()[i] - epsilon);
            }
            for (int i = 0; i < points.size(); i++) {
                double x = Math.exp(-alpha * (points.lnN()[i] - end));
                squares += points.weight()[i] * Math.pow(points.lossNats()[i] - epsilon - xy / xx * x, 2);
            }
            lowest = Math.min(lowest, squares / (sigma * sigma) + Math.pow((alpha - 0.4) / 0.35, 2));
        }
        return lowest;
    }
}
