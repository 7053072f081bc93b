package dev.rheostat.ado;

import java.util.Arrays;

/**
 * What no mixture may leave, whatever policy made it: floors and caps of shares, and caps on how often a domain's text is
 * seen. Applied where a batch is drawn, because only there is it known what was drawn before.
 *
 * @param minShare_K floor of each share
 * @param maxShare_K cap of each share
 * @param limit_K sequences of each domain in the whole run, at most; {@link #UNLIMITED} where there is no cap
 */
public record ShareBounds(double[] minShare_K, double[] maxShare_K, long[] limit_K) {
    public static final long UNLIMITED = Long.MAX_VALUE;

    /** @throws IllegalArgumentException if lengths disagree or the shares cannot sum to 1, in the words of a run file */
    public ShareBounds {
        minShare_K = minShare_K.clone();
        maxShare_K = maxShare_K.clone();
        limit_K = limit_K.clone();
        int K = minShare_K.length;
        if (maxShare_K.length != K || limit_K.length != K)
            throw new IllegalArgumentException(
                    K + " floors, " + maxShare_K.length + " caps, " + limit_K.length + " limits");
        for (int k = 0; k < K; k++)
            if (!(minShare_K[k] >= 0 && minShare_K[k] <= maxShare_K[k]))
                throw new IllegalArgumentException("minShare " + minShare_K[k] + " is above maxShare " + maxShare_K[k]);
        double slack = 1e-12; // K floors or caps of 1 / K meet exactly but for rounding
        if (Simplex.sum(minShare_K) > 1 + slack)
            throw new IllegalArgumentException(
                    "minShare of " + K + " domains sums to " + Simplex.sum(minShare_K) + ", must be at most 1");
        if (Simplex.sum(maxShare_K) < 1 - slack)
            throw new IllegalArgumentException(
                    "maxShare of " + K + " domains sums to " + Simplex.sum(maxShare_K) + ", must be at least 1");
    }

    /** Bounds that hold for any mixture. */
    public static ShareBounds none(int domains) {
        double[] one_K = new double[domains];
        long[] unlimited_K = new long[domains];
        Arrays.fill(one_K, 1);
        Arrays.fill(unlimited_K, UNLIMITED);
        return new ShareBounds(new double[domains], one_K, unlimited_K);
    }

    /** Sequences that all domains together may give, {@link #UNLIMITED} if one of them has no limit. */
    public long totalLimit() {
        long total = 0;
        for (long limit : limit_K) {
            if (limit == UNLIMITED) return UNLIMITED;
            total += limit;
        }
        return total;
    }

    /**
     * The nearest mixture (in Kullback-Leibler distance, so ratios of domains inside their bounds stay) that one batch may be
     * drawn from: a domain never gets a larger share than its limit leaves, and what it may not have goes to the others. A
     * limit counts more than a floor, and than a cap where both together would leave no mixture. A mixture inside its
     * bounds comes back as it is, bit for bit.
     *
     * @param mixture_K sums to 1
     * @param drawn_K sequences of each domain before this batch
     * @param sequences of the batch; the limits must leave as many
     */
    public double[] apply(double[] mixture_K, long[] drawn_K, int sequences) {
        int K = mixture_K.length;
        double[] floor_K = new double[K], cap_K = new double[K], left_K = new double[K];
        boolean inside = true;
        for (int k = 0; k < K; k++) {
            left_K[k] = limit_K[k] == UNLIMITED ? 1 : Math.clamp((double) (limit_K[k] - drawn_K[k]) / sequences, 0, 1);
            cap_K[k] = Math.min(maxShare_K[k], left_K[k]);
            floor_K[k] = Math.min(minShare_K[k], cap_K[k]);
            inside &= mixture_K[k] >= floor_K[k] && mixture_K[k] <= cap_K[k];
        }
        if (inside) return mixture_K;
        boolean capsLeaveAMixture = Simplex.sum(cap_K) >= 1 - 1e-12;
        return Simplex.project(mixture_K, floor_K, capsLeaveAMixture ? cap_K : left_K, 1);
    }
}
