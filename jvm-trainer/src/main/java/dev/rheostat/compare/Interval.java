package dev.rheostat.compare;

import java.util.Arrays;

/**
 * The mean of so many values and where the true mean lies with 95 %: mean +- t s / sqrt(n), s the sample's standard deviation, t
 * of n - 1 degrees of freedom. Of one value there is no interval, and the half width is NaN.
 */
record Interval(double mean, double halfWidth, int values) {
    static final double CONFIDENCE = 0.95;

    /** @throws IllegalArgumentException for no value */
    static Interval of(double[] values) {
        int n = values.length;
        if (n == 0) throw new IllegalArgumentException("no value has no mean");
        double mean = Arrays.stream(values).sum() / n;
        if (n == 1) return new Interval(mean, Double.NaN, 1);
        double squares = 0;
        for (double value : values) squares += (value - mean) * (value - mean);
        double deviation = Math.sqrt(squares / (n - 1));
        return new Interval(mean, StudentT.quantile(CONFIDENCE, n - 1) * deviation / Math.sqrt(n), n);
    }

    boolean exists() {
        return !Double.isNaN(halfWidth);
    }

    /** Whether the two have a point in common; two that touch do. False where one does not exist. */
    boolean overlaps(Interval other) {
        return Math.abs(mean - other.mean) <= halfWidth + other.halfWidth;
    }

    /** Whether zero lies outside, so that the sign of the true mean is told. */
    boolean excludesZero() {
        return Math.abs(mean) > halfWidth;
    }
}
