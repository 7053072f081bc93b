package dev.rheostat.ado.fit;

/**
 * Every step's loss of every domain, as the published code keeps it. A value: {@link #add} leaves the old series as it
 * was and costs O(K), because the new one is a row in front of it; a fit or a save walks the rows once.
 */
public final class LossSeries {
    private final LossSeries earlier; // null in the empty series
    private final int length;
    private final long n;
    private final double[] lossNats_K;

    private LossSeries(LossSeries earlier, int length, long n, double[] lossNats_K) {
        this.earlier = earlier;
        this.length = length;
        this.n = n;
        this.lossNats_K = lossNats_K;
    }

    public static LossSeries empty(int domains) {
        return new LossSeries(null, 0, 0, new double[domains]);
    }

    /**
     * The series with one more row. An absent domain (no sequences, or a loss that is not finite) repeats its previous
     * loss, or takes the batch mean if it never had one: the imputation of the published code.
     *
     * @param n sequences of all domains seen up to this step
     */
    public LossSeries add(long n, long[] sequences_K, double[] lossNats_K) {
        double sum = 0;
        long count = 0;
        for (int k = 0; k < sequences_K.length; k++)
            if (sequences_K[k] > 0 && Double.isFinite(lossNats_K[k])) {
                sum += sequences_K[k] * lossNats_K[k];
                count += sequences_K[k];
            }
        double[] row_K = new double[sequences_K.length];
        for (int k = 0; k < row_K.length; k++) {
            boolean present = sequences_K[k] > 0 && Double.isFinite(lossNats_K[k]);
            row_K[k] = present ? lossNats_K[k] : length > 0 ? this.lossNats_K[k] : sum / count;
        }
        return new LossSeries(this, length + 1, n, row_K);
    }

    public int length() {
        return length;
    }

    public int domains() {
        return lossNats_K.length;
    }

    /** n of each row, oldest first. */
    public long[] totals() {
        long[] totals = new long[length];
        for (LossSeries row = this; row.length > 0; row = row.earlier) totals[row.length - 1] = row.n;
        return totals;
    }

    /** loss_KT, nats: one array a domain, oldest first. */
    public double[][] losses() {
        double[][] loss_KT = new double[domains()][length];
        for (LossSeries row = this; row.length > 0; row = row.earlier)
            for (int k = 0; k < loss_KT.length; k++) loss_KT[k][row.length - 1] = row.lossNats_K[k];
        return loss_KT;
    }

    /** The inverse of {@link #totals} and {@link #losses}. @throws IllegalArgumentException if their lengths disagree */
    public static LossSeries of(long[] totals, double[][] loss_KT) {
        for (double[] loss_T : loss_KT)
            if (loss_T.length != totals.length)
                throw new IllegalArgumentException(
                        "losses of " + loss_T.length + " steps beside totals of " + totals.length);
        LossSeries series = empty(loss_KT.length);
        for (int t = 0; t < totals.length; t++) {
            double[] row_K = new double[loss_KT.length];
            for (int k = 0; k < row_K.length; k++) row_K[k] = loss_KT[k][t];
            series = new LossSeries(series, t + 1, totals[t], row_K);
        }
        return series;
    }
}
