package dev.rheostat.op;

import java.lang.foreign.MemorySegment;

/** How a step's data enters and leaves the backend: out of a slot of shared memory at its start, into a record at its end. */
public interface StepIo<X extends Tensor> {
    /**
     * One micro-batch in backend memory, R rows: tokens, targets, domain, docStart i32; weight f32. The same tensors serve
     * every micro-batch.
     */
    record MicroBatch<X extends Tensor>(X tokens_R, X targets_R, X domain_R, X weight_R, X docStart_R) {}

    MicroBatch<X> allocateMicroBatch();

    /** The step's scalars, read once before its first micro-batch. */
    void loadControl(AdamW.Control<X> control, MemorySegment slot);

    void load(MicroBatch<X> into, MemorySegment slot, int microBatch);

    /** Writes the payload of the record of the step that the slot names, then its sequence number. */
    void publish(MemorySegment record, MemorySegment slot, LossHead.Sums<X> sums, AdamW.Control<X> control);
}
