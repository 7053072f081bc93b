package dev.rheostat.op.cuda;

import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rheostat.op.DType;
import dev.rheostat.op.Norm;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Norms on the device. Widths are those of one, two, four and eight warps a row, whole and ragged, and of real models. */
@Tag("kernels")
class CudaNormTest {
    /** Far larger than a model's, so that leaving it out would show in bf16. */
    private static final float EPS = 0.1f;

    /** kind, R, C, gain, bias */
    @ParameterizedTest
    @CsvSource({
        "RMS, 1, 8, false, false",
        "RMS, 9, 40, true, false",
        "LAYER, 1, 8, true, true",
        "LAYER, 65, 136, true, true",
        "LAYER, 7, 264, false, true",
        "RMS, 6, 768, false, false",
        "LAYER, 17, 768, true, true",
        "RMS, 9, 1032, true, false",
        "RMS, 5, 2048, false, false",
        "LAYER, 3, 2056, true, true",
        "LAYER, 3, 8192, true, true"
    })
    void forwardAndBackwardAreAsCloseAsPlainBf16(Norm.Kind kind, int R, int C, boolean gain, boolean bias) {
        CudaOpCase op = new CudaOpCase(31L * R + C)
                .bf16("x", R, C)
                .bf16("dy", R, C)
                .output("y", DType.BF16, R, C)
                .output("stats", DType.F32, R, 2)
                .updated("dx", DType.BF16, R, C);
        if (gain) op.f32("gain", C).updated("dGain", DType.F32, C);
        if (bias) op.f32("bias", C).updated("dBias", DType.F32, C);
        op.check(
                (backend, t) -> backend.norm()
                        .forward(kind, t.get("y"), t.get("stats"), t.get("x"), t.get("gain"), t.get("bias"), EPS),
                (backend, t) -> backend.norm()
                        .backward(
                                kind,
                                t.get("dx"),
                                t.get("dGain"),
                                t.get("dBias"),
                                t.get("dy"),
                                t.get("x"),
                                t.get("stats"),
                                t.get("gain")));
    }

    /** A mean that is large against the deviation takes digits from a variance that is made of squares of x. */
    @Test
    void aLargeMeanCostsNoDigits() {
        int R = 3, C = 256;
        double[] x = new double[R * C];
        for (int i = 0; i < x.length; i++) x[i] = 100 + i % 7;
        new CudaOpCase(1)
                .bf16("x", x, R, C)
                .output("y", DType.BF16, R, C)
                .output("stats", DType.F32, R, 2)
                .check((backend, t) -> backend.norm()
                        .forward(Norm.Kind.LAYER, t.get("y"), t.get("stats"), t.get("x"), null, null, EPS));
    }

    @Test
    void widthsThatNoBlockHoldsAreRefused() {
        try (CudaUnderTest device = CudaUnderTest.open()) {
            Norm<DeviceTensor> norm = device.backend().norm();
            for (long C : new long[] {12, 8200}) {
                DeviceTensor x = device.backend().allocate("test", DType.BF16, 2, C);
                DeviceTensor stats = device.backend().allocate("test", DType.F32, 2, 2);
                String message = assertThrows(
                                IllegalArgumentException.class,
                                () -> norm.forward(Norm.Kind.RMS, x, stats, x, null, null, EPS))
                        .getMessage();
                assertTrue(message.contains("C=" + C), message);
            }
        }
    }
}
