package dev.rheostat.ado;

/**
 * What one training step told about the domains. Arrays are copied in and must not be written after.
 *
 * @param step 0-based
 * @param learningRate the rate of this step
 * @param sequences_K sequences of each domain in the batch
 * @param tokens_K tokens of each domain in the batch
 * @param lossNats_K mean loss a token before the update, nats; NaN where the domain is absent
 * @param excessNats_K mean over the domain's tokens of what a token's loss is above a reference model's, 0 where it is below;
 *     NaN where the domain is absent; empty where there is no reference model
 */
public record Observation(
        long step,
        double learningRate,
        long[] sequences_K,
        long[] tokens_K,
        double[] lossNats_K,
        double[] excessNats_K) {
    private static final double[] NO_REFERENCE = {};

    public Observation {
        sequences_K = sequences_K.clone();
        tokens_K = tokens_K.clone();
        lossNats_K = lossNats_K.clone();
        excessNats_K = excessNats_K.clone();
        if (sequences_K.length != tokens_K.length || sequences_K.length != lossNats_K.length)
            throw new IllegalArgumentException("observation of step " + step + ": " + sequences_K.length
                    + " sequence counts, " + tokens_K.length + " token counts, " + lossNats_K.length + " losses");
    }

    /** Of a run without a reference model. */
    public Observation(long step, double learningRate, long[] sequences_K, long[] tokens_K, double[] lossNats_K) {
        this(step, learningRate, sequences_K, tokens_K, lossNats_K, NO_REFERENCE);
    }

    /** Sequences of all domains in the batch. @throws IllegalArgumentException if there is none, or for another number of domains */
    long drawn(int domains) {
        if (sequences_K.length != domains)
            throw new IllegalArgumentException(
                    "step " + step + " tells of " + sequences_K.length + " domains, the policy has " + domains);
        long drawn = 0;
        for (long sequences : sequences_K) drawn += sequences;
        if (drawn <= 0) throw new IllegalArgumentException("step " + step + " drew no sequence");
        return drawn;
    }

    /** Whether the domain was in the batch and its loss is a number. */
    boolean tells(int k) {
        return sequences_K[k] > 0 && Double.isFinite(lossNats_K[k]);
    }
}
