package dev.rheostat.train;

/**
 * How a process's part of a run went; what the whole run did is in its folder.
 * @param steps done so far, by earlier processes too
 * @param stopped by a request, before the last step
 * @param before validation before the first step that this process did
 * @param tokensPerSecond of training, validation and saving left out; 0 if there was no step left to do
 * @param seconds of the same
 * @param refitWaits times that a refit was late and waited for
 */
public record RunSummary(
        long steps,
        boolean stopped,
        Validation before,
        Validation after,
        double tokensPerSecond,
        double seconds,
        long skippedSteps,
        long refitWaits) {}
