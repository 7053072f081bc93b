package dev.rheostat.train;

/**
 * How a process's part of a run went; what the whole run did is in its folder.
 * @param steps done so far, by earlier processes too
 * @param stopped by a request, before the last step
 * @param before validation before the first step that this process did
 * @param tokensPerSecond of training, validation and saving left out; 0 if there was no step left to do
 * @param seconds of the same
 */
public record RunSummary(
        long steps,
        boolean stopped,
        Validation before,
        Validation after,
        double tokensPerSecond,
        double seconds,
        long skippedSteps,
        Stalls stalls) {
    /**
     * Times that something waited which should not have to.
     * @param ringEmpty the device for a slot
     * @param lateRecords the host for a record, so long that it asked the device
     * @param lateRefits the mixture for a refit
     */
    public record Stalls(long ringEmpty, long lateRecords, long lateRefits) {
        public boolean none() {
            return ringEmpty == 0 && lateRecords == 0 && lateRefits == 0;
        }
    }
}
