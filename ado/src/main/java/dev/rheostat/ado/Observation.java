package dev.rheostat.ado;

/**
 * What one training step told about the domains. Arrays are copied in and must not be written after.
 *
 * @param step 0-based
 * @param learningRate the rate of this step
 * @param sequences_K sequences of each domain in the batch
 * @param tokens_K tokens of each domain in the batch
 * @param lossNats_K mean loss a token before the update, nats; NaN where the domain is absent
 */
public record Observation(long step, double learningRate, long[] sequences_K, long[] tokens_K, double[] lossNats_K) {
    public Observation {
        sequences_K = sequences_K.clone();
        tokens_K = tokens_K.clone();
        lossNats_K = lossNats_K.clone();
        if (sequences_K.length != tokens_K.length || sequences_K.length != lossNats_K.length)
            throw new IllegalArgumentException("observation of step " + step + ": " + sequences_K.length
                    + " sequence counts, " + tokens_K.length + " token counts, " + lossNats_K.length + " losses");
    }
}
