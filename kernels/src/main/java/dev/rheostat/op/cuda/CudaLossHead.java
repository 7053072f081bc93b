package dev.rheostat.op.cuda;

import dev.rheostat.op.DType;
import dev.rheostat.op.Doors;
import dev.rheostat.op.Gemm;
import dev.rheostat.op.LossHead;

/**
 * The loss head over chunks of rows: a product makes the chunk's logits in bf16, one kernel (loss_head.cu) turns them into losses,
 * sums by domain and gradients in place, two products spend these. The gradient of the table is added up in f32.
 */
public final class CudaLossHead implements LossHead<DeviceTensor> {
    /** Most that a chunk's logits may take. Long chunks keep the products busy and add to the table's gradient seldom. */
    static final long CHUNK_BYTES = 2L << 30;

    /** Rows of a chunk are a multiple of this where there are as many, so that tiles of products stay whole. */
    private static final int CHUNK_ROWS = 128;

    private final Shape shape;
    private final CudaOps ops;
    private final Gemm<DeviceTensor> gemm;
    private final CudaLossKernel kernel;
    private final DeviceTensor logits;

    /** @throws IllegalArgumentException a padded vocabulary that is below the vocabulary or no multiple of 8 */
    CudaLossHead(CudaOps ops, Gemm<DeviceTensor> gemm, Shape shape) {
        this(ops, gemm, shape, CHUNK_BYTES);
    }

    CudaLossHead(CudaOps ops, Gemm<DeviceTensor> gemm, Shape shape, long chunkBytes) {
        this.shape = shape;
        this.ops = ops;
        this.gemm = gemm;
        kernel = new CudaLossKernel(ops, shape.vocabulary(), shape.paddedVocabulary());
        logits = ops.allocate("logits", DType.BF16, chunkRows(shape, chunkBytes), shape.paddedVocabulary());
    }

    /** Rows whose logits exist at a time. */
    public static long chunkRows(Shape shape) {
        return chunkRows(shape, CHUNK_BYTES);
    }

    /** As many as fit, in chunks of nearly equal length. */
    static long chunkRows(Shape shape, long chunkBytes) {
        long most = Math.max(1, chunkBytes / (DType.BF16.bytes() * (long) shape.paddedVocabulary()));
        if (most > CHUNK_ROWS) most -= most % CHUNK_ROWS;
        long chunks = (shape.rows() + most - 1) / most;
        long even = (shape.rows() + chunks - 1) / chunks;
        return Math.min(Math.min(shape.rows(), most), (even + CHUNK_ROWS - 1) / CHUNK_ROWS * CHUNK_ROWS);
    }

    /** Views of one buffer, so that clearing them is one operation. */
    @Override
    public Sums<DeviceTensor> allocateSums() {
        long K = shape.domains();
        DeviceTensor all = ops.allocate("loss sums", DType.I64, 2 * K + 2);
        return new Sums<>(all.view(0, K), all.view(K, K), all.view(2 * K, 2));
    }

    /** The same with one view more, at the end. */
    @Override
    public Sums<DeviceTensor> allocateSumsWithExcess() {
        long K = shape.domains();
        DeviceTensor all = ops.allocate("loss sums", DType.I64, 3 * K + 2);
        return new Sums<>(all.view(0, K), all.view(K, K), all.view(2 * K, 2), all.view(2 * K + 2, K));
    }

    /** @param sums of {@link #allocateSums} or {@link #allocateSumsWithExcess} */
    @Override
    public void clear(Sums<DeviceTensor> sums) {
        long K = shape.domains();
        ops.zero(sums.lossSum_K().view(0, (sums.excessSum_K() == null ? 2 : 3) * K + 2));
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
            kernel.forward(
                    chunk,
                    tokenLoss_R == null ? null : tokenLoss_R.view(first, rows),
                    sums,
                    targets_R.view(first, rows),
                    domain_R.view(first, rows),
                    shape.clampNats());
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
            DeviceTensor refLoss_R,
            float gradientScale,
            boolean accumulate) {
        Doors.DEVICE.lossHead(shape, sums, x_RC, table_VpC, targets_R, domain_R);
        Doors.DEVICE.lossHeadGradients(shape, sums, dx_RC, dTable_VpC, weight_R, refLoss_R);
        int Vp = shape.paddedVocabulary(), C = shape.width();
        DeviceTensor table = rows(table_VpC.compute(), 0, Vp, C);
        for (long first = 0; first < shape.rows(); first += logits.dim(0)) {
            long rows = Math.min(logits.dim(0), shape.rows() - first);
            DeviceTensor chunk = rows(logits, 0, rows, Vp), x = rows(x_RC, first, rows, C);
            gemm.nt(chunk, x, table, false);
            DeviceTensor targets = targets_R.view(first, rows), domain = domain_R.view(first, rows);
            DeviceTensor weight = weight_R.view(first, rows);
            if (refLoss_R == null)
                kernel.backward(chunk, sums, targets, domain, weight, gradientScale, shape.clampNats());
            else {
                DeviceTensor refLoss = refLoss_R.view(first, rows);
                kernel.backwardWithExcess(
                        chunk, sums, targets, domain, weight, refLoss, gradientScale, shape.clampNats());
            }
            gemm.nn(rows(dx_RC, first, rows, C), chunk, table, false);
            gemm.tn(rows(dTable_VpC, 0, Vp, C), chunk, x, accumulate || first > 0);
        }
    }

    /** Some rows of a tensor, whose own shape may fold them otherwise. */
    private static DeviceTensor rows(DeviceTensor x, long first, long rows, int width) {
        return x.view(first * width, rows, width);
    }
}
