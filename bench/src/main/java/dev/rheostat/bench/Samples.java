package dev.rheostat.bench;

import java.util.Arrays;

/** Arithmetic of repeated measurements. */
final class Samples {
    /** Two-sided 95 % points of Student's t by degrees of freedom, 1 to 30; above, the normal's 1.96 is 4 % off at most. */
    private static final double[] T95 = {
        12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120,
        2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042
    };

    private Samples() {}

    static double median(double... values) {
        double[] sorted = values.clone();
        Arrays.sort(sorted);
        int n = sorted.length;
        return n % 2 == 1 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
    }

    static double mean(double... values) {
        return Arrays.stream(values).average().orElse(Double.NaN);
    }

    /** Half the width of the 95 % interval of the mean. */
    static double halfInterval(double... values) {
        int n = values.length;
        if (n < 2) return Double.POSITIVE_INFINITY;
        double mean = mean(values), squares = 0;
        for (double value : values) squares += (value - mean) * (value - mean);
        return (n - 1 <= T95.length ? T95[n - 2] : 1.96) * Math.sqrt(squares / (n - 1) / n);
    }
}
