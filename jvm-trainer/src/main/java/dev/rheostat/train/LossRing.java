package dev.rheostat.train;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.rheostat.op.LossHead;
import dev.rheostat.op.RecordLayout;
import dev.rheostat.op.StepIo;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.VarHandle;

/** The records of the last S steps, in memory that the backend writes and the JVM reads. One reader. */
final class LossRing {
    private static final VarHandle SEQUENCE = JAVA_LONG.varHandle();

    private final StepIo.Rings rings;

    LossRing(StepIo.Rings rings) {
        this.rings = rings;
    }

    private MemorySegment record(long step) {
        return rings.record(step);
    }

    /** Whether the step has published; if so, all of its record may be read. */
    boolean arrived(long step) {
        return (long) SEQUENCE.getAcquire(record(step), RecordLayout.SEQUENCE_OFFSET) == step + 1;
    }

    float gradNorm(long step) {
        return record(step).get(JAVA_FLOAT, RecordLayout.GRAD_NORM_OFFSET);
    }

    /** Updates skipped since the run began. */
    long skipped(long step) {
        return record(step).get(JAVA_LONG, RecordLayout.SKIPPED_OFFSET);
    }

    long clamped(long step) {
        return record(step).get(JAVA_LONG, RecordLayout.CLAMPED_OFFSET);
    }

    long tokens(long step, int k) {
        return record(step).get(JAVA_LONG, rings.recordLayout().tokenCountOffset() + 8L * k);
    }

    /** Mean loss a token of domain k in this step, nats; NaN if it had none. */
    double lossNats(long step, int k) {
        return meanNats(step, RecordLayout.LOSS_SUM_OFFSET, k);
    }

    /**
     * Mean over the tokens of domain k in this step of what a loss is above its reference loss, nats; NaN if it had none.
     * Only with reference losses.
     */
    double excessNats(long step, int k) {
        return meanNats(step, rings.recordLayout().excessSumOffset(), k);
    }

    private double meanNats(long step, long sumsOffset, int k) {
        long sum = record(step).get(JAVA_LONG, sumsOffset + 8L * k), tokens = tokens(step, k);
        return tokens == 0 ? Double.NaN : sum / LossHead.FIXED_POINT / tokens;
    }
}
