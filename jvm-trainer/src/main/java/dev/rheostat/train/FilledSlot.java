package dev.rheostat.train;

import dev.rheostat.data.DomainSampler;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What was written into a slot and why: enough to write it again.
 * @param mixture_K the batch was drawn from
 * @param shadow_K that the shadow policy would have had it drawn from; empty without one
 * @param epochs_K after the batch
 */
record FilledSlot(
        long step, double[] mixture_K, double[] shadow_K, int[] domain_B, long[] window_B, double[] epochs_K) {
    long[] sequences_K() {
        long[] sequences_K = new long[mixture_K.length];
        for (int domain : domain_B) sequences_K[domain]++;
        return sequences_K;
    }

    static FilledSlot of(
            long step, double[] mixture_K, double[] shadow_K, DomainSampler.Batch batch, double[] epochs_K) {
        return new FilledSlot(step, mixture_K, shadow_K, batch.domain_B(), batch.window_B(), epochs_K);
    }

    Map<String, Object> save() {
        Map<String, Object> saved = new LinkedHashMap<>();
        saved.put("step", step);
        saved.put("mixture", mixture_K);
        saved.put("shadow", shadow_K);
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
