package dev.rheostat.cuda.sim;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.rheostat.cuda.sim.CudaSimulator.Order;
import java.lang.foreign.MemorySegment;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** What common.cuh offers kernels, against plain Java, in every order of threads. */
class ProductsTest {
    private static short bf16(float x) {
        int bits = Float.floatToRawIntBits(x);
        return (short) ((bits + (bits >>> 16 & 1) + 0x7fff) >>> 16);
    }

    private static float wide(short bits) {
        return Float.intBitsToFloat(bits << 16);
    }

    @ParameterizedTest
    @EnumSource(Order.class)
    void mmaOfFragmentsThatLdmatrixLoadedIsTheProduct(Order order) {
        try (Machine m = new Machine().load("products")) {
            CudaSimulator.order(order, 3);
            Random random = new Random(7);
            short[] a = new short[16 * 16], b = new short[16 * 8];
            float[] d = new float[16 * 8], expected = new float[16 * 8];
            for (int i = 0; i < a.length; i++) a[i] = bf16(random.nextInt(-8, 9)); // small integers: sums are exact
            for (int i = 0; i < b.length; i++) b[i] = bf16(random.nextInt(-8, 9));
            for (int i = 0; i < d.length; i++) d[i] = expected[i] = i;
            for (int r = 0; r < 16; r++)
                for (int c = 0; c < 8; c++)
                    for (int k = 0; k < 16; k++) expected[r * 8 + c] += wide(a[r * 16 + k]) * wide(b[k * 8 + c]);
            long out = m.floats(d);
            assertEquals(0, m.launch("warp_product", 1, 32, 0, Machine.LEGACY, out, m.shorts(a), m.shorts(b)));
            assertEquals(0, m.synchronize(), CudaSimulator::lastError);
            assertArrayEquals(expected, m.floats(out, d.length));
        }
    }

    @ParameterizedTest
    @EnumSource(Order.class)
    void ldmatrixHandsOutRowsAndColumns(Order order) {
        try (Machine m = new Machine().load("products")) {
            CudaSimulator.order(order, 4);
            short[] rows = new short[32 * 8];
            for (int i = 0; i < rows.length; i++) rows[i] = (short) i;
            long plain = m.alloc(512), transposed = m.alloc(512);
            assertEquals(0, m.launch("load_matrices", 1, 32, 0, Machine.LEGACY, plain, transposed, m.shorts(rows)));
            assertEquals(0, m.synchronize(), CudaSimulator::lastError);
            int[] p = m.read(plain, 512).toArray(JAVA_INT),
                    t = m.read(transposed, 512).toArray(JAVA_INT);
            for (int matrix = 0; matrix < 4; matrix++) {
                for (int lane = 0; lane < 32; lane++) {
                    int g = lane / 4, q = lane % 4, first = matrix * 64;
                    int row = first + g * 8 + 2 * q, column = first + 2 * q * 8 + g;
                    assertEquals(row | (row + 1) << 16, p[matrix * 32 + lane]);
                    assertEquals(column | (column + 8) << 16, t[matrix * 32 + lane]);
                }
            }
        }
    }

    @ParameterizedTest
    @EnumSource(Order.class)
    void reductionsHaveTheSameBitsInEveryOrder(Order order) {
        try (Machine m = new Machine().load("products")) {
            CudaSimulator.order(order, 5);
            int blocks = 3;
            float[] x = new float[blocks * 256];
            Random random = new Random(11);
            long expectedTotal = 0;
            for (int i = 0; i < x.length; i++) {
                x[i] = random.nextFloat();
                expectedTotal += (long) (x[i] * 1000);
            }
            long sums = m.alloc(blocks * 8), maxima = m.alloc(blocks * 32), total = m.alloc(8);
            m.ok("cuMemsetD8_v2", total, 0, 8L);
            assertEquals(0, m.launch("reductions", blocks, 256, 0, Machine.LEGACY, sums, maxima, total, m.floats(x)));
            assertEquals(0, m.synchronize(), CudaSimulator::lastError);
            float[] s = m.floats(sums, 2 * blocks), largest = m.floats(maxima, 8 * blocks);
            for (int b = 0; b < blocks; b++) {
                float expected = 0;
                for (int w = 0; w < 8; w++) {
                    float[] lanes = new float[32];
                    System.arraycopy(x, b * 256 + w * 32, lanes, 0, 32);
                    float max = lanes[0];
                    for (float v : lanes) max = Math.max(max, v);
                    assertEquals(max, largest[b * 8 + w]);
                    for (int offset = 16; offset > 0; offset /= 2)
                        for (int i = 0; i < offset; i++) lanes[i] += lanes[i + offset]; // as lane 0 adds in warp_sum
                    expected += lanes[0];
                }
                assertEquals(expected, s[2 * b]);
                assertEquals(2 * expected, s[2 * b + 1]);
            }
            assertEquals(expectedTotal, m.read(total, 8).get(JAVA_LONG, 0));
        }
    }

    @ParameterizedTest
    @EnumSource(Order.class)
    void coordinatesAndParametersArrive(Order order) {
        try (Machine m = new Machine().load("products")) {
            CudaSimulator.order(order, 6);
            long dims = m.alloc(36), parameters = m.alloc(32);
            int[] shape = {3, 2, 4, 32, 2, 3};
            int code = m.launch(
                    "coordinates", shape, 0, Machine.LEGACY, dims, parameters, (byte) -5, -1L << 40, 2.25f, -7.5);
            assertEquals(0, code);
            assertEquals(0, m.synchronize(), CudaSimulator::lastError);
            int[] expected = {32, 2, 3, 3, 2, 4, 31, 1, 2};
            assertArrayEquals(expected, m.read(dims, 36).toArray(JAVA_INT));
            assertArrayEquals(
                    new long[] {-5, -1L << 40, 9, -30}, m.read(parameters, 32).toArray(JAVA_LONG));
        }
    }

    /** alpha op(A) op(B) + beta C (+ bias), column-major, in double; inputs as the device's bf16. */
    @ParameterizedTest
    @CsvSource({
        // m, n, k, transA, transB, bf16 output, alpha, beta, bias, batch
        "1, 1, 1, 0, 0, 0, 1, 0, 0, 1",
        "33, 7, 300, 1, 0, 1, 1, 0, 0, 1",
        "17, 40, 65, 0, 1, 0, 1, 1, 0, 1",
        "64, 33, 128, 1, 1, 0, 0.5, -2, 0, 3",
        "20, 19, 18, 0, 0, 1, 1, 1, 1, 2",
    })
    void cublasLtMatmulIsTheProduct(
            int m, int n, int k, int transA, int transB, int bf16Out, float alpha, float beta, int bias, int batch) {
        try (Machine machine = new Machine()) {
            Random random = new Random(m * 31L + n);
            int ldA = (transA == 1 ? k : m) + 3, ldB = (transB == 1 ? n : k) + 1, ldD = m + 2;
            int columnsA = transA == 1 ? m : k, columnsB = transB == 1 ? k : n;
            short[] a = randoms(random, ldA * columnsA * batch), b = randoms(random, ldB * columnsB * batch);
            short[] d = randoms(random, ldD * n * batch), biases = randoms(random, m);
            float[] wideD = new float[d.length];
            for (int i = 0; i < d.length; i++) wideD[i] = wide(d[i]);
            long addressD = bf16Out == 1 ? machine.shorts(d) : machine.floats(wideD);

            long handle = machine.get("cublasLtCreate"), desc = machine.get("cublasLtMatmulDescCreate", 68, 0);
            attribute(machine, "MatmulDesc", desc, 3, transA);
            attribute(machine, "MatmulDesc", desc, 4, transB);
            if (bias == 1) {
                attribute(machine, "MatmulDesc", desc, 7, 4);
                MemorySegment pointer = machine.arena.allocateFrom(JAVA_LONG, machine.shorts(biases));
                machine.ok("cublasLtMatmulDescSetAttribute", desc, 8, pointer, 8L);
                attribute(machine, "MatmulDesc", desc, 26, 14);
            }
            long la = layout(machine, 14, transA == 1 ? k : m, columnsA, ldA, batch);
            long lb = layout(machine, 14, transB == 1 ? n : k, columnsB, ldB, batch);
            long ld = layout(machine, bf16Out == 1 ? 14 : 0, m, n, ldD, batch);
            MemorySegment scales = machine.arena.allocateFrom(JAVA_FLOAT, alpha, beta);
            machine.ok(
                    "cublasLtMatmul",
                    handle,
                    desc,
                    scales,
                    machine.shorts(a),
                    la,
                    machine.shorts(b),
                    lb,
                    scales.asSlice(4),
                    addressD,
                    ld,
                    addressD,
                    ld,
                    MemorySegment.NULL,
                    0L,
                    0L,
                    0L);
            assertEquals(0, machine.synchronize(), CudaSimulator::lastError);

            float[] got = new float[d.length];
            if (bf16Out == 1) {
                short[] bits = machine.read(addressD, d.length * 2L).toArray(JAVA_SHORT);
                for (int i = 0; i < got.length; i++) got[i] = wide(bits[i]);
            } else {
                got = machine.floats(addressD, d.length);
            }
            for (int s = 0; s < batch; s++) {
                for (int j = 0; j < n; j++) {
                    for (int i = 0; i < ldD; i++) {
                        int at = s * ldD * n + j * ldD + i;
                        if (i >= m) {
                            assertEquals(wideD[at], got[at], "between columns nothing is written");
                            continue;
                        }
                        double sum = 0, size = 0;
                        for (int x = 0; x < k; x++) {
                            float av = wide(a[s * ldA * columnsA + (transA == 1 ? i * ldA + x : x * ldA + i)]);
                            float bv = wide(b[s * ldB * columnsB + (transB == 1 ? x * ldB + j : j * ldB + x)]);
                            sum += (double) av * bv;
                            size += Math.abs((double) av * bv);
                        }
                        double expected = alpha * sum + beta * wideD[at] + (bias == 1 ? wide(biases[i]) : 0);
                        // k roundings of f32 (2^-24 each), and one to bf16, whose 8 bits are off by 2^-8 at most
                        double allowed = (k + 3) * 0x1p-24 * (size + Math.abs(expected) + 1)
                                + (bf16Out == 1 ? 0x1p-8 * Math.abs(expected) : 0);
                        assertEquals(expected, got[at], allowed);
                    }
                }
            }
        }
    }

    private static short[] randoms(Random random, int count) {
        short[] values = new short[count];
        for (int i = 0; i < count; i++) values[i] = bf16(random.nextFloat() * 2 - 1);
        return values;
    }

    private static void attribute(Machine m, String kind, long object, int attribute, int value) {
        m.ok("cublasLt" + kind + "SetAttribute", object, attribute, m.arena.allocateFrom(JAVA_INT, value), 4L);
    }

    private static long layout(Machine m, int type, long rows, long columns, long ld, int batch) {
        long layout = m.get("cublasLtMatrixLayoutCreate", type, rows, columns, ld);
        attribute(m, "MatrixLayout", layout, 5, batch);
        m.ok("cublasLtMatrixLayoutSetAttribute", layout, 6, m.arena.allocateFrom(JAVA_LONG, ld * columns), 8L);
        return layout;
    }
}
