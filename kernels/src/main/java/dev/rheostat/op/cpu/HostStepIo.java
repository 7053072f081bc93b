package dev.rheostat.op.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.rheostat.op.AdamW;
import dev.rheostat.op.DType;
import dev.rheostat.op.HostTensor;
import dev.rheostat.op.LossHead;
import dev.rheostat.op.RecordLayout;
import dev.rheostat.op.SlotLayout;
import dev.rheostat.op.StepIo;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.VarHandle;

/** Copies between the rings' memory and tensors; a few KiB a step, so the definition is all there is. */
final class HostStepIo implements StepIo<HostTensor> {
    private static final VarHandle SEQUENCE = JAVA_LONG.varHandle();

    private final Rings rings;
    private final HostMemory memory;
    private long step;

    HostStepIo(Rings rings, HostMemory memory) {
        this.rings = rings;
        this.memory = memory;
    }

    @Override
    public MicroBatch<HostTensor> allocateMicroBatch() {
        long R = rings.slotLayout().rows();
        return new MicroBatch<>(
                memory.allocate("batch", DType.I32, R),
                memory.allocate("batch", DType.I32, R),
                memory.allocate("batch", DType.I32, R),
                memory.allocate("batch", DType.F32, R),
                memory.allocate("batch", DType.I32, R),
                rings.slotLayout().referenceLosses() ? memory.allocate("batch", DType.F32, R) : null);
    }

    @Override
    public void seek(long step) {
        this.step = step;
    }

    @Override
    public void begin(AdamW.Control<HostTensor> control) {
        if (control == null) return;
        control.learningRate_1().setDouble(0, rings.slot(step).get(JAVA_FLOAT, SlotLayout.LEARNING_RATE_OFFSET));
    }

    @Override
    public void load(MicroBatch<HostTensor> into, int microBatch) {
        SlotLayout layout = rings.slotLayout();
        if (microBatch < 0 || microBatch >= layout.microBatches())
            throw new IllegalArgumentException(
                    "micro-batch " + microBatch + "; the layout has " + layout.microBatches() + " micro-batches");
        MemorySegment slot = rings.slot(step);
        int T = layout.tokens(), sequences = layout.sequences() / layout.microBatches();
        for (int i = 0; i < sequences; i++) {
            long b = (long) microBatch * sequences + i, row = (long) i * T;
            long tokens = SlotLayout.TOKENS_OFFSET + 4 * b * (T + 1);
            copyInts(into.tokens_R(), row, slot, tokens, T);
            copyInts(into.targets_R(), row, slot, tokens + 4, T);
            copyInts(into.docStart_R(), row, slot, layout.docStartOffset() + 4 * b * T, T);
            int domain = slot.get(JAVA_INT, layout.domainOffset() + 4 * b);
            float weight = slot.get(JAVA_FLOAT, layout.weightOffset() + 4 * b);
            for (long r = row; r < row + T; r++) {
                into.domain_R().setInt(r, domain);
                into.weight_R().setDouble(r, weight);
            }
            if (into.refLoss_R() == null) continue;
            long refLoss = layout.refLossOffset() + 4 * b * T;
            for (int t = 0; t < T; t++) into.refLoss_R().setDouble(row + t, slot.get(JAVA_FLOAT, refLoss + 4L * t));
        }
    }

    @Override
    public void publish(LossHead.Sums<HostTensor> sums, AdamW.Control<HostTensor> control) {
        MemorySegment record = rings.record(step);
        long published = rings.slot(step).get(JAVA_LONG, SlotLayout.STEP_OFFSET);
        record.set(JAVA_LONG, RecordLayout.STEP_OFFSET, published);
        if (control != null) publish(record, control);
        record.set(JAVA_LONG, RecordLayout.CLAMPED_OFFSET, sums.flags_2().getLong(0));
        record.set(JAVA_LONG, RecordLayout.NOT_FINITE_OFFSET, sums.flags_2().getLong(1));
        long sumBytes = 8L * rings.recordLayout().domains();
        MemorySegment.copy(sums.lossSum_K().memory(), 0, record, RecordLayout.LOSS_SUM_OFFSET, sumBytes);
        MemorySegment.copy(
                sums.tokenCount_K().memory(), 0, record, rings.recordLayout().tokenCountOffset(), sumBytes);
        if (rings.recordLayout().referenceLosses())
            MemorySegment.copy(
                    sums.excessSum_K().memory(), 0, record, rings.recordLayout().excessSumOffset(), sumBytes);
        // Last: who reads it with acquire sees the whole payload.
        SEQUENCE.setRelease(record, RecordLayout.SEQUENCE_OFFSET, published + 1);
        step++;
    }

    private static void publish(MemorySegment record, AdamW.Control<HostTensor> control) {
        record.set(JAVA_FLOAT, RecordLayout.GRAD_NORM_OFFSET, (float)
                control.gradNorm_1().getDouble(0));
        record.set(JAVA_FLOAT, RecordLayout.LEARNING_RATE_OFFSET, (float)
                control.learningRate_1().getDouble(0));
        record.set(JAVA_LONG, RecordLayout.APPLIED_OFFSET, control.counters_2().getLong(0));
        record.set(JAVA_LONG, RecordLayout.SKIPPED_OFFSET, control.counters_2().getLong(1));
    }

    private static void copyInts(HostTensor to, long index, MemorySegment slot, long offset, int count) {
        MemorySegment.copy(slot, offset, to.memory(), 4 * index, 4L * count);
    }
}
