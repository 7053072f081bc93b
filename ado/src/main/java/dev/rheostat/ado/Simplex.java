package dev.rheostat.ado;

/**
 * Shares within bounds. The projection keeps ratios (it is the Kullback-Leibler one), so, unlike the Euclidean, cutting a
 * domain into parts with bounds in proportion leaves its total share as it was.
 */
public final class Simplex {
    private static final int MAX_ROUNDS = 400;

    private Simplex() {}

    /**
     * weight_K / sum(weight_K); shares that sum to 1 up to rounding stay as they are, so that normalising twice is
     * normalising once.
     *
     * @throws IllegalArgumentException if one is negative or not finite, or all are 0
     */
    public static double[] normalise(double[] weight_K) {
        double sum = 0;
        for (double weight : weight_K) {
            if (!(weight >= 0) || weight == Double.POSITIVE_INFINITY)
                throw new IllegalArgumentException("weight " + weight + " is not in [0, infinity)");
            sum += weight;
        }
        if (!(sum > 0) || sum == Double.POSITIVE_INFINITY)
            throw new IllegalArgumentException("weights sum to " + sum + ", not to a positive number");
        if (Math.abs(sum - 1) <= weight_K.length * Math.ulp(1.0)) return weight_K.clone();
        double[] share_K = new double[weight_K.length];
        for (int k = 0; k < share_K.length; k++) share_K[k] = weight_K[k] / sum;
        return share_K;
    }

    /**
     * share_k in proportion to weight_k * exp(exponent_k), whatever the size of the exponents: the largest among positive
     * weights is taken off all. An entry of weight 0 gets nothing.
     *
     * @throws IllegalArgumentException as {@link #normalise}, also for an exponent that is not finite
     */
    static double[] tilted(double[] weight_K, double[] exponent_K) {
        double most = Double.NEGATIVE_INFINITY;
        for (int k = 0; k < weight_K.length; k++) if (weight_K[k] > 0) most = Math.max(most, exponent_K[k]);
        double[] tilted_K = new double[weight_K.length];
        for (int k = 0; k < tilted_K.length; k++)
            tilted_K[k] = weight_K[k] == 0 ? 0 : weight_K[k] * Math.exp(exponent_K[k] - most);
        return normalise(tilted_K);
    }

    /**
     * share_k = min(max(scale * weight_k, floor_k), cap_k) with the one scale at which they sum to total. Entries of
     * weight 0 stay at their floor unless the others, all at their caps, leave something; they share that equally as far
     * as their caps allow. Exact: the sum differs from total by rounding of the last place; any K.
     *
     * @param weight_K not negative, finite
     * @param floor_K lower bounds, 0 or more
     * @param cap_K upper bounds, not under the floors
     * @throws IllegalArgumentException if no shares satisfy the bounds, naming the offending numbers
     */
    public static double[] project(double[] weight_K, double[] floor_K, double[] cap_K, double total) {
        check(weight_K, floor_K, cap_K, total);
        int K = weight_K.length;
        double reach = 0;
        for (int k = 0; k < K; k++) reach += weight_K[k] > 0 ? cap_K[k] : floor_K[k];
        if (reach < total) return overflow(weight_K, floor_K, cap_K, total);
        double scale = scale(weight_K, floor_K, cap_K, total);
        double[] share_K = new double[K];
        for (int k = 0; k < K; k++) share_K[k] = bounded(scale * weight_K[k], floor_K[k], cap_K[k]);
        settle(share_K, floor_K, cap_K, total);
        return share_K;
    }

    /** Newton on the sum, which is piecewise linear and rises with the scale, so it ends exactly; halving guards it. */
    private static double scale(double[] weight_K, double[] floor_K, double[] cap_K, double total) {
        double low = 0, high = Double.MAX_VALUE, sumOfWeights = 0;
        for (double weight : weight_K) sumOfWeights += weight;
        if (sumOfWeights == 0) return 0;
        double scale = Math.min(total / sumOfWeights, Double.MAX_VALUE);
        for (int round = 0; round < MAX_ROUNDS; round++) {
            double sum = 0, slope = 0;
            for (int k = 0; k < weight_K.length; k++) {
                double scaled = scale * weight_K[k];
                sum += bounded(scaled, floor_K[k], cap_K[k]);
                if (scaled > floor_K[k] && scaled < cap_K[k]) slope += weight_K[k];
            }
            double missing = total - sum;
            if (Math.abs(missing) <= 1e-16 * total) break;
            if (missing > 0) low = scale;
            else high = scale;
            double next = scale + missing / slope;
            if (!(next > low && next < high))
                next = low == 0 ? high / 2 : high == Double.MAX_VALUE ? low * 2 : (low + high) / 2;
            if (next == scale || next == low || next == high) break; // neighbouring doubles
            scale = next;
        }
        return scale;
    }

    /** The weights cannot reach the total: those with weight go to their caps, the rest is shared by those without. */
    private static double[] overflow(double[] weight_K, double[] floor_K, double[] cap_K, double total) {
        double[] even_K = new double[weight_K.length], low_K = floor_K.clone();
        for (int k = 0; k < weight_K.length; k++) {
            if (weight_K[k] > 0) low_K[k] = cap_K[k];
            else even_K[k] = 1;
        }
        return project(even_K, low_K, cap_K, total);
    }

    /** Gives the rounding left in the sum to the entries that have most room for it. */
    private static void settle(double[] share_K, double[] floor_K, double[] cap_K, double total) {
        for (int round = 0; round < 3; round++) {
            double missing = total - sum(share_K);
            if (missing == 0) return;
            int widest = 0;
            double most = -1;
            for (int k = 0; k < share_K.length; k++) {
                double room = missing > 0 ? cap_K[k] - share_K[k] : share_K[k] - floor_K[k];
                if (room > most) {
                    most = room;
                    widest = k;
                }
            }
            share_K[widest] = bounded(share_K[widest] + missing, floor_K[widest], cap_K[widest]);
        }
    }

    /** Compensated, so that a thousand shares are summed as exactly as two. Neumaier 1974. */
    public static double sum(double[] x) {
        double sum = 0, lost = 0;
        for (double value : x) {
            double next = sum + value;
            lost += Math.abs(sum) >= Math.abs(value) ? (sum - next) + value : (value - next) + sum;
            sum = next;
        }
        return sum + lost;
    }

    private static double bounded(double x, double floor, double cap) {
        return x < floor ? floor : x > cap ? cap : x;
    }

    private static void check(double[] weight_K, double[] floor_K, double[] cap_K, double total) {
        if (weight_K.length != floor_K.length || weight_K.length != cap_K.length)
            throw new IllegalArgumentException(
                    weight_K.length + " weights, " + floor_K.length + " floors, " + cap_K.length + " caps");
        for (int k = 0; k < weight_K.length; k++) {
            if (!(weight_K[k] >= 0) || weight_K[k] == Double.POSITIVE_INFINITY)
                throw new IllegalArgumentException("weight " + weight_K[k] + " is not in [0, infinity)");
            if (!(floor_K[k] >= 0 && floor_K[k] <= cap_K[k]))
                throw new IllegalArgumentException(
                        "floor " + floor_K[k] + " and cap " + cap_K[k] + " of entry " + k + " leave no share");
        }
        double slack = 1e-12 * total; // rounding of bounds that meet exactly, such as K caps of 1/K
        if (sum(floor_K) > total + slack)
            throw new IllegalArgumentException("floors sum to " + sum(floor_K) + ", more than " + total);
        if (sum(cap_K) < total - slack)
            throw new IllegalArgumentException("caps sum to " + sum(cap_K) + ", less than " + total);
    }
}
