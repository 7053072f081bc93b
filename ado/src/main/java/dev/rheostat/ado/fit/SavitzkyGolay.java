package dev.rheostat.ado.fit;

/**
 * Savitzky-Golay smoothing: each sample becomes the value there of the least-squares polynomial over the window centred
 * on it; the first and last half window take theirs from the first and last full window ("interp" edges). Savitzky and
 * Golay 1964; edges as scipy.signal.savgol_filter's mode interp.
 */
public final class SavitzkyGolay {
    private final int window;
    private final double[][] hat; // hat[i][j]: weight of sample j in the fitted value at position i of a window

    /** @throws IllegalArgumentException unless window is odd and greater than order, and order is 0 or more */
    public SavitzkyGolay(int window, int order) {
        if (window < 1 || window % 2 == 0 || order < 0 || order >= window)
            throw new IllegalArgumentException("window " + window + " must be odd and greater than order " + order);
        this.window = window;
        this.hat = projection(window, order);
    }

    public int window() {
        return window;
    }

    /**
     * Variance of the smoothed value at a position of the window, for white noise of variance 1. In an orthogonal
     * projection it equals the position's own weight.
     */
    double noiseVariance(int position) {
        return hat[position][position];
    }

    /**
     * @param series at least a window long
     * @return the smoothed series, same length; cost: series * window multiply-adds
     * @throws IllegalArgumentException if the series is shorter than the window
     */
    public double[] smooth(double[] series) {
        int length = series.length;
        if (length < window)
            throw new IllegalArgumentException("series of " + length + " is shorter than the window of " + window);
        int half = window / 2;
        double[] smoothed = new double[length];
        for (int t = 0; t < length; t++) {
            int first = Math.clamp(t - half, 0, length - window);
            double[] weight = hat[t - first];
            double sum = 0;
            for (int j = 0; j < window; j++) sum += weight[j] * series[first + j];
            smoothed[t] = sum;
        }
        return smoothed;
    }

    /** Q Q^T for the polynomials up to the order, orthonormal over the window: two rounds of Gram-Schmidt keep 1e-15. */
    private static double[][] projection(int window, int order) {
        double half = Math.max(1, window / 2);
        double[][] basis = new double[order + 1][window];
        for (int p = 0; p <= order; p++) {
            for (int j = 0; j < window; j++) basis[p][j] = Math.pow((j - window / 2) / half, p);
            for (int round = 0; round < 2; round++)
                for (int q = 0; q < p; q++) {
                    double along = dot(basis[p], basis[q]);
                    for (int j = 0; j < window; j++) basis[p][j] -= along * basis[q][j];
                }
            double norm = Math.sqrt(dot(basis[p], basis[p]));
            for (int j = 0; j < window; j++) basis[p][j] /= norm;
        }
        double[][] hat = new double[window][window];
        for (int i = 0; i < window; i++)
            for (int j = 0; j < window; j++) for (double[] q : basis) hat[i][j] += q[i] * q[j];
        return hat;
    }

    private static double dot(double[] x, double[] y) {
        double sum = 0;
        for (int i = 0; i < x.length; i++) sum += x[i] * y[i];
        return sum;
    }
}
