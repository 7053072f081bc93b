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

    private final SlotLayout slotLayout;
    private final RecordLayout recordLayout;
    private final HostMemory memory;

    HostStepIo(SlotLayout slotLayout, RecordLayout recordLayout, HostMemory memory) {
        this.slotLayout = slotLayout;
        this.recordLayout = recordLayout;
        this.memory = memory;
    }

    @Override
    public MicroBatch<HostTensor> allocateMicroBatch() {
        long R = slotLayout.rows();
        return new MicroBatch<>(
                memory.allocate("batch", DType.I32, R),
                memory.allocate("batch", DType.I32, R),
                memory.allocate("batch", DType.I32, R),
                memory.allocate("batch", DType.F32, R),
                memory.allocate("batch", DType.I32, R));
    }

    @Override
    public void loadControl(AdamW.Control<HostTensor> control, MemorySegment slot) {
        control.learningRate_1().setDouble(0, slot.get(JAVA_FLOAT, SlotLayout.LEARNING_RATE_OFFSET));
    }

    @Override
    public void load(MicroBatch<HostTensor> into, MemorySegment slot, int microBatch) {
        if (slot.byteSize() < slotLayout.bytes() || microBatch < 0 || microBatch >= slotLayout.microBatches())
            throw new IllegalArgumentException("slot of " + slot.byteSize() + " bytes, micro-batch " + microBatch
                    + "; the layout has " + slotLayout.bytes() + " bytes, " + slotLayout.microBatches()
                    + " micro-batches");
        int T = slotLayout.tokens(), sequences = slotLayout.sequences() / slotLayout.microBatches();
        for (int i = 0; i < sequences; i++) {
            long b = (long) microBatch * sequences + i, row = (long) i * T;
            long tokens = SlotLayout.TOKENS_OFFSET + 4 * b * (T + 1);
            copyInts(into.tokens_R(), row, slot, tokens, T);
            copyInts(into.targets_R(), row, slot, tokens + 4, T);
            copyInts(into.docStart_R(), row, slot, slotLayout.docStartOffset() + 4 * b * T, T);
            int domain = slot.get(JAVA_INT, slotLayout.domainOffset() + 4 * b);
            float weight = slot.get(JAVA_FLOAT, slotLayout.weightOffset() + 4 * b);
            for (long r = row; r < row + T; r++) {
                into.domain_R().setInt(r, domain);
                into.weight_R().setDouble(r, weight);
            }
        }
    }

    @Override
    public void publish(
            MemorySegment record,
            MemorySegment slot,
            LossHead.Sums<HostTensor> sums,
            AdamW.Control<HostTensor> control) {
        long step = slot.get(JAVA_LONG, SlotLayout.STEP_OFFSET);
        record.set(JAVA_LONG, RecordLayout.STEP_OFFSET, step);
        record.set(JAVA_FLOAT, RecordLayout.GRAD_NORM_OFFSET, (float)
                control.gradNorm_1().getDouble(0));
        record.set(JAVA_FLOAT, RecordLayout.LEARNING_RATE_OFFSET, (float)
                control.learningRate_1().getDouble(0));
        record.set(JAVA_LONG, RecordLayout.APPLIED_OFFSET, control.counters_2().getLong(0));
        record.set(JAVA_LONG, RecordLayout.SKIPPED_OFFSET, control.counters_2().getLong(1));
        record.set(JAVA_LONG, RecordLayout.CLAMPED_OFFSET, sums.flags_2().getLong(0));
        record.set(JAVA_LONG, RecordLayout.NOT_FINITE_OFFSET, sums.flags_2().getLong(1));
        long sumBytes = 8L * recordLayout.domains();
        MemorySegment.copy(sums.lossSum_K().memory(), 0, record, RecordLayout.LOSS_SUM_OFFSET, sumBytes);
        MemorySegment.copy(sums.tokenCount_K().memory(), 0, record, recordLayout.tokenCountOffset(), sumBytes);
        // Last: who reads it with acquire sees the whole payload.
        SEQUENCE.setRelease(record, RecordLayout.SEQUENCE_OFFSET, step + 1);
    }

    private static void copyInts(HostTensor to, long index, MemorySegment slot, long offset, int count) {
        MemorySegment.copy(slot, offset, to.memory(), 4 * index, 4L * count);
    }
}
