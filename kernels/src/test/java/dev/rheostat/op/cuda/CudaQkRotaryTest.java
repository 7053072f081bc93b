package dev.rheostat.op.cuda;

import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.rheostat.op.AttentionShape;
import dev.rheostat.op.DType;
import dev.rheostat.op.QkRotary;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Queries and keys on the device. */
@Tag("kernels")
class CudaQkRotaryTest {
    /** Far larger than a model's, so that leaving it out would show in bf16. */
    private static final float EPS = 0.1f;

    /** B, T, H, G, D, rotary base, gains; the last ones are heads of ado-124m and ado-1.3b, and widths that leave lanes idle. */
    @ParameterizedTest
    @CsvSource({
        "1, 1, 1, 1, 8, 10000, true",
        "2, 9, 4, 2, 8, 10000, true",
        "2, 5, 3, 1, 16, 0, true",
        "1, 33, 2, 2, 16, 100, false",
        "1, 3, 5, 5, 24, 0, false",
        "1, 6, 2, 2, 40, 10000, true",
        "2, 11, 12, 12, 64, 10000, true",
        "1, 70, 6, 2, 64, 10000, true",
        "1, 5, 16, 16, 128, 10000, true",
        "1, 3, 1, 1, 256, 500000, true"
    })
    void forwardAndBackwardAreAsCloseAsPlainBf16(int B, int T, int H, int G, int D, float base, boolean gains) {
        AttentionShape shape = new AttentionShape(B, T, H, G, D);
        QkRotary.Settings settings = new QkRotary.Settings(base, EPS);
        CudaOpCase op = new CudaOpCase(D + 31L * T)
                .bf16("qkv", shape.rows(), shape.qkvWidth())
                .bf16("dQk", shape.rows(), shape.qkWidth())
                .output("qk", DType.BF16, shape.rows(), shape.qkWidth())
                .output("dQkv", DType.BF16, shape.rows(), shape.qkvWidth());
        if (gains)
            op.f32("gainQ", D)
                    .f32("gainK", D)
                    .output("stats", DType.F32, shape.rows(), H + G, 2)
                    .updated("dGainQ", DType.F32, D)
                    .updated("dGainK", DType.F32, D);
        op.check(
                (backend, t) -> backend.qkRotary(shape, settings)
                        .forward(t.get("qk"), t.get("stats"), t.get("qkv"), t.get("gainQ"), t.get("gainK")),
                (backend, t) -> backend.qkRotary(shape, settings)
                        .backward(
                                t.get("dQkv"),
                                t.get("dGainQ"),
                                t.get("dGainK"),
                                t.get("dQk"),
                                t.get("qkv"),
                                t.get("stats"),
                                t.get("gainQ"),
                                t.get("gainK")));
    }

    /** Angles go up to 8191 radians here. */
    @Test
    void latePositionsTurnAsExactlyAsEarlyOnes() {
        AttentionShape shape = new AttentionShape(1, 8192, 1, 1, 8);
        new CudaOpCase(8192)
                .bf16("qkv", shape.rows(), shape.qkvWidth())
                .output("qk", DType.BF16, shape.rows(), shape.qkWidth())
                .check((backend, t) -> backend.qkRotary(shape, new QkRotary.Settings(10000, EPS))
                        .forward(t.get("qk"), null, t.get("qkv"), null, null));
    }

    @Test
    void headsThatNoWarpHoldsAreRefused() {
        try (CudaUnderTest device = CudaUnderTest.open()) {
            for (int D : new int[] {12, 264})
                assertThrows(
                        IllegalArgumentException.class,
                        () -> device.backend()
                                .qkRotary(new AttentionShape(1, 2, 1, 1, D), new QkRotary.Settings(0, EPS)));
        }
    }
}
