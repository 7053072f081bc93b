package dev.rheostat.train;

import dev.rheostat.op.Backend;
import dev.rheostat.op.DeviceException;
import java.util.Arrays;
import java.util.Locale;
import java.util.function.BooleanSupplier;

/**
 * Looks into records that do not come. A device that fails never publishes, so who waits for a record asks it: first when the
 * record takes three median steps (at least half a second), then each time the wait has doubled, so that a device which fails is
 * heard of soon and one which works is asked nothing. After ten median steps (at least five seconds) the record is late, and a
 * device that is still busy after twelve times as long is taken to hang. Before the first record nobody knows how long a step
 * takes, and the first one is recorded as a graph and loads its kernels too: it has an hour, and is not counted as late.
 */
public final class LateRecords {
    /**
     * @param leastNanos before which nothing is late
     * @param medians steps
     * @param hang times the limit that end the run
     * @param askNanos before which the device is not asked
     */
    public record Limits(long leastNanos, double medians, double hang, long askNanos) {
        public static final Limits DEFAULT = new Limits(5_000_000_000L, 10, 12);

        Limits(long leastNanos, double medians, double hang) {
            this(leastNanos, medians, hang, ASK_NANOS);
        }
    }

    private static final long FIRST_STEP_NANOS = 3_600_000_000_000L;

    /** What a busy host may lose of its time without the device being asked: longer than a scheduler's or a collector's pause. */
    private static final long ASK_NANOS = 500_000_000L;

    private static final int ASK_MEDIANS =
            3; // steps on a device are alike; one of three times the length is not one of them

    private final Backend<?> backend;
    private final Limits limits;
    private final String what;
    private final long[] stepNanos = new long[63];
    private int count;
    private long medianNanos;
    private long askedForStep = -1;
    private long askAgainNanos;
    private long lateStep = -1;
    private long late;

    /** @param what publishes the records, for messages: "step" */
    public LateRecords(Backend<?> backend, Limits limits, String what) {
        this.backend = backend;
        this.limits = limits;
        this.what = what;
    }

    /** The record of a step came so long after it could have begun. */
    public void arrived(long nanos) {
        stepNanos[count++ % stepNanos.length] = nanos;
        int n = Math.min(count, stepNanos.length);
        long[] sorted = Arrays.copyOf(stepNanos, n);
        Arrays.sort(sorted);
        medianNanos = sorted[n / 2];
    }

    /**
     * Called now and then by who waits.
     * @param waitedNanos since the step was launched, or the record before it came
     * @param arrived whether the record is there by now
     * @throws DeviceException if the device has failed, has ended the step without a record, or hangs; one that hangs is abandoned
     */
    public void waiting(long step, long waitedNanos, BooleanSupplier arrived) {
        long limit = Math.max(limits.leastNanos(), (long) (limits.medians() * medianNanos));
        long first = Math.min(limit, Math.max(limits.askNanos(), ASK_MEDIANS * medianNanos));
        if (waitedNanos < (askedForStep == step ? askAgainNanos : first)) return;
        if (waitedNanos >= limit && lateStep != step && count > 0) {
            late++;
            lateStep = step;
        }
        askedForStep = step;
        askAgainNanos = waitedNanos < limit ? Math.min(limit, 2 * waitedNanos) : 2 * waitedNanos;
        if (!backend.busy()) {
            // it may have ended the step since the record was last looked for
            if (arrived.getAsBoolean()) return;
            throw new DeviceException(
                    "the device has ended " + what + " " + step + " and its record never came: start again"
                            + " from the last checkpoint, and report it if it happens again");
        }
        if (waitedNanos > (count > 0 ? limits.hang() * limit : FIRST_STEP_NANOS)) {
            backend.abandon();
            throw DeviceException.hangs(String.format(
                    Locale.ROOT,
                    "%s %d has been running for %.1f s, where the median one takes %.3f s",
                    what,
                    step,
                    waitedNanos * 1e-9,
                    medianNanos * 1e-9));
        }
    }

    /** Records that were late. */
    long late() {
        return late;
    }
}
