package dev.rheostat.op.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;

/**
 * Our own product in the JDK's Vector API, where no native library can be loaded. Blocks of A and B are packed into
 * panels that stay in cache; a kernel keeps a tile of {@value #MR} rows by two vectors of C in registers (12 sums, two
 * columns and one row element: 15 of the 16 registers that AVX2 has). Goto and van de Geijn 2008, "Anatomy of
 * high-performance matrix multiplication".
 */
final class VectorBlockGemm implements BlockGemm {
    private static final VectorSpecies<Float> SPECIES = FloatVector.SPECIES_PREFERRED;
    private static final ByteOrder ORDER = ByteOrder.nativeOrder();
    private static final int LANES = SPECIES.length();
    private static final int MR = 6, NR = 2 * LANES;

    /** Packed A is MC x KC floats, 144 KiB: half of a usual L2. A panel of B, KC x NR, fits L1. Packed B is 1 MiB. */
    private static final int KC = 256, MC = 24 * MR, NC = 1024;

    private final MemorySegment[] packedA;
    private final MemorySegment[] packedB;
    private final MemorySegment[] tile;

    VectorBlockGemm(Arena arena, int workers) {
        packedA = new MemorySegment[workers];
        packedB = new MemorySegment[workers];
        tile = new MemorySegment[workers];
        for (int i = 0; i < workers; i++) {
            packedA[i] = arena.allocate(4L * MC * KC, 64);
            packedB[i] = arena.allocate(4L * KC * (NC + NR), 64);
            tile[i] = arena.allocate(4L * MR * NR, 64);
        }
    }

    @Override
    public String describe() {
        return "Vector API kernel, f32, vectors of " + LANES;
    }

    @Override
    public void multiply(
            boolean transA,
            boolean transB,
            int M,
            int N,
            int K,
            float alpha,
            MemorySegment a,
            long aOffset,
            int lda,
            MemorySegment b,
            long bOffset,
            int ldb,
            float beta,
            MemorySegment c,
            long cOffset,
            int ldc,
            int worker) {
        MemorySegment pa = packedA[worker], pb = packedB[worker], scratch = tile[worker];
        for (int n0 = 0; n0 < N; n0 += NC) {
            int nb = Math.min(NC, N - n0);
            for (int k0 = 0; k0 < K; k0 += KC) {
                int kb = Math.min(KC, K - k0);
                float scale = k0 == 0 ? beta : 1;
                pack(pb, NR, nb, kb, 1, b, bOffset, transB ? ldb : 1, transB ? 1 : ldb, n0, k0);
                for (int m0 = 0; m0 < M; m0 += MC) {
                    int mb = Math.min(MC, M - m0);
                    pack(pa, MR, mb, kb, alpha, a, aOffset, transA ? 1 : lda, transA ? lda : 1, m0, k0);
                    for (int n = 0; n < nb; n += NR)
                        for (int m = 0; m < mb; m += MR) {
                            int rows = Math.min(MR, mb - m), columns = Math.min(NR, nb - n);
                            long at = cOffset + 4L * ((long) (m0 + m) * ldc + n0 + n);
                            long aPanel = 4L * m * kb, bPanel = 4L * n * kb;
                            if (rows == MR && columns == NR) {
                                kernel(kb, pa, aPanel, pb, bPanel, scale, c, at, ldc);
                            } else {
                                kernel(kb, pa, aPanel, pb, bPanel, 0, scratch, 0, NR);
                                mergeTile(scratch, rows, columns, scale, c, at, ldc);
                            }
                        }
                }
            }
        }
    }

    /**
     * Copies lines of one operand (rows of op(A), columns of op(B)) into panels of {@code width} lines, k slowest, the last panel
     * filled up with zeros. Element (line, k) of the operand lies at line * lineStride + k * kStride.
     */
    private static void pack(
            MemorySegment to,
            int width,
            int lines,
            int kb,
            float alpha,
            MemorySegment from,
            long offset,
            long lineStride,
            long kStride,
            int line0,
            int k0) {
        for (int panel = 0; panel < lines; panel += width) {
            long base = 4L * panel * kb;
            int filled = Math.min(width, lines - panel);
            long source = offset + 4 * ((line0 + panel) * lineStride + k0 * kStride);
            if (lineStride == 1 && filled == width && width % LANES == 0 && alpha == 1) {
                for (int k = 0; k < kb; k++)
                    for (int i = 0; i < width; i += LANES)
                        FloatVector.fromMemorySegment(SPECIES, from, source + 4 * (k * kStride + i), ORDER)
                                .intoMemorySegment(to, base + 4L * ((long) k * width + i), ORDER);
                continue;
            }
            for (int i = 0; i < width; i++)
                for (int k = 0; k < kb; k++) {
                    float value =
                            i < filled ? alpha * from.get(JAVA_FLOAT, source + 4 * (i * lineStride + k * kStride)) : 0;
                    to.set(JAVA_FLOAT, base + 4L * ((long) k * width + i), value);
                }
        }
    }

    private static void kernel(
            int kb,
            MemorySegment a,
            long aPanel,
            MemorySegment b,
            long bPanel,
            float scale,
            MemorySegment c,
            long at,
            int ldc) {
        FloatVector zero = FloatVector.zero(SPECIES);
        FloatVector c00 = zero, c01 = zero, c10 = zero, c11 = zero, c20 = zero, c21 = zero;
        FloatVector c30 = zero, c31 = zero, c40 = zero, c41 = zero, c50 = zero, c51 = zero;
        for (int k = 0; k < kb; k++) {
            FloatVector b0 = FloatVector.fromMemorySegment(SPECIES, b, bPanel + 4L * k * NR, ORDER);
            FloatVector b1 = FloatVector.fromMemorySegment(SPECIES, b, bPanel + 4L * (k * NR + LANES), ORDER);
            long row = aPanel + 4L * k * MR;
            FloatVector x = FloatVector.broadcast(SPECIES, a.get(JAVA_FLOAT, row));
            c00 = x.fma(b0, c00);
            c01 = x.fma(b1, c01);
            x = FloatVector.broadcast(SPECIES, a.get(JAVA_FLOAT, row + 4));
            c10 = x.fma(b0, c10);
            c11 = x.fma(b1, c11);
            x = FloatVector.broadcast(SPECIES, a.get(JAVA_FLOAT, row + 8));
            c20 = x.fma(b0, c20);
            c21 = x.fma(b1, c21);
            x = FloatVector.broadcast(SPECIES, a.get(JAVA_FLOAT, row + 12));
            c30 = x.fma(b0, c30);
            c31 = x.fma(b1, c31);
            x = FloatVector.broadcast(SPECIES, a.get(JAVA_FLOAT, row + 16));
            c40 = x.fma(b0, c40);
            c41 = x.fma(b1, c41);
            x = FloatVector.broadcast(SPECIES, a.get(JAVA_FLOAT, row + 20));
            c50 = x.fma(b0, c50);
            c51 = x.fma(b1, c51);
        }
        long step = 4L * ldc;
        store(c00, c01, scale, c, at);
        store(c10, c11, scale, c, at + step);
        store(c20, c21, scale, c, at + 2 * step);
        store(c30, c31, scale, c, at + 3 * step);
        store(c40, c41, scale, c, at + 4 * step);
        store(c50, c51, scale, c, at + 5 * step);
    }

    /** C's old value is not read when scale is 0: it may be anything. */
    private static void store(FloatVector left, FloatVector right, float scale, MemorySegment c, long at) {
        if (scale != 0) {
            left = FloatVector.fromMemorySegment(SPECIES, c, at, ORDER)
                    .mul(scale)
                    .add(left);
            right = FloatVector.fromMemorySegment(SPECIES, c, at + 4L * LANES, ORDER)
                    .mul(scale)
                    .add(right);
        }
        left.intoMemorySegment(c, at, ORDER);
        right.intoMemorySegment(c, at + 4L * LANES, ORDER);
    }

    private static void mergeTile(
            MemorySegment tile, int rows, int columns, float scale, MemorySegment c, long at, int ldc) {
        for (int m = 0; m < rows; m++)
            for (int n = 0; n < columns; n++) {
                long address = at + 4L * ((long) m * ldc + n);
                float old = scale == 0 ? 0 : scale * c.get(JAVA_FLOAT, address);
                c.set(JAVA_FLOAT, address, old + tile.get(JAVA_FLOAT, 4L * (m * NR + n)));
            }
    }
}
