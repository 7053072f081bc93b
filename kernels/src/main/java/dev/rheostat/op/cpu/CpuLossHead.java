package dev.rheostat.op.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import dev.rheostat.op.DType;
import dev.rheostat.op.Doors;
import dev.rheostat.op.Gemm;
import dev.rheostat.op.HostTensor;
import dev.rheostat.op.LossHead;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/**
 * {@link PlainLossHead} over chunks of rows: a GEMM makes the chunk's logits, one task a row turns them into gradients in
 * place (maximum, exponentials and their sum, scale: the row stays in the nearest caches), two GEMMs spend them.
 * A worker adds losses into sums of its own, which are merged at the end: they are integers, so nobody can tell.
 */
final class CpuLossHead implements LossHead<HostTensor> {
    /** Most that a chunk's logits may take. */
    static final long CHUNK_BYTES = 64L << 20;

    /** Rows of a chunk are a multiple of this where there are as many, so that GEMM blocks stay whole. */
    private static final int CHUNK_ROWS = 64;

    private final Shape shape;
    private final WorkerPool pool;
    private final Gemm<HostTensor> gemm;
    private final HostMemory memory;
    private final long chunkRows;
    private final HostTensor logits;
    private final List<Sums<HostTensor>> workerSums = new ArrayList<>();

    CpuLossHead(Shape shape, WorkerPool pool, Gemm<HostTensor> gemm, HostMemory memory) {
        this.shape = shape;
        this.pool = pool;
        this.gemm = gemm;
        this.memory = memory;
        chunkRows = chunkRows(shape);
        logits = memory.allocate("logits", DType.F32, chunkRows, shape.paddedVocabulary());
        for (int worker = 0; worker < pool.threads(); worker++)
            workerSums.add(LossSums.allocateWithExcess(memory, "scratch", shape.domains()));
    }

    /** As many as fit, in chunks of nearly equal length. */
    static long chunkRows(Shape shape) {
        long most = Math.max(1, CHUNK_BYTES / (4L * shape.paddedVocabulary()));
        long chunks = (shape.rows() + most - 1) / most;
        long even = (shape.rows() + chunks - 1) / chunks;
        return Math.min(shape.rows(), (even + CHUNK_ROWS - 1) / CHUNK_ROWS * CHUNK_ROWS);
    }

    @Override
    public Sums<HostTensor> allocateSums() {
        return LossSums.allocate(memory, "loss sums", shape.domains());
    }

    @Override
    public Sums<HostTensor> allocateSumsWithExcess() {
        return LossSums.allocateWithExcess(memory, "loss sums", shape.domains());
    }

    @Override
    public void clear(Sums<HostTensor> sums) {
        LossSums.clear(sums);
    }

    @Override
    public void forward(
            Sums<HostTensor> sums,
            HostTensor tokenLoss_R,
            HostTensor x_RC,
            HostTensor table_VpC,
            HostTensor targets_R,
            HostTensor domain_R) {
        Doors.HOST.lossHead(shape, sums, x_RC, table_VpC, targets_R, domain_R);
        Doors.HOST.f32OrNull("tokenLoss", tokenLoss_R, shape.rows());
        workerSums.forEach(LossSums::clear);
        for (long first = 0; first < shape.rows(); first += chunkRows) {
            long start = first, rows = Math.min(chunkRows, shape.rows() - first);
            gemm.nt(chunk(logits, 0, rows), chunk(x_RC, first, rows), table_VpC, false);
            Parts.run(pool, rows, (from, to, worker) -> {
                for (long i = from; i < to; i++) {
                    double loss = loss(logits.memory(), i, targets_R.getInt(start + i));
                    LossSums.add(workerSums.get(worker), domain_R.getInt(start + i), loss, shape.clampNats());
                    if (tokenLoss_R != null) tokenLoss_R.setFloat(start + i, (float) loss);
                }
            });
        }
        for (Sums<HostTensor> part : workerSums) LossSums.merge(sums, part);
    }

    @Override
    public void forwardBackward(
            Sums<HostTensor> sums,
            HostTensor dx_RC,
            HostTensor dTable_VpC,
            HostTensor x_RC,
            HostTensor table_VpC,
            HostTensor targets_R,
            HostTensor domain_R,
            HostTensor weight_R,
            HostTensor refLoss_R,
            float gradientScale,
            boolean accumulate) {
        Doors.HOST.lossHead(shape, sums, x_RC, table_VpC, targets_R, domain_R);
        Doors.HOST.lossHeadGradients(shape, sums, dx_RC, dTable_VpC, weight_R, refLoss_R);
        workerSums.forEach(LossSums::clear);
        for (long first = 0; first < shape.rows(); first += chunkRows) {
            long start = first, rows = Math.min(chunkRows, shape.rows() - first);
            HostTensor chunk = chunk(logits, 0, rows), x = chunk(x_RC, first, rows);
            gemm.nt(chunk, x, table_VpC, false);
            Parts.run(pool, rows, (from, to, worker) -> {
                for (long i = from; i < to; i++) {
                    float scale = gradientScale * weight_R.getFloat(start + i);
                    double loss = lossAndGradient(logits.memory(), i, targets_R.getInt(start + i), scale);
                    int domain = domain_R.getInt(start + i);
                    LossSums.add(workerSums.get(worker), domain, loss, shape.clampNats());
                    if (refLoss_R == null) continue;
                    double reference = refLoss_R.getFloat(start + i);
                    LossSums.addExcess(workerSums.get(worker), domain, loss, reference, shape.clampNats());
                }
            });
            gemm.nn(chunk(dx_RC, first, rows), chunk, table_VpC, false);
            gemm.tn(dTable_VpC, chunk, x, accumulate || first > 0);
        }
        for (Sums<HostTensor> part : workerSums) LossSums.merge(sums, part);
    }

    private static HostTensor chunk(HostTensor x, long firstRow, long rows) {
        return x.view(firstRow * x.dim(1), rows, x.dim(1));
    }

    private double loss(MemorySegment logits, long row, int target) {
        long start = row * shape.paddedVocabulary();
        float max = SoftmaxRows.max(logits, start, shape.vocabulary());
        float sum = SoftmaxRows.expSum(logits, start, shape.vocabulary(), max, 1);
        return max + StrictMath.log(sum) - logits.getAtIndex(JAVA_FLOAT, start + target);
    }

    /** Logits become scale (p - 1[target]); all zero where the loss is not finite. */
    private double lossAndGradient(MemorySegment logits, long row, int target, float scale) {
        long start = row * shape.paddedVocabulary();
        int V = shape.vocabulary();
        float targetLogit = logits.getAtIndex(JAVA_FLOAT, start + target);
        float max = SoftmaxRows.max(logits, start, V);
        float sum = SoftmaxRows.exp(logits, start, V, max, 1);
        double loss = max + StrictMath.log(sum) - targetLogit;
        if (!Double.isFinite(loss)) {
            Rows.zero(logits, start, shape.paddedVocabulary());
            return loss;
        }
        Rows.scale(logits, start, V, scale / sum);
        logits.setAtIndex(JAVA_FLOAT, start + target, logits.getAtIndex(JAVA_FLOAT, start + target) - scale);
        Rows.zero(logits, start + V, shape.paddedVocabulary() - V);
        return loss;
    }
}
