package dev.rheostat.ado.fit;

import java.util.Arrays;

/**
 * Losses of every domain in bins that are equally wide in ln n, so a run of any length has few of them and each decade
 * of training weighs the same in a fit. Bin j holds the steps with floor(ln(n / first n) / width) = j; an early bin is
 * one step, an empty bin does not exist. Where the learning rate counts, n is {@link RateHistory#travelled}, whose unit does
 * not matter, and a bin holds {@link RateHistory#area} too. Within a bin a domain's loss, the logarithm of where its law
 * stands (n, or its own count), area and the logarithm of its recent share are means weighted by its sequences, and a domain that drew
 * none has weight 0 there: nothing is imputed.
 *
 * <p>A value: {@link #add} leaves the old bins as they were and costs O(K). Closed bins are shared between old and new.
 */
public final class LogBins {
    /** A closed or open bin; arrays are never written after construction. */
    private record Bin(
            Bin earlier,
            int count,
            long index,
            long[] weight_K,
            double[] lnNSum_K,
            double[] lossSum_K,
            double[] areaSum_K,
            double[] shareSum_K) {}

    /**
     * What a step adds.
     *
     * @param n sequences of all domains seen up to this step, not less than before, above 0
     * @param place_K where the law of each domain stands at this step: at n, or in what it counts instead; above 0 where it drew
     * @param area 0 where the learning rate does not count
     * @param share_K ln of each domain's recent share over its share of the prior; all 0 where it does not count
     * @param sequences_K that the step drew
     * @param lossNats_K not read where sequences_K is 0; a loss that is not finite counts as absent
     */
    public record Step(
            double n, double[] place_K, double area, double[] share_K, long[] sequences_K, double[] lossNats_K) {}

    private final double width;
    private final int domains;
    private final double firstN;
    private final Bin newest; // the open bin; null when nothing was added

    private LogBins(double width, int domains, double firstN, Bin newest) {
        this.width = width;
        this.domains = domains;
        this.firstN = firstN;
        this.newest = newest;
    }

    /** @param width of a bin in ln n, above 0 */
    public static LogBins empty(int domains, double width) {
        return new LogBins(width, domains, 0, null);
    }

    /** The bins with one more step of laws in n alone. */
    public LogBins add(double n, long[] sequences_K, double[] lossNats_K) {
        double[] place_K = new double[domains];
        Arrays.fill(place_K, n);
        return add(new Step(n, place_K, 0, new double[domains], sequences_K, lossNats_K));
    }

    /** The bins with one more step. */
    public LogBins add(Step step) {
        double first = newest == null ? step.n : firstN;
        long index = (long) Math.floor(Math.log(step.n / first) / width);
        boolean open = newest != null && newest.index == index;
        long[] weight_K = open ? newest.weight_K.clone() : new long[domains];
        double[] lnNSum_K = open ? newest.lnNSum_K.clone() : new double[domains];
        double[] lossSum_K = open ? newest.lossSum_K.clone() : new double[domains];
        double[] areaSum_K = open ? newest.areaSum_K.clone() : new double[domains];
        double[] shareSum_K = open ? newest.shareSum_K.clone() : new double[domains];
        for (int k = 0; k < domains; k++) {
            long sequences = step.sequences_K[k];
            if (sequences <= 0 || !Double.isFinite(step.lossNats_K[k])) continue;
            weight_K[k] += sequences;
            lnNSum_K[k] += sequences * Math.log(step.place_K[k]);
            lossSum_K[k] += sequences * step.lossNats_K[k];
            areaSum_K[k] += sequences * step.area;
            shareSum_K[k] += sequences * step.share_K[k];
        }
        Bin earlier = open ? newest.earlier : newest;
        int count = open ? newest.count : size() + 1;
        Bin bin = new Bin(earlier, count, index, weight_K, lnNSum_K, lossSum_K, areaSum_K, shareSum_K);
        return new LogBins(width, domains, first, bin);
    }

    public int domains() {
        return domains;
    }

    /** Bins, the open one included. */
    public int size() {
        return newest == null ? 0 : newest.count;
    }

    /** The bins in which the domain drew anything, oldest first, for a law in n alone. */
    public FitPoints points(int domain) {
        return points(domain, 0, false);
    }

    /**
     * The same with what counts beside n.
     *
     * @param peak highest learning rate so far: there is S2, ln n being ln S1; 0 where the learning rate does not count
     * @param shares whether recent shares count
     */
    public FitPoints points(int domain, double peak, boolean shares) {
        int size = 0;
        for (Bin bin = newest; bin != null; bin = bin.earlier) if (bin.weight_K[domain] > 0) size++;
        double[] lnN = new double[size], lossNats = new double[size], weight = new double[size];
        double[] anneal = new double[peak > 0 ? size : 0], share = new double[shares ? size : 0];
        double lnPeak = peak > 0 ? Math.log(peak) : 0;
        int i = size;
        for (Bin bin = newest; bin != null; bin = bin.earlier) {
            if (bin.weight_K[domain] == 0) continue;
            i--;
            weight[i] = bin.weight_K[domain];
            lnN[i] = bin.lnNSum_K[domain] / weight[i] - lnPeak;
            lossNats[i] = bin.lossSum_K[domain] / weight[i];
            if (peak > 0) anneal[i] = bin.areaSum_K[domain] / weight[i] / peak;
            if (shares) share[i] = bin.shareSum_K[domain] / weight[i];
        }
        return new FitPoints(lnN, lossNats, weight, anneal, share);
    }

    /** All that the bins remember, flat and plain; rows oldest first, K entries a row. */
    public record Flat(
            double firstN,
            long[] index,
            long[] weight,
            double[] lnNSum,
            double[] lossSum,
            double[] areaSum,
            double[] shareSum) {}

    public Flat flat() {
        int rows = size();
        Flat flat = new Flat(
                firstN,
                new long[rows],
                new long[rows * domains],
                new double[rows * domains],
                new double[rows * domains],
                new double[rows * domains],
                new double[rows * domains]);
        for (Bin bin = newest; bin != null; bin = bin.earlier) {
            int row = bin.count - 1;
            flat.index[row] = bin.index;
            System.arraycopy(bin.weight_K, 0, flat.weight, row * domains, domains);
            System.arraycopy(bin.lnNSum_K, 0, flat.lnNSum, row * domains, domains);
            System.arraycopy(bin.lossSum_K, 0, flat.lossSum, row * domains, domains);
            System.arraycopy(bin.areaSum_K, 0, flat.areaSum, row * domains, domains);
            System.arraycopy(bin.shareSum_K, 0, flat.shareSum, row * domains, domains);
        }
        return flat;
    }

    /** The inverse of {@link #flat}. @throws IllegalArgumentException if lengths disagree */
    public static LogBins of(int domains, double width, Flat flat) {
        int rows = flat.index.length;
        for (int length : new int[] {
            flat.weight.length, flat.lnNSum.length, flat.lossSum.length, flat.areaSum.length, flat.shareSum.length
        })
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
                    Arrays.copyOfRange(flat.lossSum, from, to),
                    Arrays.copyOfRange(flat.areaSum, from, to),
                    Arrays.copyOfRange(flat.shareSum, from, to));
        }
        return new LogBins(width, domains, flat.firstN, bin);
    }
}
