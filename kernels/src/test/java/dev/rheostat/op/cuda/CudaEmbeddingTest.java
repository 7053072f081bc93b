package dev.rheostat.op.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rheostat.op.DType;
import dev.rheostat.op.Embedding;
import dev.rheostat.op.Tensor;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The embedding on the device: look-ups, and the sorted, segmented sum of their gradients. */
@Tag("kernels")
class CudaEmbeddingTest {
    /** How a batch's tokens are drawn. */
    enum Draw {
        UNIFORM,
        /** Token i as often as 1 / (i + 1): a few runs cross many chunks. */
        ZIPF,
        ONE_TOKEN,
        ALL_DIFFERENT,
        /** Runs of just a chunk's 32 rows, so that they end where chunks end. */
        RUNS_OF_A_CHUNK;

        int[] tokens(int R, int V) {
            Random random = new Random(R + 7L * V);
            int[] tokens = new int[R];
            for (int r = 0; r < R; r++)
                tokens[r] = switch (this) {
                    case UNIFORM -> random.nextInt(V);
                    case ZIPF -> (int) Math.min(V - 1, Math.pow(V, random.nextDouble()) - 1);
                    case ONE_TOKEN -> V - 1;
                    case ALL_DIFFERENT -> (int) ((long) r * 7919 % V);
                    case RUNS_OF_A_CHUNK -> r % (R / 32) * (V / (R / 32));
                };
            return tokens;
        }
    }

    /** B, T, V, C, positions, tokens; rows are fewer and more than a chunk of 32 and a tile of 2,048, V has one or two digits. */
    @ParameterizedTest
    @CsvSource({
        "1, 1, 1, 8, true, UNIFORM",
        "4, 7, 5, 40, true, UNIFORM",
        "2, 16, 9, 8, false, ONE_TOKEN",
        "1, 33, 257, 72, false, ALL_DIFFERENT",
        "3, 100, 512, 8, true, ZIPF",
        "2, 64, 513, 8, false, RUNS_OF_A_CHUNK",
        "1, 700, 513, 16, false, ONE_TOKEN",
        "3, 1500, 5000, 8, true, ZIPF",
        "1, 2049, 5000, 8, false, UNIFORM",
        "1, 40, 50, 768, true, ZIPF",
        "1, 70, 40, 2056, false, ZIPF"
    })
    void forwardAndBackwardAreAsCloseAsPlainBf16(int B, int T, int V, int C, boolean positions, Draw draw) {
        int R = B * T;
        CudaOpCase op = new CudaOpCase(V + 31L * R)
                .weight("table", V, C)
                .ints("tokens", draw.tokens(R, V))
                .bf16("dx", R, C)
                .output("x", DType.BF16, R, C)
                .updated("dTable", DType.F32, V, C);
        if (positions) op.weight("positions", T, C).updated("dPositions", DType.F32, T, C);
        else op.exact("x");
        op.check(
                (backend, t) -> backend.embedding(R, V, C)
                        .forward(t.get("x"), t.get("tokens"), t.get("table"), t.get("positions")),
                (backend, t) -> backend.embedding(R, V, C)
                        .backward(t.get("dTable"), t.get("dPositions"), t.get("dx"), t.get("tokens")));
    }

    /**
     * Sums of small integers are exact in f32, so that every row must have been added, and just once, wherever it lies; and
     * again at the second call, whatever the first has left in the op's own memory. The last V has three digits.
     */
    @ParameterizedTest
    @CsvSource({"2100, 3, ONE_TOKEN", "5000, 60, ZIPF", "4096, 128, RUNS_OF_A_CHUNK", "300, 270000, UNIFORM"})
    void everyRowIsAddedJustOnceACall(int R, int V, Draw draw) {
        double[] dx = new double[R * 8];
        for (int i = 0; i < dx.length; i++) dx[i] = i / 8 % 13 - 4;
        double[] zeros = new double[V * 8];
        new CudaOpCase(R)
                .ints("tokens", draw.tokens(R, V))
                .bf16("dx", dx, R, 8)
                .f32("dTable", zeros, V, 8)
                .updated("dTable")
                .exact("dTable")
                .check((backend, t) -> {
                    Embedding<Tensor> embedding = backend.embedding(R, V, 8);
                    embedding.backward(t.get("dTable"), null, t.get("dx"), t.get("tokens"));
                    embedding.backward(t.get("dTable"), null, t.get("dx"), t.get("tokens"));
                });
    }

    /** The launches do not depend on the tokens, so a graph that was recorded with others serves. */
    @Test
    void aRecordedGraphServesOtherTokens() {
        int R = 300, V = 600, C = 8;
        try (CudaUnderTest device = CudaUnderTest.openWithGraphs()) {
            DeviceValues values = new DeviceValues(device.backend());
            float[] ones = new float[R * C];
            Arrays.fill(ones, 1);
            DeviceTensor dx = values.bf16(ones).view(0, R, C), tokens = values.ints(new int[R]);
            DeviceTensor dTable = values.floats(new float[V * C]).view(0, V, C);
            Embedding<DeviceTensor> embedding = device.backend().embedding(R, V, C);
            Runnable step = device.backend().program("step", () -> {
                device.backend().zero(dTable);
                embedding.backward(dTable, null, dx, tokens);
            });
            for (Draw draw : Draw.values()) {
                int[] drawn = draw.tokens(R, V);
                values.setInts(tokens, drawn);
                step.run();
                float[] expected = new float[V * C];
                for (int token : drawn) for (int c = 0; c < C; c++) expected[token * C + c]++;
                assertArrayEquals(expected, values.floats(dTable), draw.name());
            }
        }
    }

    @Test
    void anotherShapeThanThePlannedOneIsRefused() {
        try (CudaUnderTest device = CudaUnderTest.open()) {
            DeviceTensor tokens = device.backend().allocate("test", DType.I32, 4);
            DeviceTensor x = device.backend().allocate("test", DType.BF16, 4, 8);
            DeviceTensor table = device.backend().view(device.backend().allocateWeights("test", 80), 0, 10, 8);
            String message = assertThrows(
                            IllegalArgumentException.class,
                            () -> device.backend().embedding(5, 10, 8).forward(x, tokens, table, null))
                    .getMessage();
            assertTrue(message.contains("R=5 V=10 C=8"), message);
            assertThrows(IllegalArgumentException.class, () -> device.backend().embedding(5, 10, 12));
        }
    }
}
