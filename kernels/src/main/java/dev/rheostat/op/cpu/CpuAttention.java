package dev.rheostat.op.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import dev.rheostat.op.Attention;
import dev.rheostat.op.AttentionShape;
import dev.rheostat.op.DType;
import dev.rheostat.op.Doors;
import dev.rheostat.op.HostTensor;
import java.lang.foreign.MemorySegment;

/**
 * {@link PlainAttention} by blocks of query rows. A block's scores against all keys that any of its rows sees, (m, n) with
 * m at most {@link #QUERY_ROWS}, come from one GEMM, are exponentiated row by row, and are spent by the next. What lies
 * right of the diagonal or before the documents of the block is never computed. Backward makes the probabilities again
 * from lse.
 *
 * <p>Forward is a task a sequence and query head; backward a task a sequence and key/value head, whose query heads it
 * takes in order, so the bits do not depend on the number of threads. Scratch is 2 QUERY_ROWS T floats a worker.
 */
final class CpuAttention implements Attention<HostTensor> {
    /** Half of a block's square on the diagonal is wasted, so small; but a GEMM call has its price, so not too small. */
    static final int QUERY_ROWS = 64;

    private final AttentionShape shape;
    private final WorkerPool pool;
    private final BlockGemm gemm;
    private final int T;
    private final int D;
    /** Elements a row of qk, of qkv and of o. */
    private final int qkWidth;

    private final int qkvWidth;
    private final int outWidth;
    private final float scale;
    /** A worker's scores, later probabilities, (m, n). */
    private final MemorySegment[] scores;
    /** A worker's gradient of the scores, (m, n). */
    private final MemorySegment[] dScores;

    /** One query head of one sequence: the tensors of a call, and where in them the head lies. */
    private record Head(
            HostTensor qk,
            HostTensor qkv,
            HostTensor o,
            HostTensor lse,
            HostTensor docStart,
            int b,
            int h,
            int worker) {}

    CpuAttention(AttentionShape shape, WorkerPool pool, BlockGemm gemm, HostMemory memory) {
        this.shape = shape;
        this.pool = pool;
        this.gemm = gemm;
        T = shape.tokens();
        D = shape.headWidth();
        qkWidth = shape.qkWidth();
        qkvWidth = shape.qkvWidth();
        outWidth = shape.heads() * D;
        scale = (float) (1 / Math.sqrt(D));
        scores = new MemorySegment[pool.threads()];
        dScores = new MemorySegment[pool.threads()];
        for (int worker = 0; worker < pool.threads(); worker++) {
            scores[worker] =
                    memory.allocate("scratch", DType.F32, QUERY_ROWS, T).memory();
            dScores[worker] =
                    memory.allocate("scratch", DType.F32, QUERY_ROWS, T).memory();
        }
    }

    @Override
    public void forward(
            HostTensor o_RHD, HostTensor lse_RH, HostTensor qk_RhD, HostTensor qkv_RW, HostTensor docStart_R) {
        Doors.HOST.attention(shape, o_RHD, lse_RH, qk_RhD, qkv_RW, docStart_R);
        pool.run(shape.batch() * shape.heads(), (task, worker) -> {
            int b = task / shape.heads(), h = task % shape.heads();
            Head head = new Head(qk_RhD, qkv_RW, o_RHD, lse_RH, docStart_R, b, h, worker);
            for (int query = 0; query < T; query += QUERY_ROWS) forwardBlock(head, query);
        });
    }

    @Override
    public void backward(
            HostTensor dQk_RhD,
            HostTensor dQkv_RW,
            HostTensor dO_RHD,
            HostTensor o_RHD,
            HostTensor lse_RH,
            HostTensor qk_RhD,
            HostTensor qkv_RW,
            HostTensor docStart_R) {
        Doors.HOST.attention(shape, o_RHD, lse_RH, qk_RhD, qkv_RW, docStart_R);
        Doors.HOST.attention(shape, dO_RHD, lse_RH, dQk_RhD, dQkv_RW, docStart_R);
        int group = shape.heads() / shape.kvHeads();
        pool.run(shape.batch() * shape.kvHeads(), (task, worker) -> {
            int b = task / shape.kvHeads(), g = task % shape.kvHeads();
            for (long r = (long) b * T; r < (b + 1L) * T; r++) {
                Rows.zero(dQk_RhD.memory(), keyAt(r, g), D);
                Rows.zero(dQkv_RW.memory(), valueAt(r, g), D);
            }
            for (int h = g * group; h < (g + 1) * group; h++) {
                Head head = new Head(qk_RhD, qkv_RW, o_RHD, lse_RH, docStart_R, b, h, worker);
                for (int query = 0; query < T; query += QUERY_ROWS)
                    backwardBlock(head, dQk_RhD.memory(), dQkv_RW.memory(), dO_RHD.memory(), query);
            }
        });
    }

    private void forwardBlock(Head a, int query) {
        int g = keyHead(a.h), m = Math.min(QUERY_ROWS, T - query), key = firstKey(a, query, m), n = query + m - key;
        long row = (long) a.b * T + query, keyRow = (long) a.b * T + key;
        MemorySegment p = scores[a.worker], inverse = dScores[a.worker], out = a.o.memory();
        score(a, p, row, keyRow, m, n);
        for (int i = 0; i < m; i++) {
            int from = firstOf(a, row + i, key), to = query + i + 1 - key;
            long start = (long) i * n;
            float max = SoftmaxRows.max(p, start + from, to - from);
            float sum = SoftmaxRows.exp(p, start + from, to - from, max, scale);
            Rows.zero(p, start, from);
            Rows.zero(p, start + to, n - to);
            inverse.setAtIndex(JAVA_FLOAT, i, 1 / sum);
            a.lse.setFloat((row + i) * shape.heads() + a.h, (float) (max * (double) scale + StrictMath.log(sum)));
        }
        MemorySegment v = a.qkv.memory();
        gemm.multiply(
                false,
                false,
                m,
                D,
                n,
                1,
                p,
                0,
                n,
                v,
                4 * valueAt(keyRow, g),
                qkvWidth,
                0,
                out,
                4 * outAt(row, a.h),
                outWidth,
                a.worker);
        // Divided by the sums after the product: D numbers a row instead of n.
        for (int i = 0; i < m; i++) Rows.scale(out, outAt(row + i, a.h), D, inverse.getAtIndex(JAVA_FLOAT, i));
    }

    private void backwardBlock(Head a, MemorySegment dQk, MemorySegment dQkv, MemorySegment dO, int query) {
        int g = keyHead(a.h), m = Math.min(QUERY_ROWS, T - query), key = firstKey(a, query, m), n = query + m - key;
        long row = (long) a.b * T + query, keyRow = (long) a.b * T + key;
        long out = 4 * outAt(row, a.h), q = 4 * queryAt(row, a.h), k = 4 * keyAt(keyRow, g), v = 4 * valueAt(keyRow, g);
        MemorySegment p = scores[a.worker], dScore = dScores[a.worker], qk = a.qk.memory();
        score(a, p, row, keyRow, m, n);
        // dP = dO V^T
        gemm.multiply(
                false, true, m, n, D, 1, dO, out, outWidth, a.qkv.memory(), v, qkvWidth, 0, dScore, 0, n, a.worker);
        for (int i = 0; i < m; i++) {
            int from = firstOf(a, row + i, key), to = query + i + 1 - key;
            long start = (long) i * n;
            float mean = Rows.dot(dO, a.o.memory(), outAt(row + i, a.h), D, 0);
            float lse = a.lse.getFloat((row + i) * shape.heads() + a.h);
            SoftmaxRows.backward(p, dScore, start + from, to - from, scale, lse, mean);
            Rows.zero(p, start, from);
            Rows.zero(p, start + to, n - to);
            Rows.zero(dScore, start, from);
            Rows.zero(dScore, start + to, n - to);
        }
        // dV += P^T dO, dQ = dS K, dK += dS^T Q
        gemm.multiply(true, false, n, D, m, 1, p, 0, n, dO, out, outWidth, 1, dQkv, v, qkvWidth, a.worker);
        gemm.multiply(false, false, m, D, n, 1, dScore, 0, n, qk, k, qkWidth, 0, dQk, q, qkWidth, a.worker);
        gemm.multiply(true, false, n, D, m, 1, dScore, 0, n, qk, q, qkWidth, 1, dQk, k, qkWidth, a.worker);
    }

    /** Scores before their scale, Q K^T: the scale goes into the exponential, where it is free. */
    private void score(Head a, MemorySegment scores, long row, long keyRow, int m, int n) {
        long q = 4 * queryAt(row, a.h), k = 4 * keyAt(keyRow, keyHead(a.h));
        MemorySegment qk = a.qk.memory();
        gemm.multiply(false, true, m, n, D, 1, qk, q, qkWidth, qk, k, qkWidth, 0, scores, 0, n, a.worker);
    }

    /** Position of the first key that a block needs, down to a whole block, so that few GEMM shapes occur. */
    private int firstKey(Head a, int query, int m) {
        if (a.docStart == null) return 0;
        long row = (long) a.b * T + query;
        int first = query;
        for (int i = 0; i < m; i++) first = Math.min(first, a.docStart.getInt(row + i));
        return first / QUERY_ROWS * QUERY_ROWS;
    }

    /** Column of the block's scores at which a row's document starts. */
    private static int firstOf(Head a, long row, int key) {
        return a.docStart == null ? 0 : a.docStart.getInt(row) - key;
    }

    private int keyHead(int h) {
        return h / (shape.heads() / shape.kvHeads());
    }

    private long outAt(long row, int h) {
        return row * outWidth + (long) h * D;
    }

    private long queryAt(long row, int h) {
        return row * qkWidth + (long) h * D;
    }

    private long keyAt(long row, int g) {
        return row * qkWidth + (long) (shape.heads() + g) * D;
    }

    private long valueAt(long row, int g) {
        return row * qkvWidth + qkWidth + (long) g * D;
    }
}
