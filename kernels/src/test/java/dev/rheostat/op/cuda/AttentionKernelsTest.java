package dev.rheostat.op.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.rheostat.op.Attention;
import dev.rheostat.op.AttentionShape;
import dev.rheostat.op.Backend;
import dev.rheostat.op.DType;
import dev.rheostat.op.Tensor;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What every family of attention kernels must do, each by itself, whatever the device would choose. */
@Tag("kernels")
abstract class AttentionKernelsTest {
    abstract AttentionKernels kernels(CudaOps ops, AttentionShape shape);

    /** The op with this family's kernels on CUDA, the definition on the plain backend. */
    @SuppressWarnings("unchecked")
    private <T extends Tensor> Attention<T> attention(Backend<T> backend, AttentionShape shape) {
        if (!((Backend<?>) backend instanceof CudaBackend cuda)) return backend.attention(shape);
        return (Attention<T>) new CudaAttention(cuda.ops(), shape, kernels(cuda.ops(), shape));
    }

    /** Forward, then backward from what it left; docStart of the rows of all sequences, or null. Keys and queries in [-reach, reach). */
    final void check(AttentionShape shape, int[] docStart_R, double reach, long seed) {
        long R = shape.rows();
        int outWidth = shape.heads() * shape.headWidth();
        Random random = new Random(seed);
        double[] qk = random.doubles(R * shape.qkWidth(), -reach, reach).toArray();
        CudaOpCase c = new CudaOpCase(seed)
                .bf16("qk", qk, R, shape.qkWidth())
                .bf16("qkv", R, shape.qkvWidth())
                .bf16("dO", R, outWidth)
                .output("o", DType.BF16, R, outWidth)
                .output("lse", DType.F32, R, shape.heads())
                .output("dQk", DType.BF16, R, shape.qkWidth())
                .output("dQkv", DType.BF16, R, shape.qkvWidth());
        if (docStart_R != null) c.ints("docStart", docStart_R);
        c.check(
                (backend, t) -> attention(backend, shape)
                        .forward(t.get("o"), t.get("lse"), t.get("qk"), t.get("qkv"), t.get("docStart")),
                (backend, t) -> attention(backend, shape)
                        .backward(
                                t.get("dQk"),
                                t.get("dQkv"),
                                t.get("dO"),
                                t.get("o"),
                                t.get("lse"),
                                t.get("qk"),
                                t.get("qkv"),
                                t.get("docStart")));
    }

    /** One octet of rows; rows that end within, with and just past tiles of 32, 64 and 128; heads that share keys and values. */
    @ParameterizedTest
    @CsvSource({
        "1, 8, 1, 1, 64",
        "2, 72, 2, 1, 64",
        "1, 200, 3, 3, 64",
        "1, 40, 4, 2, 128",
        "1, 136, 2, 1, 128",
        "2, 128, 1, 1, 128"
    })
    void itIsAsCloseAsPlainBf16(int B, int T, int H, int G, int D) {
        check(new AttentionShape(B, T, H, G, D), null, 1, T);
    }

    @ParameterizedTest
    @CsvSource({"2, 136, 2, 1, 64", "5, 264, 2, 1, 64", "1, 200, 2, 2, 128", "3, 328, 4, 2, 64"})
    void documentsSeeOnlyThemselves(int B, int T, int H, int G, int D) {
        Random random = new Random(D);
        int[] docStart_R = new int[B * T];
        for (int r = 0; r < docStart_R.length; r++) {
            int t = r % T;
            boolean starts = t == 0 || random.nextInt(40) == 0;
            docStart_R[r] = starts ? t : docStart_R[r - 1];
        }
        check(new AttentionShape(B, T, H, G, D), docStart_R, 1, T);
    }

    /** Documents that start one before, at, and one past a multiple of each length of a tile. */
    @ParameterizedTest
    @ValueSource(ints = {64, 128})
    void aDocumentMayStartAnywhereAroundATile(int D) {
        int T = 136;
        int[][] starts = {{31, 63, 127}, {32, 64, 128}, {33, 65, 129}
        }; // of the documents of a sequence after its first
        int[] docStart_R = new int[starts.length * T];
        for (int b = 0; b < starts.length; b++)
            for (int start : starts[b]) Arrays.fill(docStart_R, b * T + start, (b + 1) * T, start);
        check(new AttentionShape(starts.length, T, 1, 1, D), docStart_R, 1, D);
    }

    /** Scores of some hundreds: a row's largest takes all of the softmax, and e^score is no float. */
    @ParameterizedTest
    @ValueSource(ints = {64, 128})
    void scoresMayBeFarApart(int D) {
        check(new AttentionShape(1, 104, 2, 1, D), null, 16, D);
    }

    /** Equal keys: o is the mean of the values so far, lse the log of their number. */
    @ParameterizedTest
    @ValueSource(ints = {64, 128})
    void equalKeysGiveTheMeanOfTheValues(int D) {
        try (CudaUnderTest device = CudaUnderTest.open()) {
            AttentionShape shape = new AttentionShape(1, 136, 1, 1, D);
            Head head = new Head(device, shape);
            Arrays.fill(head.qk, 0);
            for (int i = 0; i < head.qkv.length; i++) head.qkv[i] = i / shape.qkvWidth(); // values of row t are t
            head.forward(null);
            float[] o = head.values.bf16(head.o), lse = head.values.floats(head.lse);
            for (int t = 0; t < 136; t++) {
                assertEquals(Math.log(t + 1), lse[t], 1e-6 * (1 + Math.log(t + 1))); // a few units of f32
                for (int d = 0; d < D; d++) assertEquals(t / 2.0, o[t * D + d], t / 256.0); // a unit of bf16
            }
        }
    }

    /**
     * Every row its own document: o = v and dV = dO to the last bit, and no gradient reaches queries and keys but what is left of
     * dO . v - dO . o: two sums of D products below 1, each off by up to D^2 units of f32, times a key or query below 1, over
     * sqrt(D).
     */
    @ParameterizedTest
    @ValueSource(ints = {64, 128})
    void aRowAloneGetsItsOwnValue(int D) {
        try (CudaUnderTest device = CudaUnderTest.open()) {
            AttentionShape shape = new AttentionShape(2, 72, 2, 2, D);
            Head head = new Head(device, shape);
            int[] docStart_R = new int[144];
            for (int r = 0; r < docStart_R.length; r++) docStart_R[r] = r % 72;
            head.forward(docStart_R);
            head.backward(docStart_R);
            float[] dQkv = head.values.bf16(head.dQkv), o = head.values.bf16(head.o);
            int width = 2 * D, from = shape.qkWidth(), stride = shape.qkvWidth();
            for (int r = 0; r < 144; r++) {
                int value = r * stride + from;
                assertArrayEquals(
                        Arrays.copyOfRange(head.qkv, value, value + width),
                        Arrays.copyOfRange(o, r * width, (r + 1) * width));
                assertArrayEquals(
                        Arrays.copyOfRange(head.dO, r * width, (r + 1) * width),
                        Arrays.copyOfRange(dQkv, value, value + width));
            }
            for (float gradient : head.values.bf16(head.dQk)) assertEquals(0, gradient, Math.pow(D, 1.5) * 0x1p-23);
        }
    }

    /** An op with its tensors on a device; inputs, all bf16 numbers in [-1, 1), may be changed before forward. */
    private final class Head {
        final DeviceValues values;
        final float[] qk, qkv, dO;
        final DeviceTensor o, lse, dQk, dQkv;
        private final CudaUnderTest device;
        private final AttentionShape shape;

        Head(CudaUnderTest device, AttentionShape shape) {
            this.device = device;
            this.shape = shape;
            values = new DeviceValues(device.backend());
            Random random = new Random(shape.headWidth());
            long R = shape.rows(), outWidth = (long) shape.heads() * shape.headWidth();
            qk = floats(random, R * shape.qkWidth());
            qkv = floats(random, R * shape.qkvWidth());
            dO = floats(random, R * outWidth);
            o = device.backend().allocate("test", DType.BF16, R, outWidth);
            lse = device.backend().allocate("test", DType.F32, R, shape.heads());
            dQk = device.backend().allocate("test", DType.BF16, R, shape.qkWidth());
            dQkv = device.backend().allocate("test", DType.BF16, R, shape.qkvWidth());
        }

        /** Of 128ths, which bf16 holds. */
        private static float[] floats(Random random, long count) {
            float[] x = new float[(int) count];
            for (int i = 0; i < x.length; i++) x[i] = random.nextInt(-128, 128) / 128f;
            return x;
        }

        void forward(int[] docStart_R) {
            attention(device.backend(), shape).forward(o, lse, values.bf16(qk), values.bf16(qkv), ints(docStart_R));
        }

        void backward(int[] docStart_R) {
            attention(device.backend(), shape)
                    .backward(dQk, dQkv, values.bf16(dO), o, lse, values.bf16(qk), values.bf16(qkv), ints(docStart_R));
        }

        private DeviceTensor ints(int[] x) {
            return x == null ? null : values.ints(x);
        }
    }
}
