package dev.rheostat.op;

/**
 * One record of the loss ring: what a step tells the JVM, as bytes in shared memory. The sequence number is written
 * last (release) and read first (acquire); it is the step plus one, so that zeroed memory is no record.
 *
 * <pre>
 * 0   sequence i64
 * 8   step i64
 * 16  gradNorm f32
 * 20  learningRate f32
 * 24  updatesApplied i64
 * 32  updatesSkipped i64
 * 40  tokensClamped i64
 * 48  tokensNotFinite i64
 * 64  lossSum i64 (K)          fixed-point, 2^32 units a nat
 *     tokenCount i64 (K)
 *     excessSum i64 (K)        fixed-point; only with reference losses
 * </pre>
 *
 * @param referenceLosses whether steps have them
 */
public record RecordLayout(int domains, boolean referenceLosses) {
    public static final long SEQUENCE_OFFSET = 0,
            STEP_OFFSET = 8,
            GRAD_NORM_OFFSET = 16,
            LEARNING_RATE_OFFSET = 20,
            APPLIED_OFFSET = 24,
            SKIPPED_OFFSET = 32,
            CLAMPED_OFFSET = 40,
            NOT_FINITE_OFFSET = 48,
            LOSS_SUM_OFFSET = 64;

    /** Of steps without reference losses. */
    public RecordLayout(int domains) {
        this(domains, false);
    }

    public long tokenCountOffset() {
        return LOSS_SUM_OFFSET + 8L * domains;
    }

    /** Only with reference losses. */
    public long excessSumOffset() {
        return tokenCountOffset() + 8L * domains;
    }

    public long bytes() {
        return (excessSumOffset() + (referenceLosses ? 8L * domains : 0) + 63) / 64 * 64;
    }
}
