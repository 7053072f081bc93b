package dev.rheostat.op.cuda;

import dev.rheostat.op.AdamW;
import dev.rheostat.op.DType;
import dev.rheostat.op.LossHead;
import dev.rheostat.op.SlotLayout;
import dev.rheostat.op.StepIo;

/**
 * The device reads slots and writes records in place, in pinned host memory (step_io.cu). It counts the steps itself, so the same
 * launches serve all of them.
 */
final class CudaStepIo implements StepIo<DeviceTensor> {
    /** As the kernels have them. */
    private static final int THREADS = 256, SLOT_VECTORS = 4;

    private static final int WARP = 32, VECTOR_BYTES = 16, WORD_BYTES = 8, INT_BYTES = 4;

    /** Loads of 1 MB in flight at once: a PCIe 5 link needs 0.1 MB to be busy, an NVLink-C2C one about 0.6. */
    private static final long MOST_BLOCKS = 64;

    private final Rings rings;
    private final CudaOps ops;
    private final long slots;
    private final long records;
    private final DeviceTensor counter;
    private final DeviceTensor slotCopy;

    /** @param rings of {@link CudaOps}' backend */
    CudaStepIo(CudaOps ops, Rings rings) {
        this.rings = rings;
        this.ops = ops;
        slots = ops.sharedDeviceAddress(rings.slots());
        records = ops.sharedDeviceAddress(rings.records());
        counter = ops.allocate("batch", DType.I64, 1);
        slotCopy = ops.allocate("batch", DType.I32, rings.slotLayout().bytes() / INT_BYTES);
    }

    @Override
    public MicroBatch<DeviceTensor> allocateMicroBatch() {
        long R = rings.slotLayout().rows();
        return new MicroBatch<>(
                ops.allocate("batch", DType.I32, R),
                ops.allocate("batch", DType.I32, R),
                ops.allocate("batch", DType.I32, R),
                ops.allocate("batch", DType.F32, R),
                ops.allocate("batch", DType.I32, R),
                rings.slotLayout().referenceLosses() ? ops.allocate("batch", DType.F32, R) : null);
    }

    @Override
    public void seek(long step) {
        ops.kernel("step_seek").pointer(counter).i64(step).launch(1, WARP);
    }

    @Override
    public void begin(AdamW.Control<DeviceTensor> control) {
        long vectors = rings.slotLayout().bytes() / VECTOR_BYTES, vectorsOfBlock = THREADS * SLOT_VECTORS;
        ops.kernel("step_begin")
                .pointer(slotCopy)
                .pointer(control == null ? null : control.learningRate_1())
                .pointer(slots)
                .pointer(counter)
                .i64(vectors)
                .i32(rings.depth())
                .launch(Math.min(MOST_BLOCKS, (vectors + vectorsOfBlock - 1) / vectorsOfBlock), THREADS);
    }

    @Override
    public void load(MicroBatch<DeviceTensor> into, int microBatch) {
        SlotLayout layout = rings.slotLayout();
        if (microBatch < 0 || microBatch >= layout.microBatches())
            throw new IllegalArgumentException(
                    "micro-batch " + microBatch + "; the layout has " + layout.microBatches() + " micro-batches");
        long T = layout.tokens(), b = (long) microBatch * (layout.sequences() / layout.microBatches());
        ops.kernel("step_load")
                .pointer(into.tokens_R())
                .pointer(into.targets_R())
                .pointer(into.domain_R())
                .pointer(into.weight_R())
                .pointer(into.docStart_R())
                .pointer(into.refLoss_R())
                .pointer(slotCopy, SlotLayout.TOKENS_OFFSET / INT_BYTES + b * (T + 1))
                .pointer(slotCopy, layout.domainOffset() / INT_BYTES + b)
                .pointer(slotCopy, layout.weightOffset() / INT_BYTES + b)
                .pointer(slotCopy, layout.docStartOffset() / INT_BYTES + b * T)
                .pointer(slotCopy, layout.refLossOffset() / INT_BYTES + b * T) // not read where there are none
                .i64(layout.rows())
                .i32(layout.tokens())
                .launch((layout.rows() + THREADS - 1) / THREADS, THREADS);
    }

    @Override
    public void publish(LossHead.Sums<DeviceTensor> sums, AdamW.Control<DeviceTensor> control) {
        ops.kernel("step_publish")
                .pointer(records)
                .pointer(counter)
                .pointer(slotCopy)
                .pointer(sums.lossSum_K())
                .pointer(sums.tokenCount_K())
                .pointer(sums.flags_2())
                .pointer(rings.recordLayout().referenceLosses() ? sums.excessSum_K() : null)
                .pointer(control == null ? null : control.gradNorm_1())
                .pointer(control == null ? null : control.learningRate_1())
                .pointer(control == null ? null : control.counters_2())
                .i64(rings.recordLayout().bytes() / WORD_BYTES)
                .i32(rings.recordLayout().domains())
                .i32(rings.depth())
                .launch(1, THREADS);
    }
}
