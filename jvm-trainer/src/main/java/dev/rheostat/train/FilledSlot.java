package dev.rheostat.train;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What was written into a slot and why: enough to write it again.
 * @param mixture_K the batch was drawn from
 * @param shadow_K that the shadow policy would have had it drawn from; empty without one
 * @param lossWeight_K share of the gradient that each domain's losses are to have; empty where all tokens count the same
 * @param epochs_K after the batch
 */
record FilledSlot(
        long step,
        double[] mixture_K,
        double[] shadow_K,
        double[] lossWeight_K,
        int[] domain_B,
        long[] window_B,
        double[] epochs_K) {
    long[] sequences_K() {
        long[] sequences_K = new long[mixture_K.length];
        for (int domain : domain_B) sequences_K[domain]++;
        return sequences_K;
    }

    /**
     * Weight of each sequence's tokens: w_b proportional to lossWeight_k / mixture_k of its domain, 1 in the mean of the batch. A
     * sequence of a domain whose share is 0 by now, drawn because it was owed, has weight 0.
     */
    double[] weight_B() {
        double[] weight_B = new double[domain_B.length];
        Arrays.fill(weight_B, 1);
        if (lossWeight_K.length == 0) return weight_B;
        double sum = 0;
        for (int b = 0; b < weight_B.length; b++) {
            int k = domain_B[b];
            sum += weight_B[b] = mixture_K[k] > 0 ? lossWeight_K[k] / mixture_K[k] : 0;
        }
        for (int b = 0; b < weight_B.length; b++) weight_B[b] *= weight_B.length / sum;
        return weight_B;
    }

    Map<String, Object> save() {
        Map<String, Object> saved = new LinkedHashMap<>();
        saved.put("step", step);
        saved.put("mixture", mixture_K);
        saved.put("shadow", shadow_K);
        saved.put("lossWeight", lossWeight_K);
        saved.put("domain", domain_B);
        saved.put("window", window_B);
        saved.put("epochs", epochs_K);
        return saved;
    }

    /** @throws ClassCastException or NullPointerException where the map is not what {@link #save} gave */
    static FilledSlot restore(Map<?, ?> saved) {
        return new FilledSlot(
                ((Number) saved.get("step")).longValue(),
                doubles(saved.get("mixture")),
                doubles(saved.get("shadow")),
                doubles(saved.get("lossWeight")),
                ((List<?>) saved.get("domain"))
                        .stream().mapToInt(value -> ((Number) value).intValue()).toArray(),
                ((List<?>) saved.get("window"))
                        .stream()
                                .mapToLong(value -> ((Number) value).longValue())
                                .toArray(),
                doubles(saved.get("epochs")));
    }

    private static double[] doubles(Object list) {
        return ((List<?>) list)
                .stream().mapToDouble(value -> ((Number) value).doubleValue()).toArray();
    }
}
