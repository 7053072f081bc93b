package dev.rheostat.op.cpu;

import dev.rheostat.op.Doors;
import dev.rheostat.op.Gemm;
import dev.rheostat.op.GemmShape;
import dev.rheostat.op.HostTensor;
import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;

/**
 * A product cut into one tile of C a thread, each computed by a {@link BlockGemm}, or in {@link Bf16Tiles}, on its own thread: no thread of a
 * library's ever waits beside ours. K is never cut, so the bits depend on shapes and the number of threads alone.
 */
final class CpuGemm implements Gemm<HostTensor> {
    /** Tile edges are multiples of this: a vector register, a cache line and a row of AMX tiles. */
    private static final int EDGE = 16;

    private static final VectorSpecies<Float> SPECIES = FloatVector.SPECIES_PREFERRED;
    private static final ByteOrder ORDER = ByteOrder.nativeOrder();

    private final BlockGemm block;
    private final Bf16Tiles bf16;
    private final WorkerPool pool;

    /** @param bf16 computes instead of {@code block} where it is not null */
    CpuGemm(BlockGemm block, Bf16Tiles bf16, WorkerPool pool) {
        this.block = block;
        this.bf16 = bf16;
        this.pool = pool;
    }

    @Override
    public void nt(HostTensor c, HostTensor a, HostTensor b, boolean accumulate) {
        product(c, a, false, b, true, accumulate);
    }

    @Override
    public void nn(HostTensor c, HostTensor a, HostTensor b, boolean accumulate) {
        product(c, a, false, b, false, accumulate);
    }

    @Override
    public void tn(HostTensor c, HostTensor a, HostTensor b, boolean accumulate) {
        product(c, a, true, b, false, accumulate);
    }

    private void product(HostTensor c, HostTensor a, boolean transA, HostTensor b, boolean transB, boolean accumulate) {
        Doors.HOST.f32("A", a, a.size());
        Doors.HOST.f32("B", b, b.size());
        Doors.HOST.f32("C", c, c.size());
        GemmShape shape = GemmShape.of(c, a, transA, b, transB);
        int M = shape.M(), N = shape.N(), K = shape.K();
        int columns = tileColumns(M, N, pool.threads()), rows = pool.threads() / columns;
        int lda = transA ? M : K, ldb = transB ? K : N;
        MemorySegment aMemory = a.memory(), bMemory = b.memory(), cMemory = c.memory();
        if (bf16 != null) bf16.round(pool, aMemory, a.size(), bMemory, b.size());
        pool.run(rows * columns, (tile, worker) -> {
            int m = edge(M, rows, tile / columns), n = edge(N, columns, tile % columns);
            int height = edge(M, rows, tile / columns + 1) - m, width = edge(N, columns, tile % columns + 1) - n;
            if (height == 0 || width == 0) return;
            long aIndex = transA ? m : (long) m * K, bIndex = transB ? (long) n * K : n, cIndex = (long) m * N + n;
            if (bf16 != null)
                bf16.multiply(
                        transA,
                        transB,
                        height,
                        width,
                        K,
                        aIndex,
                        lda,
                        bIndex,
                        ldb,
                        accumulate,
                        cMemory,
                        cIndex,
                        N,
                        worker);
            else
                block.multiply(
                        transA,
                        transB,
                        height,
                        width,
                        K,
                        1,
                        aMemory,
                        4 * aIndex,
                        lda,
                        bMemory,
                        4 * bIndex,
                        ldb,
                        accumulate ? 1 : 0,
                        cMemory,
                        4 * cIndex,
                        N,
                        worker);
        });
    }

    /** Of the ways to write threads as rows times columns of tiles, the one whose tiles have the least half-perimeter. */
    static int tileColumns(int M, int N, int threads) {
        int best = 1;
        double least = Double.MAX_VALUE;
        for (int columns = 1; columns <= threads; columns++) {
            if (threads % columns != 0) continue;
            double halfPerimeter = (double) M * columns / threads + (double) N / columns;
            if (halfPerimeter < least) {
                least = halfPerimeter;
                best = columns;
            }
        }
        return best;
    }

    /** Start of part {@code part} of {@code parts} of an axis, rounded down to a multiple of {@link #EDGE}. */
    static int edge(int length, int parts, int part) {
        if (part == parts) return length;
        return (int) ((long) length * part / parts / EDGE * EDGE);
    }

    @Override
    public void linear(
            HostTensor y_RO, HostTensor x_RI, HostTensor weight_OI, HostTensor bias_O, HostTensor residual_RO) {
        GemmShape.linear(y_RO, bias_O, residual_RO);
        nt(y_RO, x_RI, weight_OI, false);
        if (bias_O == null && residual_RO == null) return;
        int O = (int) y_RO.dim(1);
        Parts.run(pool, y_RO.dim(0), (from, to, worker) -> {
            for (long r = from; r < to; r++) {
                long row = 4L * r * O;
                if (bias_O != null) add(y_RO.memory(), row, bias_O.memory(), 0, O);
                if (residual_RO != null) add(y_RO.memory(), row, residual_RO.memory(), row, O);
            }
        });
    }

    @Override
    public void biasBackward(HostTensor dBias_O, HostTensor dy_RO) {
        int O = Math.toIntExact(GemmShape.biasWidth(dy_RO, dBias_O));
        long R = dy_RO.dim(0);
        pool.run(pool.threads(), (part, worker) -> {
            int first = edge(O, pool.threads(), part), width = edge(O, pool.threads(), part + 1) - first;
            for (long r = 0; r < R; r++) add(dBias_O.memory(), 4L * first, dy_RO.memory(), 4L * (r * O + first), width);
        });
    }

    /** y[i] += x[i] for n floats from the byte offsets on. */
    private static void add(MemorySegment y, long yOffset, MemorySegment x, long xOffset, int n) {
        int i = 0;
        for (; i + SPECIES.length() <= n; i += SPECIES.length())
            FloatVector.fromMemorySegment(SPECIES, y, yOffset + 4L * i, ORDER)
                    .add(FloatVector.fromMemorySegment(SPECIES, x, xOffset + 4L * i, ORDER))
                    .intoMemorySegment(y, yOffset + 4L * i, ORDER);
        if (i < n) {
            var mask = SPECIES.indexInRange(i, n);
            FloatVector.fromMemorySegment(SPECIES, y, yOffset + 4L * i, ORDER, mask)
                    .add(FloatVector.fromMemorySegment(SPECIES, x, xOffset + 4L * i, ORDER, mask))
                    .intoMemorySegment(y, yOffset + 4L * i, ORDER, mask);
        }
    }
}
