package dev.rheostat.ado.fit;

/** Student's t distribution for whole degrees of freedom. */
public final class StudentT {
    /** Past this no quantile of interest lies: with one degree of freedom 99.99 % is at 6,366. */
    private static final double FARTHEST = 1e6;

    private StudentT() {}

    /**
     * P(|T| <= t): the finite sums in theta = atan(t / sqrt(n)). Abramowitz and Stegun 1964, 26.7.3 and 26.7.4.
     * @param freedom n, from 1
     */
    public static double central(double t, int freedom) {
        double theta = Math.atan(t / Math.sqrt(freedom)), sin = Math.sin(theta), cos = Math.cos(theta);
        if (freedom == 1) return 2 / Math.PI * theta;
        boolean odd = freedom % 2 == 1;
        double term = odd ? cos : 1, sum = term;
        for (int j = odd ? 3 : 2; j <= freedom - 2; j += 2) {
            term *= cos * cos * (j - 1) / j;
            sum += term;
        }
        return odd ? 2 / Math.PI * (theta + sin * sum) : sin * sum;
    }

    /** The t that {@code part} of the distribution lies within, to both sides: 0.95 gives the factor of a 95 % interval. */
    public static double quantile(double part, int freedom) {
        double low = 0, high = FARTHEST;
        while (high - low > 1e-12 * high) {
            double middle = (low + high) / 2;
            if (central(middle, freedom) < part) low = middle;
            else high = middle;
        }
        return (low + high) / 2;
    }

    /** Half the width of the 95 % interval of the mean of values that scatter normally: t s / sqrt(n); NaN of fewer than two. */
    public static double halfWidth95(double... values) {
        int n = values.length;
        if (n < 2) return Double.NaN;
        double mean = 0, squares = 0;
        for (double value : values) mean += value / n;
        for (double value : values) squares += (value - mean) * (value - mean);
        return quantile(0.95, n - 1) * Math.sqrt(squares / (n - 1) / n);
    }
}
