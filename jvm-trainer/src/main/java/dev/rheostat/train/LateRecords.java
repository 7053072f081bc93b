package dev.rheostat.train;

import dev.rheostat.op.Backend;
import dev.rheostat.op.DeviceException;
import java.util.Arrays;
import java.util.Locale;
import java.util.function.BooleanSupplier;

/**
 * Looks into records that are late. A device that fails never publishes, so who waits for a record asks it: once when the
 * record is later than ten median steps (at least five seconds), and again each time the wait has doubled. A device that is still
 * busy after twelve times the first limit is taken to hang. Before the first record nobody knows how long a step takes, and the
 * first one is recorded as a graph and loads its kernels too: it has an hour, and is not counted as late.
 */
final class LateRecords {
    /** @param leastNanos before which nothing is late @param medians steps @param hang times the limit that end the run */
    record Limits(long leastNanos, double medians, double hang) {
        static final Limits DEFAULT = new Limits(5_000_000_000L, 10, 12);
    }

    private static final long FIRST_STEP_NANOS = 3_600_000_000_000L;

    private final Backend<?> backend;
    private final Limits limits;
    private final long[] stepNanos = new long[63];
    private int count;
    private long askedForStep = -1;
    private long askAgainNanos;
    private long late;

    LateRecords(Backend<?> backend, Limits limits) {
        this.backend = backend;
        this.limits = limits;
    }

    /** The record of a step came so long after it could have begun. */
    void arrived(long nanos) {
        stepNanos[count++ % stepNanos.length] = nanos;
    }

    /**
     * Called now and then by who waits.
     * @param waitedNanos since the step was launched, or the record before it came
     * @param arrived whether the record is there by now
     * @throws DeviceException if the device has failed, has ended the step without a record, or hangs; one that hangs is abandoned
     */
    void waiting(long step, long waitedNanos, BooleanSupplier arrived) {
        long median = medianNanos(), limit = Math.max(limits.leastNanos(), (long) (limits.medians() * median));
        if (waitedNanos < (askedForStep == step ? askAgainNanos : limit)) return;
        if (askedForStep != step && count > 0) late++;
        askedForStep = step;
        askAgainNanos = 2 * waitedNanos;
        if (!backend.busy()) {
            // it may have ended the step since the record was last looked for
            if (arrived.getAsBoolean()) return;
            throw new DeviceException("the device has ended step " + step + " and its record never came: resume from"
                    + " the last checkpoint, and report it if it happens again");
        }
        if (waitedNanos > (count > 0 ? limits.hang() * limit : FIRST_STEP_NANOS)) {
            backend.abandon();
            throw new DeviceException(String.format(
                    Locale.ROOT,
                    "step %d has been running for %.1f s, where the median step takes %.3f s: the device hangs; look at"
                            + " the kernel log for its Xid messages, then resume from the last checkpoint",
                    step,
                    waitedNanos * 1e-9,
                    median * 1e-9));
        }
    }

    /** Records that were late. */
    long late() {
        return late;
    }

    private long medianNanos() {
        int n = Math.min(count, stepNanos.length);
        if (n == 0) return 0;
        long[] sorted = Arrays.copyOf(stepNanos, n);
        Arrays.sort(sorted);
        return sorted[n / 2];
    }
}
