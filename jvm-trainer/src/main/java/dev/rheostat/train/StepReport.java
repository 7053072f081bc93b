package dev.rheostat.train;

/**
 * What one step did, for metrics and progress.
 *
 * @param step 0-based
 * @param skipped the update was not applied: a loss or the gradient was not finite
 * @param clamped tokens whose loss was clamped for the sums
 * @param tokens predicted in the step
 * @param mixture_K that the batch was drawn from
 * @param shadow_K that the shadow policy would have had it drawn from; empty without one
 * @param lossWeight_K share of the gradient that each domain's losses were to have; empty where all tokens count the same
 * @param lossNats_K mean a token before the update; NaN where the domain is absent
 * @param excessNats_K mean a token of what the loss is above the reference's; NaN where absent, empty without reference losses
 * @param epochs_K passes over each domain's windows after this batch
 * @param dataSeconds that the step waited for its slot, the mixture's part included where the ring is not ahead
 * @param stepSeconds from launch to the record's arrival
 * @param mixtureSeconds of the updater: reading the record, observing, asking for the mixture
 * @param totalSeconds from the arrival of the record before to this one's
 */
public record StepReport(
        long step,
        double learningRate,
        float gradNorm,
        boolean skipped,
        long clamped,
        long tokens,
        double[] mixture_K,
        double[] shadow_K,
        double[] lossWeight_K,
        long[] sequences_K,
        long[] tokens_K,
        double[] lossNats_K,
        double[] excessNats_K,
        double[] epochs_K,
        double dataSeconds,
        double stepSeconds,
        double mixtureSeconds,
        double totalSeconds) {
    /** Mean loss a token over all domains, nats; NaN where a domain's sum is. */
    public double lossNats() {
        double sum = 0;
        for (int k = 0; k < tokens_K.length; k++) if (tokens_K[k] > 0) sum += tokens_K[k] * lossNats_K[k];
        return sum / tokens;
    }
}
