package dev.rheostat.op.cuda;

import dev.rheostat.cuda.LaunchShape;
import dev.rheostat.op.DType;
import dev.rheostat.op.Doors;
import dev.rheostat.op.Gemm;
import dev.rheostat.op.LossHead;

/**
 * The loss head over chunks of rows: a product makes the chunk's logits in bf16, one kernel (loss_head.cu) turns them into losses,
 * sums by domain and gradients in place, two products spend these. The gradient of the table is added up in f32.
 */
final class CudaLossHead implements LossHead<DeviceTensor> {
    /** Most that a chunk's logits may take. Long chunks keep the products busy and add to the table's gradient seldom. */
    static final long CHUNK_BYTES = 2L << 30;

    /** Rows of a chunk are a multiple of this where there are as many, so that tiles of products stay whole. */
    private static final int CHUNK_ROWS = 128;

    /** What the kernel keeps in shared memory before the row, and what the driver takes of it for each block. */
    private static final int SCRATCH_BYTES = 1024, RESERVED_BYTES = 1024;

    /** bf16 logits in 16 bytes, which a thread reads at once. */
    private static final int VECTOR = 8;

    private static final int WARP = 32, VECTORS_A_THREAD = 4;

    /** Threads that an SM's 65,536 registers serve at the kernel's 64. */
    private static final int THREADS_AN_SM = 1024;

    private final Shape shape;
    private final CudaOps ops;
    private final Gemm<DeviceTensor> gemm;
    private final RowPlan plan;
    private final DeviceTensor logits;

    /** @throws IllegalArgumentException a padded vocabulary that is below the vocabulary or no multiple of 8 */
    CudaLossHead(CudaOps ops, Gemm<DeviceTensor> gemm, Shape shape) {
        this(ops, gemm, shape, CHUNK_BYTES);
    }

    CudaLossHead(CudaOps ops, Gemm<DeviceTensor> gemm, Shape shape, long chunkBytes) {
        if (shape.vocabulary() < 1
                || shape.paddedVocabulary() < shape.vocabulary()
                || shape.paddedVocabulary() % VECTOR != 0)
            throw new IllegalArgumentException("loss head: vocabulary " + shape.vocabulary() + " padded to "
                    + shape.paddedVocabulary() + "; the padded one must be a multiple of " + VECTOR + ", not smaller");
        this.shape = shape;
        this.ops = ops;
        this.gemm = gemm;
        plan = RowPlan.of(shape.paddedVocabulary(), ops.sharedBytesPerBlock());
        logits = ops.allocate("logits", DType.BF16, chunkRows(shape, chunkBytes), shape.paddedVocabulary());
    }

    /** As many as fit, in chunks of nearly equal length. */
    static long chunkRows(Shape shape, long chunkBytes) {
        long most = Math.max(1, chunkBytes / (DType.BF16.bytes() * (long) shape.paddedVocabulary()));
        if (most > CHUNK_ROWS) most -= most % CHUNK_ROWS;
        long chunks = (shape.rows() + most - 1) / most;
        long even = (shape.rows() + chunks - 1) / chunks;
        return Math.min(Math.min(shape.rows(), most), (even + CHUNK_ROWS - 1) / CHUNK_ROWS * CHUNK_ROWS);
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

    /** Views of one buffer, so that clearing them is one operation. */
    @Override
    public Sums<DeviceTensor> allocateSums() {
        long K = shape.domains();
        DeviceTensor all = ops.allocate("loss sums", DType.I64, 2 * K + 2);
        return new Sums<>(all.view(0, K), all.view(K, K), all.view(2 * K, 2));
    }

    /** @param sums of {@link #allocateSums} */
    @Override
    public void clear(Sums<DeviceTensor> sums) {
        ops.zero(sums.lossSum_K().view(0, 2L * shape.domains() + 2));
    }

    @Override
    public void forward(
            Sums<DeviceTensor> sums,
            DeviceTensor tokenLoss_R,
            DeviceTensor x_RC,
            DeviceTensor table_VpC,
            DeviceTensor targets_R,
            DeviceTensor domain_R) {
        Doors.DEVICE.lossHead(shape, sums, x_RC, table_VpC, targets_R, domain_R);
        Doors.DEVICE.f32OrNull("tokenLoss", tokenLoss_R, shape.rows());
        int Vp = shape.paddedVocabulary(), C = shape.width();
        DeviceTensor table = rows(table_VpC.compute(), 0, Vp, C);
        for (long first = 0; first < shape.rows(); first += logits.dim(0)) {
            long rows = Math.min(logits.dim(0), shape.rows() - first);
            DeviceTensor chunk = rows(logits, 0, rows, Vp);
            gemm.nt(chunk, rows(x_RC, first, rows, C), table, false);
            ops.kernel("loss_head_forward")
                    .pointer(chunk)
                    .pointer(tokenLoss_R == null ? null : tokenLoss_R.view(first, rows))
                    .pointer(sums.lossSum_K())
                    .pointer(sums.tokenCount_K())
                    .pointer(sums.flags_2())
                    .pointer(targets_R, first)
                    .pointer(domain_R, first)
                    .i64(rows)
                    .i32(shape.vocabulary())
                    .i32(plan.vectors())
                    .i32(plan.heldVectors())
                    .f64(shape.clampNats())
                    .launch(plan.launch(rows, ops.multiprocessors()));
        }
    }

    @Override
    public void forwardBackward(
            Sums<DeviceTensor> sums,
            DeviceTensor dx_RC,
            DeviceTensor dTable_VpC,
            DeviceTensor x_RC,
            DeviceTensor table_VpC,
            DeviceTensor targets_R,
            DeviceTensor domain_R,
            DeviceTensor weight_R,
            float gradientScale) {
        Doors.DEVICE.lossHead(shape, sums, x_RC, table_VpC, targets_R, domain_R);
        Doors.DEVICE.lossHeadGradients(shape, dx_RC, dTable_VpC, weight_R);
        int Vp = shape.paddedVocabulary(), C = shape.width();
        DeviceTensor table = rows(table_VpC.compute(), 0, Vp, C);
        for (long first = 0; first < shape.rows(); first += logits.dim(0)) {
            long rows = Math.min(logits.dim(0), shape.rows() - first);
            DeviceTensor chunk = rows(logits, 0, rows, Vp), x = rows(x_RC, first, rows, C);
            gemm.nt(chunk, x, table, false);
            ops.kernel("loss_head_backward")
                    .pointer(chunk)
                    .pointer(null) // losses of single tokens
                    .pointer(sums.lossSum_K())
                    .pointer(sums.tokenCount_K())
                    .pointer(sums.flags_2())
                    .pointer(targets_R, first)
                    .pointer(domain_R, first)
                    .pointer(weight_R, first)
                    .i64(rows)
                    .i32(shape.vocabulary())
                    .i32(plan.vectors())
                    .i32(plan.heldVectors())
                    .f32(gradientScale)
                    .f64(shape.clampNats())
                    .launch(plan.launch(rows, ops.multiprocessors()));
            gemm.nn(rows(dx_RC, first, rows, C), chunk, table, false);
            gemm.tn(rows(dTable_VpC, 0, Vp, C), chunk, x, true);
        }
    }

    /** Some rows of a tensor, whose own shape may fold them otherwise. */
    private static DeviceTensor rows(DeviceTensor x, long first, long rows, int width) {
        return x.view(first * width, rows, width);
    }
}
