package dev.rheostat.report;

import java.util.function.IntToDoubleFunction;

/** Series of any length made drawable: a screen shows some hundreds of points, so more than that are averaged. */
public final class Curves {
    /** More points than a chart of the report is wide are not seen. */
    static final int MOST_POINTS = 500;

    private Curves() {}

    /**
     * Steps first (incl.) to last (excl.) of each point: at most {@link #MOST_POINTS} runs of steps of equal length, the
     * last perhaps shorter.
     */
    public static int[] edges(int steps) {
        int width = Math.max(1, (steps + MOST_POINTS - 1) / MOST_POINTS);
        int points = (steps + width - 1) / width;
        int[] edges = new int[points + 1];
        for (int i = 0; i < points; i++) edges[i] = i * width;
        edges[points] = steps;
        return edges;
    }

    /** Weighted mean of each run of steps; NaN values and weights of 0 do not count, a run of none is NaN. */
    public static double[] means(int[] edges, IntToDoubleFunction value, IntToDoubleFunction weight) {
        double[] means = new double[edges.length - 1];
        for (int i = 0; i < means.length; i++) {
            double sum = 0, weights = 0;
            for (int t = edges[i]; t < edges[i + 1]; t++) {
                double v = value.applyAsDouble(t), w = weight.applyAsDouble(t);
                if (Double.isNaN(v) || w <= 0) continue;
                sum += w * v;
                weights += w;
            }
            means[i] = weights == 0 ? Double.NaN : sum / weights;
        }
        return means;
    }

    /** The weighted mean over the domains that have a value. */
    public static double mean(double[] value_K, double[] weight_K) {
        double sum = 0, weights = 0;
        for (int k = 0; k < value_K.length; k++) {
            if (Double.isNaN(value_K[k])) continue;
            sum += weight_K[k] * value_K[k];
            weights += weight_K[k];
        }
        return sum / weights;
    }

    /**
     * Each point i the weighted mean of those up to {@code mostReach} and i/3 away, nearer ones counting more (triangular
     * window): a loss falls steeply at its start, where a wide window would flatten it. Points without a value take their
     * neighbours'; NaN only where none is in reach.
     */
    static double[] smooth(double[] values, double[] weights, int mostReach) {
        double[] smooth = new double[values.length];
        for (int i = 0; i < values.length; i++) {
            double sum = 0, total = 0;
            int reach = Math.min(mostReach, i / 3);
            for (int j = Math.max(0, i - reach); j <= Math.min(values.length - 1, i + reach); j++) {
                if (Double.isNaN(values[j])) continue;
                double w = weights[j] * (reach + 1 - Math.abs(i - j));
                sum += w * values[j];
                total += w;
            }
            smooth[i] = total == 0 ? Double.NaN : sum / total;
        }
        return smooth;
    }
}
