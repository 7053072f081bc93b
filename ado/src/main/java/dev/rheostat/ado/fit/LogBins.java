package dev.rheostat.ado.fit;

import java.util.Arrays;

/**
 * Losses of every domain in bins that are equally wide in ln n, so a run of any length has few of them and each decade
 * of training weighs the same in a fit. Bin j holds the steps with floor(ln(n / first n) / width) = j; an early bin is
 * one step, an empty bin does not exist. Within a bin a domain's loss and ln n are means weighted by its sequences, and a
 * domain that drew none has weight 0 there: nothing is imputed.
 *
 * <p>A value: {@link #add} leaves the old bins as they were and costs O(K). Closed bins are shared between old and new.
 */
public final class LogBins {
    /** A closed or open bin; arrays are never written after construction. */
    private record Bin(Bin earlier, int count, long index, long[] weight_K, double[] lnNSum_K, double[] lossSum_K) {}

    private final double width;
    private final int domains;
    private final long firstN;
    private final Bin newest; // the open bin; null when nothing was added

    private LogBins(double width, int domains, long firstN, Bin newest) {
        this.width = width;
        this.domains = domains;
        this.firstN = firstN;
        this.newest = newest;
    }

    /** @param width of a bin in ln n, above 0 */
    public static LogBins empty(int domains, double width) {
        return new LogBins(width, domains, 0, null);
    }

    /**
     * The bins with one more step.
     *
     * @param n sequences of all domains seen up to this step, not less than before
     * @param lossNats_K not read where sequences_K is 0; a loss that is not finite counts as absent
     */
    public LogBins add(long n, long[] sequences_K, double[] lossNats_K) {
        long first = newest == null ? n : firstN;
        long index = (long) Math.floor(Math.log((double) n / first) / width);
        double lnN = Math.log(n);
        boolean open = newest != null && newest.index == index;
        long[] weight_K = open ? newest.weight_K.clone() : new long[domains];
        double[] lnNSum_K = open ? newest.lnNSum_K.clone() : new double[domains];
        double[] lossSum_K = open ? newest.lossSum_K.clone() : new double[domains];
        for (int k = 0; k < domains; k++) {
            if (sequences_K[k] <= 0 || !Double.isFinite(lossNats_K[k])) continue;
            weight_K[k] += sequences_K[k];
            lnNSum_K[k] += sequences_K[k] * lnN;
            lossSum_K[k] += sequences_K[k] * lossNats_K[k];
        }
        Bin earlier = open ? newest.earlier : newest;
        int count = open ? newest.count : size() + 1;
        return new LogBins(width, domains, first, new Bin(earlier, count, index, weight_K, lnNSum_K, lossSum_K));
    }

    public int domains() {
        return domains;
    }

    /** Bins, the open one included. */
    public int size() {
        return newest == null ? 0 : newest.count;
    }

    /** The bins in which the domain drew anything, oldest first. */
    public FitPoints points(int domain) {
        int size = 0;
        for (Bin bin = newest; bin != null; bin = bin.earlier) if (bin.weight_K[domain] > 0) size++;
        double[] lnN = new double[size], lossNats = new double[size], weight = new double[size];
        int i = size;
        for (Bin bin = newest; bin != null; bin = bin.earlier) {
            if (bin.weight_K[domain] == 0) continue;
            i--;
            weight[i] = bin.weight_K[domain];
            lnN[i] = bin.lnNSum_K[domain] / weight[i];
            lossNats[i] = bin.lossSum_K[domain] / weight[i];
        }
        return new FitPoints(lnN, lossNats, weight);
    }

    /** All that the bins remember, flat and plain; rows oldest first, K entries a row. */
    public record Flat(long firstN, long[] index, long[] weight, double[] lnNSum, double[] lossSum) {}

    public Flat flat() {
        int rows = size();
        Flat flat = new Flat(
                firstN,
                new long[rows],
                new long[rows * domains],
                new double[rows * domains],
                new double[rows * domains]);
        for (Bin bin = newest; bin != null; bin = bin.earlier) {
            int row = bin.count - 1;
            flat.index[row] = bin.index;
            System.arraycopy(bin.weight_K, 0, flat.weight, row * domains, domains);
            System.arraycopy(bin.lnNSum_K, 0, flat.lnNSum, row * domains, domains);
            System.arraycopy(bin.lossSum_K, 0, flat.lossSum, row * domains, domains);
        }
        return flat;
    }

    /** The inverse of {@link #flat}. @throws IllegalArgumentException if lengths disagree */
    public static LogBins of(int domains, double width, Flat flat) {
        int rows = flat.index.length;
        for (int length : new int[] {flat.weight.length, flat.lnNSum.length, flat.lossSum.length})
            if (length != rows * domains)
                throw new IllegalArgumentException(
                        "bins of " + length + " values where " + rows + " rows of " + domains + " domains are said");
        Bin bin = null;
        for (int row = 0; row < rows; row++) {
            int from = row * domains, to = from + domains;
            bin = new Bin(
                    bin,
                    row + 1,
                    flat.index[row],
                    Arrays.copyOfRange(flat.weight, from, to),
                    Arrays.copyOfRange(flat.lnNSum, from, to),
                    Arrays.copyOfRange(flat.lossSum, from, to));
        }
        return new LogBins(width, domains, flat.firstN, bin);
    }
}
