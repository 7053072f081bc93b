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

    /**
     * Cramer-Rao bound of the standard deviation of ln potential at the last step: the inverse of the Fisher information
     * in (ln epsilon, ln beta, alpha), one observation of ln loss with standard deviation sigma a step.
     */
    public static double boundOfLnPotential(PowerLaw law, int from, int steps, double sigma) {
        double[][] information = new double[3][3];
        for (int t = from; t < steps; t++) {
            double n = (double) BATCH * (t + 1), loss = law.at(n), reducible = law.reducible(n);
            double[] slope = {law.epsilon() / loss, reducible / loss, -reducible * Math.log(n) / loss};
            for (int i = 0; i < 3; i++)
                for (int j = 0; j < 3; j++) information[i][j] += slope[i] * slope[j] / (sigma * sigma);
        }
        double[] g = {0, 1, 1 / law.alpha() - Math.log((double) BATCH * steps)};
        double[] solved = solve(information, g);
        return Math.sqrt(g[0] * solved[0] + g[1] * solved[1] + g[2] * solved[2]);
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
