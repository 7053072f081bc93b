package dev.rheostat.compare;

import dev.rheostat.ado.fit.StudentT;
import java.util.Arrays;

/**
 * The mean of so many values and where the true mean lies with 95 %: mean +- t s / sqrt(n), s the sample's standard deviation, t
 * of n - 1 degrees of freedom. Of one value there is no interval, and the half width is NaN.
 */
record Interval(double mean, double halfWidth, int values) {
    /** @throws IllegalArgumentException for no value */
    static Interval of(double[] values) {
        int n = values.length;
        if (n == 0) throw new IllegalArgumentException("no value has no mean");
        return new Interval(Arrays.stream(values).sum() / n, StudentT.halfWidth95(values), n);
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
