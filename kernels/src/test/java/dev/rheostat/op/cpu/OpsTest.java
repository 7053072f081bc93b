package dev.rheostat.op.cpu;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rheostat.op.AttentionShape;
import dev.rheostat.op.Backend;
import dev.rheostat.op.DType;
import dev.rheostat.op.HostTensor;
import dev.rheostat.op.Norm;
import dev.rheostat.op.QkRotary;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Every op but products and the loss, definition and fast variant, forward and backward. */
class OpsTest {
    private static final float EPS = 1e-5f;

    @ParameterizedTest
    @CsvSource({
        "RMS, 1, 8, false",
        "RMS, 3, 40, true",
        "RMS, 65, 129, false",
        "LAYER, 1, 5, true",
        "LAYER, 33, 64, true",
        "LAYER, 7, 131, true"
    })
    void norm(Norm.Kind kind, int R, int C, boolean gain) {
        OpCase op = new OpCase(R).trained("x", R, C).loss("y", R, C).output("stats", R, 2);
        boolean bias = gain && kind == Norm.Kind.LAYER;
        if (gain) op.trained("gain", C);
        if (bias) op.trained("bias", C);
        op.check(
                (backend, t) -> backend.norm()
                        .forward(kind, t.get("y"), t.get("stats"), t.get("x"), t.get("gain"), t.get("bias"), EPS),
                (backend, t) -> backend.norm()
                        .backward(
                                kind,
                                t.get("dx"),
                                t.get("dgain"),
                                t.get("dbias"),
                                t.get("dy"),
                                t.get("x"),
                                t.get("stats"),
                                t.get("gain")));
    }

    @Test
    void normOfARowByHand() {
        try (Backend<HostTensor> backend = PlainBackend.openInDoubles()) {
            HostTensor x = backend.allocate("test", DType.F32, 1, 2), y = backend.allocate("test", DType.F32, 1, 2);
            HostTensor stats = backend.allocate("test", DType.F32, 1, 2);
            x.setDouble(0, 3);
            x.setDouble(1, 4);
            backend.norm().forward(Norm.Kind.RMS, y, stats, x, null, null, 0);
            assertEquals(3 / Math.sqrt(12.5), y.getDouble(0), 1e-15);
            backend.norm().forward(Norm.Kind.LAYER, y, stats, x, null, null, 0);
            assertEquals(-1, y.getDouble(0), 1e-15);
            assertEquals(3.5, stats.getDouble(0), 1e-15);
        }
    }

    @ParameterizedTest
    @CsvSource({"1, 8", "3, 40", "65, 129"})
    void swiglu(int R, int F) {
        new OpCase(F)
                .trained("gateUp", R, 2 * F)
                .loss("h", R, F)
                .check(
                        (backend, t) -> backend.activation().swigluForward(t.get("h"), t.get("gateUp")),
                        (backend, t) ->
                                backend.activation().swigluBackward(t.get("dgateUp"), t.get("dh"), t.get("gateUp")));
    }

    @ParameterizedTest
    @CsvSource({"1, 8", "3, 40", "65, 129"})
    void gelu(int R, int F) {
        new OpCase(F)
                .trained("x", R, F)
                .loss("h", R, F)
                .check(
                        (backend, t) -> backend.activation().geluForward(t.get("h"), t.get("x")),
                        (backend, t) -> backend.activation().geluBackward(t.get("dx"), t.get("dh"), t.get("x")));
    }

    @ParameterizedTest
    @CsvSource({"4, 7, 5, 33, true", "2, 16, 9, 40, false", "1, 1, 2, 8, true"})
    void embedding(int B, int T, int V, int C, boolean positions) {
        Random random = new Random(V);
        OpCase op = new OpCase(V)
                .trained("table", V, C)
                .ints("tokens", random.ints((long) B * T, 0, V).toArray())
                .loss("x", (long) B * T, C);
        if (positions) op.trained("positions", T, C);
        op.check(
                (backend, t) -> backend.embedding((long) B * T, V, C)
                        .forward(t.get("x"), t.get("tokens"), t.get("table"), t.get("positions")),
                (backend, t) -> backend.embedding((long) B * T, V, C)
                        .backward(t.get("dtable"), t.get("dpositions"), t.get("dx"), t.get("tokens")));
    }

    /** B, T, H, G, D, rotary base, gains. */
    @ParameterizedTest
    @CsvSource({
        "1, 1, 1, 1, 2, 10000, true",
        "2, 9, 4, 2, 8, 10000, true",
        "2, 5, 3, 1, 10, 0, true",
        "1, 33, 2, 2, 16, 100, false",
        "1, 6, 2, 2, 40, 10000, true"
    })
    void queriesAndKeys(int B, int T, int H, int G, int D, float base, boolean gains) {
        AttentionShape shape = new AttentionShape(B, T, H, G, D);
        QkRotary.Settings settings = new QkRotary.Settings(base, EPS);
        OpCase op =
                new OpCase(D).trained("qkv", shape.rows(), shape.qkvWidth()).loss("qk", shape.rows(), shape.qkWidth());
        if (gains) op.trained("gainQ", D).trained("gainK", D).output("stats", shape.rows(), H + G, 2);
        op.check(
                (backend, t) -> backend.qkRotary(shape, settings)
                        .forward(t.get("qk"), t.get("stats"), t.get("qkv"), t.get("gainQ"), t.get("gainK")),
                (backend, t) -> backend.qkRotary(shape, settings)
                        .backward(
                                t.get("dqkv"),
                                t.get("dgainQ"),
                                t.get("dgainK"),
                                t.get("dqk"),
                                t.get("qkv"),
                                t.get("stats"),
                                t.get("gainQ"),
                                t.get("gainK")));
    }

    /** B, T, H, G, D, documents told apart; 65 and 130 rows are more than a block of queries. */
    @ParameterizedTest
    @CsvSource({
        "1, 1, 1, 1, 2, false",
        "2, 9, 4, 2, 8, false",
        "2, 17, 2, 1, 16, true",
        "1, 65, 2, 2, 8, true",
        "1, 130, 1, 1, 10, false"
    })
    void attention(int B, int T, int H, int G, int D, boolean documents) {
        AttentionShape shape = new AttentionShape(B, T, H, G, D);
        OpCase op = new OpCase(T)
                .trained("qk", shape.rows(), shape.qkWidth())
                .trained("qkv", shape.rows(), shape.qkvWidth())
                .loss("o", shape.rows(), (long) H * D)
                .output("lse", shape.rows(), H);
        if (documents) op.ints("docStart", documentStarts(B, T));
        op.check(
                (backend, t) -> backend.attention(shape)
                        .forward(t.get("o"), t.get("lse"), t.get("qk"), t.get("qkv"), t.get("docStart")),
                (backend, t) -> backend.attention(shape)
                        .backward(
                                t.get("dqk"),
                                t.get("dqkv"),
                                t.get("do"),
                                t.get("o"),
                                t.get("lse"),
                                t.get("qk"),
                                t.get("qkv"),
                                t.get("docStart")));
    }

    private static int[] documentStarts(int B, int T) {
        Random random = new Random(T);
        int[] start = new int[B * T];
        for (int b = 0; b < B; b++)
            for (int t = 1; t < T; t++) start[b * T + t] = random.nextInt(4) == 0 ? t : start[b * T + t - 1];
        return start;
    }

    /** Two documents in one sequence attend as two sequences of their own. */
    @Test
    void documentsAttendAsIfTheyWereAlone() {
        int T = 12, cut = 5, D = 8;
        AttentionShape whole = new AttentionShape(1, T, 1, 1, D);
        Random random = new Random(3);
        float[] qkv = new float[T * 3 * D];
        for (int i = 0; i < qkv.length; i++) qkv[i] = 2 * random.nextFloat() - 1;
        try (Backend<HostTensor> backend = CpuBackend.open(new CpuBackend.Settings(1, false, CpuGemms.Choice.VECTOR))) {
            HostTensor start = backend.allocate("test", DType.I32, T);
            for (int t = cut; t < T; t++) start.setInt(t, cut);
            float[] together = attended(backend, whole, qkv, 0, start);
            float[] first = attended(backend, new AttentionShape(1, cut, 1, 1, D), qkv, 0, null);
            float[] second = attended(backend, new AttentionShape(1, T - cut, 1, 1, D), qkv, cut, null);
            for (int i = 0; i < T * D; i++)
                assertEquals(i < cut * D ? first[i] : second[i - cut * D], together[i], 1e-6f, "element " + i);
        }
    }

    private static float[] attended(
            Backend<HostTensor> backend, AttentionShape shape, float[] qkv, int from, HostTensor start) {
        int D = shape.headWidth();
        HostTensor packed = backend.allocate("test", DType.F32, shape.rows(), 3 * D),
                qk = backend.allocate("test", DType.F32, shape.rows(), 2 * D),
                o = backend.allocate("test", DType.F32, shape.rows(), D),
                lse = backend.allocate("test", DType.F32, shape.rows(), 1);
        for (int t = 0; t < shape.tokens(); t++)
            for (int c = 0; c < 3 * D; c++) {
                float value = qkv[(from + t) * 3 * D + c];
                packed.setFloat((long) t * 3 * D + c, value);
                if (c < 2 * D) qk.setFloat((long) t * 2 * D + c, value);
            }
        backend.attention(shape).forward(o, lse, qk, packed, start);
        float[] out = new float[shape.tokens() * D];
        for (int i = 0; i < out.length; i++) out[i] = o.getFloat(i);
        return out;
    }

    @Test
    void gradientsOfParametersAreAddedTo() {
        try (Backend<HostTensor> backend = CpuBackend.open(new CpuBackend.Settings(2, false, CpuGemms.Choice.VECTOR))) {
            int R = 9, C = 20;
            HostTensor[] t = new HostTensor[7];
            long[][] shapes = {{R, C}, {R, C}, {R, 2}, {C}, {R, C}, {C}, {R, C}};
            Random random = new Random(1);
            for (int i = 0; i < t.length; i++) {
                t[i] = backend.allocate("test", DType.F32, shapes[i]);
                if (i != 5 && i != 6) for (long j = 0; j < t[i].size(); j++) t[i].setFloat(j, random.nextFloat());
            }
            backend.norm().forward(Norm.Kind.RMS, t[1], t[2], t[0], t[3], null, EPS);
            backend.norm().backward(Norm.Kind.RMS, t[6], t[5], null, t[4], t[0], t[2], t[3]);
            float gain = t[5].getFloat(3), x = t[6].getFloat(7);
            backend.norm().backward(Norm.Kind.RMS, t[6], t[5], null, t[4], t[0], t[2], t[3]);
            assertEquals(2 * gain, t[5].getFloat(3), 1e-6f * Math.abs(gain));
            assertEquals(2 * x, t[6].getFloat(7), 1e-5f * Math.abs(x));
        }
    }

    @Test
    void wrongShapesAreRefusedByNameBeforeAnythingIsWritten() {
        for (boolean plain : new boolean[] {true, false})
            try (Backend<HostTensor> backend = plain
                    ? PlainBackend.open()
                    : CpuBackend.open(new CpuBackend.Settings(1, false, CpuGemms.Choice.VECTOR))) {
                HostTensor x = backend.allocate("test", DType.F32, 3, 4), y = backend.allocate("test", DType.F32, 3, 5);
                HostTensor stats = backend.allocate("test", DType.F32, 3, 2);
                String message = assertThrows(
                                IllegalArgumentException.class,
                                () -> backend.norm().forward(Norm.Kind.RMS, y, stats, x, null, null, EPS))
                        .getMessage();
                assertTrue(message.startsWith("y is ") && message.contains("[3, 4]"), message);
                assertEquals(0, y.getFloat(0));
                assertThrows(
                        IllegalArgumentException.class,
                        () -> backend.activation().swigluForward(x, backend.allocate("test", DType.F32, 3, 9)));
                assertThrows(
                        IllegalArgumentException.class,
                        () -> backend.attention(new AttentionShape(1, 3, 1, 1, 4))
                                .forward(x, stats, x, x, null));
            }
        assertThrows(IllegalArgumentException.class, () -> new AttentionShape(1, 3, 3, 2, 4));
    }
}
