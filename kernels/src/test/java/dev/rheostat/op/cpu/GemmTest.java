package dev.rheostat.op.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.rheostat.ffi.OneDnn;
import dev.rheostat.op.DType;
import dev.rheostat.op.Gemm;
import dev.rheostat.op.HostTensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class GemmTest {
    private static final String SIZES =
            "1,1,1, 7,5,3, 16,32,8, 33,31,29, 64,96,257, 6,32,300, 150,1100,20, 257,40,513, 2,1500,7";

    private enum Layout {
        NT,
        NN,
        TN
    }

    private static HostTensor random(Arena arena, Random random, long... shape) {
        HostTensor tensor = HostTensor.allocate(arena, DType.F32, shape);
        for (long i = 0; i < tensor.size(); i++) tensor.setFloat(i, (float) random.nextGaussian());
        return tensor;
    }

    private static void multiply(
            Gemm<HostTensor> gemm, Layout layout, HostTensor c, HostTensor a, HostTensor b, boolean accumulate) {
        switch (layout) {
            case NT -> gemm.nt(c, a, b, accumulate);
            case NN -> gemm.nn(c, a, b, accumulate);
            case TN -> gemm.tn(c, a, b, accumulate);
        }
    }

    /**
     * Every layout and size of the list against the definition. The bound is that of a sum of K products in f32,
     * (K + 2) u sum|a b| (Higham 2002, sec. 3.1), times two for operands rounded to {@code unit}.
     */
    private static void matchesDefinition(BlockGemm block, Bf16Tiles bf16, int threads, double unit) {
        PlainGemm plain = new PlainGemm();
        String[] sizes = SIZES.split(",");
        Random random = new Random(threads);
        try (WorkerPool pool = new WorkerPool(threads)) {
            CpuGemm gemm = new CpuGemm(block, bf16, pool);
            for (int i = 0; i < sizes.length; i += 3)
                for (Layout layout : Layout.values())
                    for (boolean accumulate : new boolean[] {false, true})
                        try (Arena arena = Arena.ofShared()) {
                            int M = size(sizes[i]), N = size(sizes[i + 1]), K = size(sizes[i + 2]);
                            HostTensor a =
                                    layout == Layout.TN ? random(arena, random, K, M) : random(arena, random, M, K);
                            HostTensor b =
                                    layout == Layout.NT ? random(arena, random, N, K) : random(arena, random, K, N);
                            HostTensor c = random(arena, random, M, N),
                                    expected = HostTensor.allocate(arena, DType.F32, M, N);
                            expected.memory().copyFrom(c.memory());
                            if (!accumulate) for (long j = 0; j < c.size(); j++) c.setFloat(j, Float.NaN);
                            multiply(plain, layout, expected, a, b, accumulate);
                            multiply(gemm, layout, c, a, b, accumulate);
                            double bound = (2 * unit + (K + 2) * 0x1p-24) * 16 * Math.max(1, K);
                            for (long j = 0; j < c.size(); j++)
                                assertEquals(
                                        expected.getFloat(j),
                                        c.getFloat(j),
                                        Math.min(bound, 12 * unit * Math.sqrt(K) + bound / 50 + 1e-5),
                                        layout + " M=" + M + " N=" + N + " K=" + K + " element " + j);
                        }
        }
    }

    private static int size(String text) {
        return Integer.parseInt(text.strip());
    }

    @ParameterizedTest
    @CsvSource({"1", "2", "3"})
    void theVectorKernelMatchesTheDefinition(int threads) {
        try (Arena arena = Arena.ofShared()) {
            matchesDefinition(new VectorBlockGemm(arena, threads), null, threads, 0x1p-24);
        }
    }

    @ParameterizedTest
    @CsvSource({"1", "2", "3"})
    void oneDnnMatchesTheDefinition(int threads) {
        assumeTrue(OneDnn.status().available(), () -> OneDnn.status().detail());
        matchesDefinition(new OneDnnBlockGemm(), null, threads, 0x1p-24);
    }

    @ParameterizedTest
    @CsvSource({"1", "2", "3"})
    void oneDnnInBf16IsAsCloseAsItsOperands(int threads) {
        assumeTrue(OneDnn.status().available(), () -> OneDnn.status().detail());
        assumeTrue(CpuGemms.processorHasBf16(), "this processor has no bf16 instructions");
        try (Arena arena = Arena.ofShared()) {
            matchesDefinition(new OneDnnBlockGemm(), new Bf16Tiles(arena, threads), threads, 0x1p-9);
        }
    }

    @ParameterizedTest
    @CsvSource({"false, 1", "false, 2", "true, 2"})
    void theSameProductTwiceHasTheSameBits(boolean bf16, int threads) {
        assumeTrue(OneDnn.status().available(), () -> OneDnn.status().detail());
        assumeTrue(!bf16 || CpuGemms.processorHasBf16(), "this processor has no bf16 instructions");
        try (WorkerPool pool = new WorkerPool(threads);
                Arena arena = Arena.ofShared()) {
            Random random = new Random(1);
            CpuGemm gemm = new CpuGemm(new OneDnnBlockGemm(), bf16 ? new Bf16Tiles(arena, threads) : null, pool);
            HostTensor a = random(arena, random, 130, 70), b = random(arena, random, 90, 70);
            HostTensor first = random(arena, random, 130, 90), second = random(arena, random, 130, 90);
            gemm.nt(first, a, b, false);
            for (int i = 0; i < 20; i++) {
                gemm.nt(second, a, b, false);
                assertEquals(-1, first.memory().mismatch(second.memory()));
            }
        }
    }

    @Test
    void roundingToBf16IsToTheNearestAndTiesGoToEven() {
        float[] values = {
            1f,
            1 + 0x1p-8f,
            1 + 3 * 0x1p-8f,
            1 + 0x1p-8f + 0x1p-20f,
            -2.7f,
            0f,
            -0f,
            Float.MAX_VALUE,
            Float.MIN_VALUE,
            Float.POSITIVE_INFINITY,
            Float.NEGATIVE_INFINITY,
            Float.NaN,
            Float.intBitsToFloat(0x7f800001),
            3e-39f,
            1e10f,
            -7f,
            0.1f
        };
        float[] nearest = {
            1f,
            1f,
            1 + 0x1p-6f,
            1 + 0x1p-7f,
            -2.703125f,
            0f,
            -0f,
            Float.POSITIVE_INFINITY,
            0f,
            Float.POSITIVE_INFINITY,
            Float.NEGATIVE_INFINITY,
            Float.NaN,
            Float.NaN,
            33 * 0x1p-133f,
            149 * 0x1p26f,
            -7f,
            0.10009765625f
        };
        try (Arena arena = Arena.ofConfined()) {
            int n = 2 * values.length; // every value meets the vector loop and, moved by one, the scalar rest
            MemorySegment x = arena.allocate(4L * n, 64), rounded = arena.allocate(2L * n, 64);
            for (int i = 0; i < n; i++) x.setAtIndex(JAVA_FLOAT, i, values[i % values.length]);
            Bf16Tiles.round(x, rounded, 0, n);
            Bf16Tiles.round(x, rounded, n - 1, n);
            for (int i = 0; i < n; i++) {
                float back = Float.intBitsToFloat(rounded.getAtIndex(JAVA_SHORT, i) << 16);
                assertEquals(nearest[i % values.length], back, "of " + values[i % values.length]);
            }
            for (int i = 0; i < values.length; i++) { // one at a time: the scalar definition
                Bf16Tiles.round(x, rounded, i, i + 1);
                float back = Float.intBitsToFloat(rounded.getAtIndex(JAVA_SHORT, i) << 16);
                assertEquals(nearest[i], back, "alone, of " + values[i]);
            }
        }
    }

    @Test
    void scaledBlocksInsideLargerMatricesLeaveTheirSurroundingsAlone() {
        try (Arena arena = Arena.ofConfined()) {
            for (BlockGemm block : OneDnn.status().available()
                    ? new BlockGemm[] {new VectorBlockGemm(arena, 1), new OneDnnBlockGemm()}
                    : new BlockGemm[] {new VectorBlockGemm(arena, 1)}) {
                Random random = new Random(3);
                int M = 13, N = 21, K = 17, ld = 40;
                HostTensor a = random(arena, random, 20, ld),
                        b = random(arena, random, 30, ld),
                        c = random(arena, random, 20, ld);
                HostTensor before = HostTensor.allocate(arena, DType.F32, 20, ld);
                before.memory().copyFrom(c.memory());
                block.multiply(
                        false,
                        true,
                        M,
                        N,
                        K,
                        0.5f,
                        a.memory(),
                        4 * 2,
                        ld,
                        b.memory(),
                        4 * 3,
                        ld,
                        2,
                        c.memory(),
                        4 * 5,
                        ld,
                        0);
                for (int m = 0; m < 20; m++)
                    for (int n = 0; n < ld; n++) {
                        double expected = before.getFloat((long) m * ld + n);
                        if (m < M && n >= 5 && n < 5 + N) {
                            expected *= 2;
                            for (int k = 0; k < K; k++)
                                expected += 0.5
                                        * a.getFloat((long) m * ld + 2 + k)
                                        * b.getFloat((long) (n - 5) * ld + 3 + k);
                        }
                        assertEquals(
                                expected, c.getFloat((long) m * ld + n), 2e-5, block.describe() + " at " + m + "," + n);
                    }
            }
        }
    }

    @ParameterizedTest
    @CsvSource({"1", "2", "3"})
    void biasesAndResidualsMatchTheDefinition(int threads) {
        try (WorkerPool pool = new WorkerPool(threads);
                Arena arena = Arena.ofShared()) {
            Random random = new Random(5);
            CpuGemm gemm = new CpuGemm(new VectorBlockGemm(arena, threads), null, pool);
            for (int O : new int[] {1, 15, 16, 67}) {
                HostTensor x = random(arena, random, 9, 3),
                        weight = random(arena, random, O, 3),
                        y = random(arena, random, 9, O),
                        bias = random(arena, random, O),
                        residual = random(arena, random, 9, O),
                        expected = random(arena, random, 9, O);
                for (int summands = 0; summands < 4; summands++) {
                    HostTensor b = (summands & 1) == 0 ? null : bias, r = (summands & 2) == 0 ? null : residual;
                    new PlainGemm().linear(expected, x, weight, b, r);
                    gemm.linear(y, x, weight, b, r);
                    for (int i = 0; i < 9 * O; i++) assertEquals(expected.getFloat(i), y.getFloat(i), 1e-6);
                    double product = 0;
                    for (int k = 0; k < 3; k++) product += x.getFloat(3 + k) * weight.getFloat(k);
                    double sum = product + (b == null ? 0 : b.getFloat(0)) + (r == null ? 0 : r.getFloat(O));
                    assertEquals(sum, y.getFloat(O), 1e-6, "row 1, column 0, by hand");
                }
                HostTensor expectedBias = HostTensor.allocate(arena, DType.F32, O);
                expectedBias.memory().copyFrom(bias.memory());
                new PlainGemm().biasBackward(expectedBias, y);
                gemm.biasBackward(bias, y);
                for (int o = 0; o < O; o++) assertEquals(expectedBias.getFloat(o), bias.getFloat(o), 1e-5);
            }
        }
    }

    @ParameterizedTest
    @CsvSource({"2048,768,2", "768,2048,2", "100,5,3", "4096,4096,16", "17,1000,7"})
    void tilesCoverTheProductOnce(int M, int N, int threads) {
        int columns = CpuGemm.tileColumns(M, N, threads), rows = threads / columns;
        assertEquals(threads, rows * columns);
        long covered = 0;
        for (int r = 0; r < rows; r++)
            for (int n = 0; n < columns; n++)
                covered += (long) (CpuGemm.edge(M, rows, r + 1) - CpuGemm.edge(M, rows, r))
                        * (CpuGemm.edge(N, columns, n + 1) - CpuGemm.edge(N, columns, n));
        assertEquals((long) M * N, covered);
    }

    @Test
    void aShapeThatDoesNotFitIsNamed() {
        try (Arena arena = Arena.ofConfined()) {
            HostTensor a = HostTensor.allocate(arena, DType.F32, 3, 4), b = HostTensor.allocate(arena, DType.F32, 5, 6);
            HostTensor weight = HostTensor.allocate(arena, DType.F32, 5, 4);
            try (WorkerPool pool = new WorkerPool(1)) {
                CpuGemm gemm = new CpuGemm(new VectorBlockGemm(arena, 1), null, pool);
                String message = assertThrows(IllegalArgumentException.class, () -> gemm.nn(a, a, b, false))
                        .getMessage();
                assertTrue(message.contains("[5, 6]"), message);
                HostTensor y = HostTensor.allocate(arena, DType.F32, 3, 5);
                for (HostTensor residual : new HostTensor[] {a, y})
                    assertThrows(IllegalArgumentException.class, () -> gemm.linear(y, a, weight, null, residual));
            }
        }
    }
}
