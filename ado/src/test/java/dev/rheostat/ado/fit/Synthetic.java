package dev.rheostat.ado.fit;

import java.util.Random;

/** Losses of one domain that follow a known law, and what no fit of them can beat. */
public final class Synthetic {
    public static final int BATCH = 256;

    private Synthetic() {}

    /** Relative noise of a step's mean loss is {@code sigma}, Gaussian in the logarithm. */
    public static LogBins bins(PowerLaw law, int from, int steps, double sigma, long seed) {
        Random random = new Random(seed);
        LogBins bins = LogBins.empty(1, 0.03);
        for (int t = from; t < steps; t++) {
            long n = (long) BATCH * (t + 1);
            double loss = law.at(n) * Math.exp(sigma * random.nextGaussian());
            bins = bins.add(n, new long[] {BATCH}, new double[] {loss});
        }
        return bins;
    }

    /** Same noise in nats at every step, which is what the fit takes it to be. */
    public static LogBins evenlyNoisyBins(PowerLaw law, int from, int steps, double sigmaNats, Random random) {
        LogBins bins = LogBins.empty(1, 0.03);
        for (int t = from; t < steps; t++) {
            double n = (double) BATCH * (t + 1);
            bins = bins.add(n, new long[] {BATCH}, new double[] {law.at(n) + sigmaNats * random.nextGaussian()});
        }
        return bins;
    }

    /** Slopes of ln potential at the last step in (ln epsilon, ln beta, alpha). */
    static double[] ofLnPotential(PowerLaw law, int steps) {
        return new double[] {0, 1, 1 / law.alpha() - Math.log((double) BATCH * steps)};
    }

    /** Slopes of ln epsilon in the same. */
    static double[] ofLnEpsilon() {
        return new double[] {1, 0, 0};
    }

    /**
     * Cramer-Rao bound of the standard deviation of ln potential at the last step: the inverse of the Fisher information
     * in (ln epsilon, ln beta, alpha), one observation of ln loss with standard deviation sigma a step.
     */
    public static double boundOfLnPotential(PowerLaw law, int from, int steps, double sigma) {
        double[] g = ofLnPotential(law, steps);
        return bound(law, from, steps, sigma, g);
    }

    /** The same of any quantity, by its slopes in (ln epsilon, ln beta, alpha). */
    static double bound(PowerLaw law, int from, int steps, double sigma, double[] g) {
        return Math.sqrt(dot(g, solve(information(law, from, steps, sigma), g)));
    }

    private static double[][] information(PowerLaw law, int from, int steps, double sigma) {
        double[][] information = new double[3][3];
        for (int t = from; t < steps; t++) {
            double n = (double) BATCH * (t + 1), loss = law.at(n), reducible = law.reducible(n);
            double[] slope = {law.epsilon() / loss, reducible / loss, -reducible * Math.log(n) / loss};
            for (int i = 0; i < 3; i++)
                for (int j = 0; j < 3; j++) information[i][j] += slope[i] * slope[j] / (sigma * sigma);
        }
        return information;
    }

    /**
     * How often a 90 % interval holds the truth when a normal prior on alpha goes into fit and interval alike, to the first
     * order: with F the Fisher information and V = (F + prior)^-1 the interval of a quantity with slopes g is as wide as
     * s = sqrt(g V g), its middle scatters by t = sqrt(g V F V g) only and is off by b = g V prior (mean - alpha); so it
     * holds in Phi((1.645 s - b) / t) - Phi((-1.645 s - b) / t). That is 0.9 where the data decide, and goes to 1 for
     * a law near the prior's mean where they do not.
     */
    static double coverageWithPrior(
            PowerLaw law, int from, int steps, double sigma, RobustFit.Settings settings, double[] g) {
        double[][] data = information(law, from, steps, sigma), all = information(law, from, steps, sigma);
        double precision = 1 / (settings.alphaSd() * settings.alphaSd());
        all[2][2] += precision;
        double[] vg = solve(all, g);
        double s = Math.sqrt(dot(g, vg)), square = 0;
        for (int i = 0; i < 3; i++) square += vg[i] * dot(data[i], vg);
        double t = Math.sqrt(square), b = vg[2] * precision * (settings.alphaMean() - law.alpha());
        return belowNormal((1.645 * s - b) / t) - belowNormal((-1.645 * s - b) / t);
    }

    /** P(x < z) of a standard normal, by Simpson's rule. */
    private static double belowNormal(double z) {
        double to = Math.min(Math.abs(z), 9), sum = 0;
        int parts = 200;
        for (int i = 0; i <= parts; i++) {
            double x = to * i / parts;
            sum += Math.exp(-0.5 * x * x) * (i == 0 || i == parts ? 1 : i % 2 == 1 ? 4 : 2);
        }
        double half = sum * to / parts / 3 / Math.sqrt(2 * Math.PI);
        return z > 0 ? 0.5 + half : 0.5 - half;
    }

    private static double dot(double[] a, double[] b) {
        return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
    }

    private static double[] solve(double[][] a, double[] b) {
        double determinant = determinant(a);
        double[] x = new double[3];
        for (int column = 0; column < 3; column++) {
            double[][] replaced = new double[3][];
            for (int i = 0; i < 3; i++) {
                replaced[i] = a[i].clone();
                replaced[i][column] = b[i];
            }
            x[column] = determinant(replaced) / determinant;
        }
        return x;
    }

    private static double determinant(double[][] a) {
        return a[0][0] * (a[1][1] * a[2][2] - a[1][2] * a[2][1])
                - a[0][1] * (a[1][0] * a[2][2] - a[1][2] * a[2][0])
                + a[0][2] * (a[1][0] * a[2][1] - a[1][1] * a[2][0]);
    }

    /** Every tenth step as the published code takes them. */
    static double[][] everyTenth(PowerLaw law, int from, int steps) {
        int rows = (steps - from + 9) / 10;
        double[] n = new double[rows], loss = new double[rows];
        for (int i = 0; i < rows; i++) {
            n[i] = (double) BATCH * (from + 10 * i + 1);
            loss[i] = law.at(n[i]);
        }
        return new double[][] {n, loss};
    }
}
