package dev.rheostat.op.cuda;

import dev.rheostat.cuda.LaunchShape;
import dev.rheostat.op.Doors;
import dev.rheostat.op.LossHead;

/**
 * loss_head.cu: turns logits (rows, Vp) bf16 into losses, sums by domain and, in place, gradients. {@link CudaLossHead} has the
 * products around it. Tensors that do not fit are refused with an IllegalArgumentException before anything is enqueued.
 */
public final class CudaLossKernel {
    /** What the kernel keeps in shared memory before the row, and what the driver takes of it for each block. */
    private static final int SCRATCH_BYTES = 1024, RESERVED_BYTES = 1024;

    /** bf16 logits in 16 bytes, which a thread reads at once. */
    private static final int VECTOR = 8;

    private static final int WARP = 32, VECTORS_A_THREAD = 4;

    /** Threads that an SM's 65,536 registers serve at the kernel's 64. */
    private static final int THREADS_AN_SM = 1024;

    private final CudaOps ops;
    private final int vocabulary;
    private final RowPlan plan;

    /** @throws IllegalArgumentException a padded vocabulary that is below the vocabulary or no multiple of 8 */
    CudaLossKernel(CudaOps ops, int vocabulary, int paddedVocabulary) {
        if (vocabulary < 1 || paddedVocabulary < vocabulary || paddedVocabulary % VECTOR != 0)
            throw new IllegalArgumentException("loss head: vocabulary " + vocabulary + " padded to " + paddedVocabulary
                    + "; the padded one must be a multiple of " + VECTOR + ", not smaller");
        this.ops = ops;
        this.vocabulary = vocabulary;
        plan = RowPlan.of(paddedVocabulary, ops.sharedBytesPerBlock());
    }

    /**
     * How the kernel handles a row: all of it in shared memory where it fits, two blocks an SM where two rows do; of a longer row
     * as much as fits, a multiple of the block.
     * @param heldVectors vectors of a row in shared memory
     */
    record RowPlan(int vectors, int heldVectors, int threads, int sharedBytes, int blocksPerMultiprocessor) {
        /** @param sharedBytesPerBlock the most that one block may ask for: all that an SM has but the driver's part */
        static RowPlan of(int paddedVocabulary, int sharedBytesPerBlock) {
            int vectors = paddedVocabulary / VECTOR, whole = SCRATCH_BYTES + 16 * vectors;
            boolean twoFit = fitting(whole, sharedBytesPerBlock) >= 2;
            int wanted = (vectors / VECTORS_A_THREAD + WARP - 1) / WARP * WARP;
            int threads = Math.clamp(wanted, WARP, twoFit ? THREADS_AN_SM / 2 : THREADS_AN_SM);
            boolean fits = whole <= sharedBytesPerBlock;
            int held = fits ? vectors : (sharedBytesPerBlock - SCRATCH_BYTES) / 16 / threads * threads;
            int sharedBytes = SCRATCH_BYTES + 16 * held;
            int blocks = Math.min(THREADS_AN_SM / threads, fitting(sharedBytes, sharedBytesPerBlock));
            return new RowPlan(vectors, held, threads, sharedBytes, blocks);
        }

        private static int fitting(int sharedBytes, int sharedBytesPerBlock) {
            return (sharedBytesPerBlock + RESERVED_BYTES) / (sharedBytes + RESERVED_BYTES);
        }

        /** Blocks that stay, each taking a row after the other. */
        LaunchShape launch(long rows, int multiprocessors) {
            long blocks = Math.min(rows, (long) multiprocessors * blocksPerMultiprocessor);
            return LaunchShape.of(blocks, threads).withSharedBytes(sharedBytes);
        }
    }

    /** R, once all that every pass reads fits it. */
    private long rows(
            DeviceTensor logits_RVp, LossHead.Sums<DeviceTensor> sums, DeviceTensor targets_R, DeviceTensor domain_R) {
        long R = logits_RVp.dim(0), K = sums.lossSum_K().size();
        Doors.DEVICE.activation("logits", logits_RVp, R, (long) plan.vectors() * VECTOR);
        Octets.aligned("the loss kernel", logits_RVp);
        Doors.DEVICE.lossSums(sums, K);
        Doors.DEVICE.ints("targets", targets_R, R);
        Doors.DEVICE.ints("domain", domain_R, R);
        return R;
    }

    /**
     * @param tokenLoss_R f32 out, null when not wanted; R are the rows of logits
     * @param clampNats at most {@link LossHead#clampNats} of all tokens that the sums take, which else overflow
     */
    public void forward(
            DeviceTensor logits_RVp,
            DeviceTensor tokenLoss_R,
            LossHead.Sums<DeviceTensor> sums,
            DeviceTensor targets_R,
            DeviceTensor domain_R,
            double clampNats) {
        long rows = rows(logits_RVp, sums, targets_R, domain_R);
        Doors.DEVICE.f32OrNull("tokenLoss", tokenLoss_R, rows);
        ops.kernel("loss_head_forward")
                .pointer(logits_RVp)
                .pointer(tokenLoss_R)
                .pointer(sums.lossSum_K())
                .pointer(sums.tokenCount_K())
                .pointer(sums.flags_2())
                .pointer(targets_R)
                .pointer(domain_R)
                .i64(rows)
                .i32(vocabulary)
                .i32(plan.vectors())
                .i32(plan.heldVectors())
                .f64(clampNats)
                .launch(plan.launch(rows, ops.multiprocessors()));
    }

    /** Gradients in place of the logits, and sums. @param weight_R f32 */
    public void backward(
            DeviceTensor logits_RVp,
            LossHead.Sums<DeviceTensor> sums,
            DeviceTensor targets_R,
            DeviceTensor domain_R,
            DeviceTensor weight_R,
            float gradientScale,
            double clampNats) {
        long rows = rows(logits_RVp, sums, targets_R, domain_R);
        Doors.DEVICE.f32("weight", weight_R, rows);
        ops.kernel("loss_head_backward")
                .pointer(logits_RVp)
                .pointer(null) // losses of single tokens
                .pointer(sums.lossSum_K())
                .pointer(sums.tokenCount_K())
                .pointer(sums.flags_2())
                .pointer(targets_R)
                .pointer(domain_R)
                .pointer(weight_R)
                .i64(rows)
                .i32(vocabulary)
                .i32(plan.vectors())
                .i32(plan.heldVectors())
                .f32(gradientScale)
                .f64(clampNats)
                .launch(plan.launch(rows, ops.multiprocessors()));
    }

    /** The same, and sums of what each token's loss is above a reference model's. @param refLoss_R f32, nats */
    public void backwardWithExcess(
            DeviceTensor logits_RVp,
            LossHead.Sums<DeviceTensor> sums,
            DeviceTensor targets_R,
            DeviceTensor domain_R,
            DeviceTensor weight_R,
            DeviceTensor refLoss_R,
            float gradientScale,
            double clampNats) {
        long rows = rows(logits_RVp, sums, targets_R, domain_R);
        Doors.DEVICE.lossWeights(sums, rows, weight_R, refLoss_R);
        ops.kernel("loss_head_backward_with_excess")
                .pointer(logits_RVp)
                .pointer(sums.lossSum_K())
                .pointer(sums.tokenCount_K())
                .pointer(sums.flags_2())
                .pointer(sums.excessSum_K())
                .pointer(targets_R)
                .pointer(domain_R)
                .pointer(weight_R)
                .pointer(refLoss_R)
                .i64(rows)
                .i32(vocabulary)
                .i32(plan.vectors())
                .i32(plan.heldVectors())
                .f32(gradientScale)
                .f64(clampNats)
                .launch(plan.launch(rows, ops.multiprocessors()));
    }

    /** The same gradients without sums by domain: what the sums cost is measured against it. */
    public void backwardWithoutSums(
            DeviceTensor logits_RVp, DeviceTensor targets_R, DeviceTensor weight_R, float gradientScale) {
        long rows = logits_RVp.dim(0);
        ops.kernel("loss_head_backward_without_sums")
                .pointer(logits_RVp)
                .pointer(null)
                .pointer(targets_R)
                .pointer(weight_R)
                .i64(rows)
                .i32(vocabulary)
                .i32(plan.vectors())
                .i32(plan.heldVectors())
                .f32(gradientScale)
                .launch(plan.launch(rows, ops.multiprocessors()));
    }
}
