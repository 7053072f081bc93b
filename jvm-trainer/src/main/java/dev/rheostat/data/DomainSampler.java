package dev.rheostat.data;

import dev.rheostat.data.Keys.Purpose;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/**
 * Which window of which domain is next: a pure function of (seed, step, mixture history). A domain's training tokens are cut
 * into windows of T + 1 tokens at stride T + 1; epoch e of domain k visits them in the order of a keyed permutation.
 *
 * <p>With error feedback, every domain is owed its share of each batch, and a sequence goes where it is due first: every
 * cumulative count stays within one sequence of the cumulative mixture (within one and a half when the mixture jumps), so
 * no domain with weight is absent for long. The multinomial draw is the published one, for comparison.
 */
public final class DomainSampler {
    public enum Draw {
        ERROR_FEEDBACK,
        MULTINOMIAL
    }

    /**
     * All that a sampler remembers. Arrays are copied in and never written.
     * @param step of the next batch
     * @param owed_K sequences that error feedback still owes, negative where it gave in advance
     * @param drawn_K windows drawn so far
     */
    public record State(long step, double[] owed_K, long[] drawn_K) {
        public State {
            owed_K = owed_K.clone();
            drawn_K = drawn_K.clone();
        }

        /** Plain values, exact. */
        public Map<String, Object> save() {
            return Map.of("step", step, "owed", owed_K.clone(), "drawn", drawn_K.clone());
        }
    }

    /** The batch of one step, in the order of its sequences, and the state after it. */
    public record Batch(int[] domain_B, long[] window_B, State next) {}

    private final long seed;
    private final Draw draw;
    private final int tokens;
    private final long[] windows_K;

    /**
     * @param tokens a sequence, T
     * @throws IllegalArgumentException naming the first domain that is shorter than one window
     */
    public DomainSampler(TokenDataset dataset, int tokens, Draw draw, long seed) {
        this.seed = seed;
        this.draw = draw;
        this.tokens = tokens;
        List<Domain> domains = dataset.domains();
        windows_K = new long[domains.size()];
        for (int k = 0; k < windows_K.length; k++) {
            long have = domains.get(k).train().tokens();
            windows_K[k] = have / (tokens + 1);
            if (windows_K[k] == 0)
                throw new IllegalArgumentException("domain " + domains.get(k).name() + " has " + have
                        + " training tokens, one window of model.context " + tokens + " needs " + (tokens + 1));
        }
    }

    public State initial() {
        return new State(0, new double[windows_K.length], new long[windows_K.length]);
    }

    /** Windows of each domain: one epoch. */
    public long[] windows_K() {
        return windows_K.clone();
    }

    /** Passes over each domain's windows so far, whole and part. */
    public double[] epochs_K(State state) {
        double[] epochs = new double[windows_K.length];
        for (int k = 0; k < epochs.length; k++) epochs[k] = (double) state.drawn_K[k] / windows_K[k];
        return epochs;
    }

    /** First token of a window in its domain's training tokens. */
    public long firstToken(long window) {
        return window * (tokens + 1);
    }

    /** {@link #next(State, double[], int, long[])} without limits. */
    public Batch next(State state, double[] mixture_K, int sequences) {
        long[] unlimited_K = new long[windows_K.length];
        Arrays.fill(unlimited_K, Long.MAX_VALUE);
        return next(state, mixture_K, sequences, unlimited_K);
    }

    /**
     * @param mixture_K sums to 1; a domain with share 0 is not drawn by a multinomial, and not owed anything new
     * @param limit_K windows that are drawn of each domain in the whole run, at most; together they must leave a batch
     */
    public Batch next(State state, double[] mixture_K, int sequences, long[] limit_K) {
        double[] owed = state.owed_K.clone();
        long[] drawn = state.drawn_K.clone(), left_K = limit_K.clone();
        for (int k = 0; k < left_K.length; k++) left_K[k] -= drawn[k];
        int[] domain_B = draw == Draw.ERROR_FEEDBACK
                ? earliestDue(owed, mixture_K, sequences, left_K)
                : multinomial(state.step, mixture_K, sequences, left_K);
        shuffle(domain_B, state.step);
        long[] window_B = new long[sequences];
        for (int b = 0; b < sequences; b++) {
            int k = domain_B[b];
            window_B[b] = WindowPermutation.at(seed, k, drawn[k] / windows_K[k], windows_K[k], drawn[k] % windows_K[k]);
            drawn[k]++;
        }
        return new Batch(domain_B, window_B, new State(state.step + 1, owed, drawn));
    }

    /**
     * Owes each domain its share sequence by sequence. Of the domains that are owed something (more than 1 / (2K - 2)), the one
     * that would first be owed a whole sequence gets the next; Tijdeman 1980, "The chairman assignment problem", who proves
     * the bound of one for a mixture that is known in advance. Here it is taken to go on as it is. A domain of which nothing
     * is left is passed over.
     */
    private static int[] earliestDue(double[] owed, double[] mixture_K, int sequences, long[] left_K) {
        double eligible = owed.length == 1 ? 0 : 1.0 / (2 * owed.length - 2);
        int[] domain_B = new int[sequences];
        for (int b = 0; b < sequences; b++) {
            int chosen = -1, most = -1;
            double first = Double.POSITIVE_INFINITY;
            for (int k = 0; k < owed.length; k++) {
                owed[k] += mixture_K[k];
                if (left_K[k] <= 0) continue;
                if (most < 0 || owed[k] > owed[most]) most = k;
                double due = (1 - owed[k]) / mixture_K[k];
                if (owed[k] > eligible && due < first) {
                    first = due;
                    chosen = k;
                }
            }
            if (chosen < 0) chosen = most; // shares of zero leave debts that nobody is due
            owed[chosen] -= 1;
            left_K[chosen]--;
            domain_B[b] = chosen;
        }
        return domain_B;
    }

    /** Independent draws; what a domain of which nothing is left would get goes to the others in their ratio. */
    private int[] multinomial(long step, double[] mixture_K, int sequences, long[] left_K) {
        int[] domain_B = new int[sequences];
        for (int b = 0; b < sequences; b++) {
            double u = Keys.unit(Keys.key(seed, Purpose.DOMAIN_DRAW, step, b)), whole = 1, sum = 0;
            for (int k = 0; k < mixture_K.length; k++) if (left_K[k] <= 0) whole -= mixture_K[k];
            int chosen = -1;
            for (int k = 0; k < mixture_K.length && (chosen < 0 || u * whole >= sum); k++)
                if (left_K[k] > 0 && (mixture_K[k] > 0 || whole <= 0)) {
                    chosen = k;
                    sum += mixture_K[k];
                }
            left_K[chosen]--;
            domain_B[b] = chosen;
        }
        return domain_B;
    }

    /** Neighbours in a batch are then of any domain: micro-batches are alike. Fisher and Yates. */
    private void shuffle(int[] domain_B, long step) {
        for (int b = domain_B.length - 1; b > 0; b--) {
            long key = Keys.key(seed, Purpose.BATCH_ORDER, step, b);
            int other = (int) Long.remainderUnsigned(Keys.mix(key), b + 1);
            int domain = domain_B[b];
            domain_B[b] = domain_B[other];
            domain_B[other] = domain;
        }
    }

    /** @throws IllegalArgumentException naming the key that is missing or of the wrong length */
    public State restore(Map<String, Object> saved) {
        List<?> owed = list(saved, "owed"), drawn = list(saved, "drawn");
        if (!(saved.get("step") instanceof Number step)) throw new IllegalArgumentException("sampler: no step");
        return new State(
                step.longValue(),
                owed.stream()
                        .mapToDouble(value -> ((Number) value).doubleValue())
                        .toArray(),
                drawn.stream().mapToLong(value -> ((Number) value).longValue()).toArray());
    }

    private List<?> list(Map<String, Object> saved, String key) {
        List<Object> values = new ArrayList<>();
        if (saved.get(key) instanceof List<?> list) values.addAll(list);
        else if (saved.get(key) instanceof double[] array) for (double value : array) values.add(value);
        else if (saved.get(key) instanceof long[] array) for (long value : array) values.add(value);
        if (values.size() != windows_K.length)
            throw new IllegalArgumentException("sampler: " + key + " has " + values.size()
                    + " values, not one for each of " + windows_K.length + " domains");
        return values;
    }
}
