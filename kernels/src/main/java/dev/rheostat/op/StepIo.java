package dev.rheostat.op;

import java.lang.foreign.MemorySegment;

/**
 * How a step's data enters and leaves the backend: out of a slot of shared memory at its start, into a record at its end.
 * Which slot and record is the backend's own count of steps, so that a step is the same ops every time.
 */
public interface StepIo<X extends Tensor> {
    /** S slots and S records in shared memory, zeroed; those of step t are number t mod S. */
    record Rings(
            SlotLayout slotLayout, RecordLayout recordLayout, int depth, MemorySegment slots, MemorySegment records) {
        /** Allocates them. @param purpose for the memory plan */
        public static Rings allocate(
                Backend<?> backend, String purpose, SlotLayout slotLayout, RecordLayout recordLayout, int depth) {
            return new Rings(
                    slotLayout,
                    recordLayout,
                    depth,
                    backend.allocateShared(purpose, slotLayout.bytes() * depth),
                    backend.allocateShared(purpose, recordLayout.bytes() * depth));
        }

        public MemorySegment slot(long step) {
            return slots.asSlice(step % depth * slotLayout.bytes(), slotLayout.bytes());
        }

        public MemorySegment record(long step) {
            return records.asSlice(step % depth * recordLayout.bytes(), recordLayout.bytes());
        }
    }

    /**
     * One micro-batch in backend memory, R rows: tokens, targets, domain, docStart i32; weight, refLoss f32. refLoss is null
     * where slots have none. The same tensors serve every micro-batch.
     */
    record MicroBatch<X extends Tensor>(X tokens_R, X targets_R, X domain_R, X weight_R, X docStart_R, X refLoss_R) {}

    MicroBatch<X> allocateMicroBatch();

    /** The step that {@link #begin} takes next, at first 0. Called between steps; waits for those before. */
    void seek(long step);

    /**
     * Takes the slot of the current step: its learning rate into the control, all else for {@link #load}.
     * @param control null where nothing is trained
     */
    void begin(AdamW.Control<X> control);

    /** One micro-batch of the slot that was taken. */
    void load(MicroBatch<X> into, int microBatch);

    /**
     * Writes the payload of the current step's record, then its sequence number; then the next step is the current one.
     * @param sums with an excess exactly where the rings' records have one
     * @param control null where nothing is trained: norm, learning rate and counters of the record stay as they are
     */
    void publish(LossHead.Sums<X> sums, AdamW.Control<X> control);
}
