package dev.rheostat.op;

/**
 * One slot of the batch ring: all that a step reads, as bytes in shared memory. B sequences in all, in micro-batches.
 *
 * <pre>
 * 0   step i64
 * 8   learningRate f32
 * 12  zero
 * 64  tokens i32 (B, T+1)      inputs are columns 0..T-1, targets columns 1..T
 *     domain i32 (B)
 *     weight f32 (B)
 *     docStart i32 (B, T)      position at which the token's document starts; 0 where documents are not told apart
 *     refLoss f32 (B, T)       nats of each predicted token under a reference model; only with reference losses
 * </pre>
 *
 * @param referenceLosses whether steps have them
 */
public record SlotLayout(int sequences, int microBatches, int tokens, boolean referenceLosses) {
    public static final long STEP_OFFSET = 0, LEARNING_RATE_OFFSET = 8, TOKENS_OFFSET = 64;

    public SlotLayout {
        if (sequences < 1 || microBatches < 1 || tokens < 1 || sequences % microBatches != 0)
            throw new IllegalArgumentException("slot: sequences=" + sequences + " microBatches=" + microBatches
                    + " tokens=" + tokens + "; all must be positive and sequences a multiple of microBatches");
    }

    /** Of steps without reference losses. */
    public SlotLayout(int sequences, int microBatches, int tokens) {
        this(sequences, microBatches, tokens, false);
    }

    /** The same slots, with reference losses. */
    public SlotLayout withReferenceLosses() {
        return new SlotLayout(sequences, microBatches, tokens, true);
    }

    /** Rows of tokens in one micro-batch, R. */
    public long rows() {
        return (long) sequences / microBatches * tokens;
    }

    /** Tokens that are predicted in one step. */
    public long tokensPerStep() {
        return (long) sequences * tokens;
    }

    public long domainOffset() {
        return TOKENS_OFFSET + 4L * sequences * (tokens + 1);
    }

    public long weightOffset() {
        return domainOffset() + 4L * sequences;
    }

    public long docStartOffset() {
        return weightOffset() + 4L * sequences;
    }

    /** Only with reference losses. */
    public long refLossOffset() {
        return docStartOffset() + 4L * sequences * tokens;
    }

    /** Slots are 64-byte aligned. */
    public long bytes() {
        return (refLossOffset() + (referenceLosses ? 4L * sequences * tokens : 0) + 63) / 64 * 64;
    }
}
