package dev.rheostat.testbed;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.rheostat.op.SlotLayout;
import dev.rheostat.train.LearnerLoop;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.Map;

/**
 * A learner whose loss is known exactly. It marks the keys that have passed; a value whose key is marked it predicts with
 * the domain's own noise around the key's true value, any other as one of all. So after m pairs of domain k
 * E[L] = epsilon + (ln VALUES - epsilon) sum_i p_i (1 - p_i)^m. What is idealised: a first sight with a wrong value teaches the
 * right one nevertheless; what is counted, and what a mixture changes, is which keys were met.
 *
 * <p>Losses are of values, before the step's own pairs are marked. Where the learning rate counts, a pair is marked with
 * probability learning rate / peak, so that the schedule too has a known answer.
 */
final class CountingLearner implements LearnerLoop.Learner {
    private final DataSetting setting;
    private final BedShape shape;
    private final SlotLayout layout;
    private final PairText text;
    private final double peak;
    private final BitSet known;
    private final long[] learnt_K;
    private final int[] window;
    private final int[] met;

    /** @param peak learning rate */
    CountingLearner(DataSetting setting, BedShape shape, SlotLayout layout, double peak, long seed) {
        this.setting = setting;
        this.shape = shape;
        this.layout = layout;
        this.peak = peak;
        text = new PairText(shape, seed);
        known = new BitSet(setting.spaces() * shape.keys());
        learnt_K = new long[setting.K()];
        window = new int[layout.tokens() + 1];
        met = new int[layout.sequences() * shape.pairs()];
    }

    @Override
    public void step(MemorySegment slot, double[] lossNats_K, long[] predictions_K) {
        Arrays.fill(lossNats_K, 0);
        Arrays.fill(predictions_K, 0);
        long step = slot.get(JAVA_LONG, SlotLayout.STEP_OFFSET);
        double rate = setting.decays() ? slot.get(JAVA_FLOAT, SlotLayout.LEARNING_RATE_OFFSET) / peak : 1;
        int marked = 0, pair = 0;
        for (int b = 0; b < layout.sequences(); b++) {
            int k = slot.get(JAVA_INT, layout.domainOffset() + 4L * b);
            MemorySegment.copy(
                    slot, JAVA_INT, SlotLayout.TOKENS_OFFSET + 4L * b * window.length, window, 0, window.length);
            for (int p = 0; p < shape.pairs(); p++, pair++) {
                int key = text.key(window, p * shape.width());
                lossNats_K[k] += lossNats(k, key, text.value(window[(p + 1) * shape.width() - 1]));
                predictions_K[k]++;
                // the pair's own coin, the same whenever the step is run again
                double coin = (PairText.mix(step * met.length + pair) >>> 11) * 0x1p-53;
                if (coin >= rate) continue;
                met[marked++] = key;
                learnt_K[k]++;
            }
        }
        for (int i = 0; i < marked; i++) known.set(met[i]);
    }

    private double lossNats(int k, int key, int value) {
        if (!known.get(key)) return LookupDomain.unknownNats();
        LookupDomain domain = setting.domains().get(k);
        return value == text.value((long) key) ? domain.rightNats() : domain.wrongNats();
    }

    /** Expected losses, so without noise. */
    @Override
    public double[] validationNats_K() {
        double[] lossNats_K = new double[setting.K()];
        for (int k = 0; k < lossNats_K.length; k++) lossNats_K[k] = populationNats(k);
        return lossNats_K;
    }

    /** Pairs of each domain that were marked, repeated ones included. */
    long[] learnt_K() {
        return learnt_K.clone();
    }

    /** Expected loss of domain k's text as the learner is now, nats: no sample, the whole distribution. */
    double populationNats(int k) {
        double[] p = setting.domains().get(k).frequencies(shape.keys());
        double unseen = 0;
        for (int rank = 0; rank < p.length; rank++)
            if (!known.get(setting.key(k, rank, shape.keys()))) unseen += p[rank];
        double entropy = setting.domains().get(k).entropyNats();
        return entropy + (LookupDomain.unknownNats() - entropy) * unseen;
    }

    Map<String, Object> save() {
        return Map.of("known", known.toLongArray(), "learnt", learnt_K.clone());
    }

    /** From what {@link #save} gave, once it has been JSON. */
    void restore(Map<String, Object> saved) {
        known.clear();
        known.or(BitSet.valueOf(longs(saved.get("known"))));
        System.arraycopy(longs(saved.get("learnt")), 0, learnt_K, 0, learnt_K.length);
    }

    private static long[] longs(Object list) {
        return ((List<?>) list)
                .stream().mapToLong(value -> ((Number) value).longValue()).toArray();
    }
}
