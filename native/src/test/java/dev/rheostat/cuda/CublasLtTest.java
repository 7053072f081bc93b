package dev.rheostat.cuda;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.rheostat.cuda.MatmulShape.Type;
import dev.rheostat.cuda.jcuda.JCublasGemm;
import dev.rheostat.ffi.CudaLibrary;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Products of cuBLASLt, and of JCublas, in their own column-major terms, against plain loops in doubles. */
@Timeout(60)
class CublasLtTest {
    private static final long WORKSPACE_BYTES = 32 << 20;

    private CudaApi api;
    private CudaDevice device;
    private CudaStream stream;
    private CublasLt lt;
    private DeviceBuffer workspace;
    private final Arena arena = Arena.ofConfined();

    @BeforeEach
    void open() {
        TestKernels.assumeDriver();
        assumeTrue(
                CudaLibrary.CUBLAS_LT.status().available(),
                () -> CudaLibrary.CUBLAS_LT.status().detail());
        api = Cuda.ffm();
        device = CudaDevice.open(api, 0);
        stream = new CudaStream(api);
        lt = new CublasLt();
        workspace = new DeviceBuffer(api, WORKSPACE_BYTES, "workspace");
    }

    @AfterEach
    void close() {
        arena.close();
        if (workspace != null) workspace.close();
        if (lt != null) lt.close();
        if (stream != null) stream.close();
        if (device != null) device.close();
    }

    /** A column-major matrix on the host and on the device; what lies between its columns is NaN. */
    private final class Matrix implements AutoCloseable {
        final Type type;
        final int rows;
        final int columns;
        final int ld;
        final float[] values; // what the device holds, rounded to the type
        final DeviceBuffer buffer;

        Matrix(Type type, int rows, int columns, int ld, Random random) {
            this.type = type;
            this.rows = rows;
            this.columns = columns;
            this.ld = ld;
            this.values = new float[ld * columns];
            for (int j = 0; j < columns; j++)
                for (int i = 0; i < ld; i++)
                    values[i + j * ld] = i >= rows ? Float.NaN : rounded(type, (float) random.nextGaussian());
            MemorySegment host = arena.allocate(bytes(type) * values.length, 16);
            for (int i = 0; i < values.length; i++) {
                if (type == Type.BF16) host.setAtIndex(JAVA_SHORT, i, bf16(values[i]));
                else host.setAtIndex(JAVA_FLOAT, i, values[i]);
            }
            this.buffer = new DeviceBuffer(api, host.byteSize(), "matrix");
            buffer.write(0, host, stream);
            stream.synchronize();
        }

        float[] read() {
            MemorySegment host = arena.allocate(buffer.bytes(), 16);
            buffer.read(0, host, stream);
            stream.synchronize();
            float[] read = new float[values.length];
            for (int i = 0; i < read.length; i++)
                read[i] = type == Type.BF16
                        ? Float.intBitsToFloat(host.getAtIndex(JAVA_SHORT, i) << 16)
                        : host.getAtIndex(JAVA_FLOAT, i);
            return read;
        }

        @Override
        public void close() {
            buffer.close();
        }
    }

    private static long bytes(Type type) {
        return type == Type.BF16 ? 2 : 4;
    }

    /** Nearest, ties to even. */
    private static short bf16(float x) {
        int bits = Float.floatToRawIntBits(x);
        return (short) (Float.isNaN(x) ? 0x7fc0 : (bits + 0x7fff + (bits >>> 16 & 1)) >>> 16);
    }

    private static float rounded(Type type, float x) {
        return type == Type.BF16 ? Float.intBitsToFloat(bf16(x) << 16) : x;
    }

    private static MatmulShape shape(
            boolean transA, boolean transB, int m, int n, int k, int padding, Type in, Type out, boolean bias) {
        return new MatmulShape(
                transA,
                transB,
                m,
                n,
                k,
                (transA ? k : m) + padding,
                (transB ? n : k) + padding,
                m + padding,
                in,
                out,
                bias);
    }

    /** A product that somebody enqueues: D = alpha op(A) op(B) + beta C + bias, by device addresses; no bias: 0. */
    private interface Product {
        void run(MatmulShape shape, long a, long b, long c, long d, float alpha, float beta, long bias);
    }

    /** Against plain loops. @param apart whether C is another matrix than D */
    private void check(MatmulShape shape, float beta, boolean apart, Product product) {
        int m = (int) shape.m(), n = (int) shape.n(), k = (int) shape.k();
        Random random = new Random(31L * m + k);
        float alpha = 0.75f;
        Type in = shape.inputs(), out = shape.output();
        try (Matrix a = new Matrix(in, shape.transA() ? k : m, shape.transA() ? m : k, (int) shape.lda(), random);
                Matrix b = new Matrix(in, shape.transB() ? n : k, shape.transB() ? k : n, (int) shape.ldb(), random);
                Matrix d = new Matrix(out, m, n, (int) shape.ldd(), random);
                Matrix other = new Matrix(out, m, n, (int) shape.ldd(), random);
                Matrix offset = new Matrix(out, m, 1, m, random)) {
            Matrix c = apart ? other : d;
            product.run(
                    shape,
                    a.buffer.address(),
                    b.buffer.address(),
                    c.buffer.address(),
                    d.buffer.address(),
                    alpha,
                    beta,
                    shape.bias() ? offset.buffer.address() : 0);
            float[] got = d.read();
            for (int j = 0; j < n; j++) {
                for (int i = 0; i < m; i++) {
                    double sum = 0, magnitude = 0;
                    for (int l = 0; l < k; l++) {
                        double term = (double) a.values[shape.transA() ? l + i * a.ld : i + l * a.ld]
                                * b.values[shape.transB() ? j + l * b.ld : l + j * b.ld];
                        sum += term;
                        magnitude += Math.abs(term);
                    }
                    double before = c.values[i + j * c.ld];
                    double want = alpha * sum + beta * before + (shape.bias() ? offset.values[i] : 0);
                    // k + 2 roundings of f32 at most, each of half a unit of the sum of magnitudes; one of the output's
                    // type
                    double bound = (k + 2) * 0x1p-24 * (magnitude + Math.abs(before) + 8)
                            + Math.abs(want) * (out == Type.BF16 ? 0x1p-8 : 0x1p-24);
                    assertEquals(want, got[i + j * d.ld], bound, shape + " at " + i + ", " + j);
                }
                for (int i = m; i < d.ld; i++) assertTrue(Float.isNaN(got[i + j * d.ld]), "between columns");
            }
            assertArrayEquals(other.values, other.read(), "C is only read");
        }
    }

    @ParameterizedTest
    @CsvSource({
        "false, false, 16,  24,  40, 0, BF16, F32,  1, false, false", // a gradient that is added to what is there
        "true,  false, 24,  16,  32, 0, BF16, BF16, 0, false, false",
        "true,  false, 24,  16,  32, 0, BF16, BF16, 1, false, true", // a residual stream and its branch
        "true,  false, 48,  40,  64, 0, BF16, BF16, 1, true,  true",
        "false, true,  40,  24,  16, 8, BF16, F32,  0, false, false",
        "true,  true,  16,  16, 128, 8, BF16, BF16, 1, false, false",
        "true,  false, 48,  40,  64, 0, BF16, BF16, 0, true,  false",
        "false, false, 64,   8,  24, 8, BF16, F32,  0.5, true, false",
        "true,  false, 16,  24,  40, 0, F32,  F32,  1, false, false"
    })
    void aProductIsWhatThePlainLoopsSay(
            boolean transA,
            boolean transB,
            int m,
            int n,
            int k,
            int padding,
            Type in,
            Type out,
            float beta,
            boolean bias,
            boolean apart) {
        check(
                shape(transA, transB, m, n, k, padding, in, out, bias),
                beta,
                apart,
                (shape, a, b, c, d, alpha, b1, offset) -> {
                    Matmul matmul = lt.matmul(shape, WORKSPACE_BYTES);
                    assertTrue(matmul.workspaceBytes() <= WORKSPACE_BYTES);
                    matmul.run(a, b, c, d, alpha, b1, offset, workspace.address(), stream);
                });
    }

    /** The other library, through JCuda: on its own stream and workspace, into the C that it adds to. */
    @ParameterizedTest
    @CsvSource({
        "false, false, 16, 24,  40, 0, BF16, F32,  1",
        "true,  false, 24, 16,  32, 0, BF16, BF16, 0",
        "false, true,  40, 24,  16, 8, BF16, F32,  0",
        "true,  true,  16, 16, 128, 8, BF16, BF16, 1"
    })
    void aProductOfJCublasIsToo(
            boolean transA, boolean transB, int m, int n, int k, int padding, Type in, Type out, float beta) {
        assumeTrue(
                JCublasGemm.unavailable().isEmpty(),
                () -> JCublasGemm.unavailable().orElseThrow());
        try (JCublasGemm jcublas = new JCublasGemm()) {
            jcublas.use(stream, workspace.address(), WORKSPACE_BYTES);
            check(
                    shape(transA, transB, m, n, k, padding, in, out, false),
                    beta,
                    false,
                    (shape, a, b, c, d, alpha, b1, offset) -> jcublas.run(shape, a, b, d, alpha, b1));
            MatmulShape biased = shape(false, false, 8, 8, 8, 0, Type.BF16, Type.BF16, true);
            assertThrows(IllegalArgumentException.class, () -> jcublas.run(biased, 512, 512, 512, 1, 0));
            MatmulShape shape = shape(false, false, 8, 8, 8, 0, Type.F32, Type.BF16, false);
            CudaException e = assertThrows(CudaException.class, () -> jcublas.run(shape, 512, 512, 512, 1, 0));
            assertEquals("CUBLAS_STATUS_NOT_SUPPORTED", e.errorName());
        }
    }

    @Test
    void theHeuristicIsAskedOnceAShape() {
        MatmulShape shape = shape(true, false, 64, 32, 16, 0, Type.BF16, Type.BF16, false);
        Matmul first = lt.matmul(shape, WORKSPACE_BYTES);
        assertSame(first, lt.matmul(shape(true, false, 64, 32, 16, 0, Type.BF16, Type.BF16, false), WORKSPACE_BYTES));
        String text = first.describeAlgorithm();
        for (String part :
                new String[] {"cublasLt=" + CublasLt.version(), "algo=", "splitK=", "reduction=", "workspaceBytes="})
            assertTrue(text.contains(part), text);
        int reduction = Integer.parseInt(text.replaceAll(".*reduction=(\\d+).*", "$1"));
        assertTrue(reduction == 0 || reduction == 2, text); // none, or through the workspace in f32
    }

    @Test
    void aProductCanBeCapturedAndRepeatsItsBits() {
        Random random = new Random(5);
        MatmulShape shape = shape(true, false, 32, 32, 256, 0, Type.BF16, Type.F32, false);
        try (Matrix a = new Matrix(Type.BF16, 256, 32, 256, random);
                Matrix b = new Matrix(Type.BF16, 256, 32, 256, random);
                Matrix d = new Matrix(Type.F32, 32, 32, 32, random)) {
            Matmul matmul = lt.matmul(shape, WORKSPACE_BYTES);
            Runnable product = () -> matmul.run(
                    a.buffer.address(),
                    b.buffer.address(),
                    d.buffer.address(),
                    d.buffer.address(),
                    1,
                    0,
                    0,
                    workspace.address(),
                    stream);
            product.run();
            float[] eager = d.read();
            d.buffer.fill((byte) 0, stream);
            try (CudaGraph graph = CudaGraph.capture(stream, product);
                    CudaGraphExec exec = graph.instantiate()) {
                assertTrue(graph.nodeCount() >= 1);
                assertArrayEquals(new float[32 * 32], d.read());
                exec.launch(stream);
                assertArrayEquals(eager, d.read());
            }
        }
    }

    /** As cuBLASLt of CUDA 13.3 does (github.com/mudler/vllm.cpp/issues/1732): who records asks before. */
    @Test
    void theSimulatorRefusesAHeuristicWhileAStreamRecords() {
        assumeTrue(TestKernels.simulated(), "older libraries answer");
        MatmulShape shape = shape(true, false, 24, 32, 16, 0, Type.BF16, Type.BF16, false);
        CudaException e = assertThrows(
                CudaException.class, () -> CudaGraph.capture(stream, () -> lt.matmul(shape, WORKSPACE_BYTES)));
        assertEquals("CUBLAS_STATUS_INTERNAL_ERROR", e.errorName());
        lt.matmul(shape, WORKSPACE_BYTES);
    }

    @Test
    void whatCannotBeIsRefusedBeforeItIsEnqueued() {
        assertThrows(
                IllegalArgumentException.class,
                () -> new MatmulShape(true, false, 8, 8, 16, 8, 16, 8, Type.BF16, Type.F32, false)); // lda is m, not k
        assertThrows(
                IllegalArgumentException.class,
                () -> new MatmulShape(false, false, 0, 8, 16, 8, 16, 8, Type.BF16, Type.F32, false));
        Matmul matmul = lt.matmul(shape(false, false, 8, 8, 8, 0, Type.BF16, Type.F32, false), WORKSPACE_BYTES);
        IllegalArgumentException e = assertThrows(
                IllegalArgumentException.class, () -> matmul.run(512, 512 + 2, 512, 512, 1, 0, 0, 512, stream));
        assertTrue(
                e.getMessage().contains("NN 8x8x8 bf16->f32") && e.getMessage().contains("16"), e.getMessage());
        assertThrows(IllegalArgumentException.class, () -> matmul.run(512, 512, 512, 512, 1, 0, 512, 512, stream));
        Matmul biased = lt.matmul(shape(false, false, 8, 8, 8, 0, Type.BF16, Type.BF16, true), WORKSPACE_BYTES);
        assertThrows(IllegalArgumentException.class, () -> biased.run(512, 512, 512, 512, 1, 0, 520, 512, stream));
    }

    /** As small as the alignment that was asked for: on the simulator an algorithm that was chosen for more refuses. */
    @Test
    void everyAddressMayBeAMultipleOfNoMoreThan16() {
        Matmul matmul = lt.matmul(shape(false, false, 8, 8, 8, 0, Type.BF16, Type.BF16, true), WORKSPACE_BYTES);
        try (DeviceBuffer zeros = new DeviceBuffer(api, 4096, "operands")) {
            zeros.fill((byte) 0, stream);
            long odd = zeros.address() + Matmul.ALIGNMENT_BYTES;
            matmul.run(odd, odd + 512, odd + 1024, odd + 1024, 1, 0, odd + 2048, workspace.address(), stream);
            stream.synchronize();
        }
    }

    @Test
    void closingTwiceIsHarmless() {
        lt.matmul(shape(false, false, 8, 8, 8, 0, Type.BF16, Type.F32, false), WORKSPACE_BYTES);
        lt.close();
        lt.close();
    }
}
