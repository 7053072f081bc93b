package dev.rheostat.ado.fit;

/**
 * What one domain's law is fitted to, ordered by n.
 *
 * @param lnN mean of ln n, n in what the law counts: sequences of all domains or of its own, each times the part of the peak that the
 *     learning rate had where that counts
 * @param lossNats mean loss
 * @param weight sequences of the domain behind the mean: the variance of lossNats is a constant over it
 * @param anneal mean of {@link RateHistory#anneal}; empty where the learning rate does not count
 * @param share mean of ln(recent share / share of the prior); empty where it does not count
 */
public record FitPoints(double[] lnN, double[] lossNats, double[] weight, double[] anneal, double[] share) {
    private static final double[] NONE = {};

    public FitPoints {
        if (lnN.length != lossNats.length || lnN.length != weight.length)
            throw new IllegalArgumentException(
                    lnN.length + " places, " + lossNats.length + " losses, " + weight.length + " weights");
        if (anneal.length != 0 && anneal.length != lnN.length)
            throw new IllegalArgumentException(lnN.length + " places, " + anneal.length + " annealings");
        if (share.length != 0 && share.length != lnN.length)
            throw new IllegalArgumentException(lnN.length + " places, " + share.length + " shares");
    }

    /** Of a law in n alone. */
    public FitPoints(double[] lnN, double[] lossNats, double[] weight) {
        this(lnN, lossNats, weight, NONE, NONE);
    }

    public int size() {
        return lnN.length;
    }

    /** Mean of the losses, nats, over the sequences. */
    double meanLoss() {
        double sum = 0, count = 0;
        for (int i = 0; i < size(); i++) {
            sum += weight[i] * lossNats[i];
            count += weight[i];
        }
        return sum / count;
    }

    /**
     * The lowest mean, nats, over blocks of an eighth of the points, counted back from the newest: one noisy bin cannot set it.
     *
     * @param annealNats C: what annealing took off is added again
     * @param shareNats g: what a share above the prior's took off is added again, what one below added is taken off
     */
    double lowestRecentMean(double annealNats, double shareNats) {
        int block = Math.min(size(), Math.max(5, size() / 8));
        double lowest = Double.POSITIVE_INFINITY;
        for (int to = size(); to >= block; to -= block) {
            double sum = 0, count = 0;
            for (int i = to - block; i < to; i++) {
                double loss = lossNats[i];
                if (anneal.length > 0) loss += annealNats * anneal[i];
                if (share.length > 0) loss += shareNats * share[i];
                sum += weight[i] * loss;
                count += weight[i];
            }
            lowest = Math.min(lowest, sum / count);
        }
        return lowest;
    }
}
