package dev.rheostat.train;

import java.util.List;

/**
 * How a run went.
 * @param stopped by a request, before its last step
 * @param before validation before the first step that this process did
 * @param start_K mixture of that step
 * @param end_K mixture of the last step
 * @param tokensPerSecond of training, validation and saving left out
 * @param refitWaits times that a refit was late and waited for
 */
public record RunSummary(
        List<String> names,
        long steps,
        boolean stopped,
        Validation before,
        Validation after,
        double[] start_K,
        double[] end_K,
        double[] epochs_K,
        double tokensPerSecond,
        double seconds,
        long skippedSteps,
        long refitWaits) {}
