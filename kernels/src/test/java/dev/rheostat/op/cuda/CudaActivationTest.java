package dev.rheostat.op.cuda;

import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.rheostat.op.DType;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The MLP's nonlinearities on the device, over values from far below zero to far above it. */
@Tag("kernels")
class CudaActivationTest {
    /** Multiples of a step from -range on, R rows of n. */
    private static double[] ramp(int R, int n, double range) {
        double[] values = new double[R * n];
        for (int i = 0; i < values.length; i++)
            values[i] = range * (2.0 * (i * 37 % values.length) / values.length - 1);
        return values;
    }

    /** R, F, largest absolute gate; exp(-x) overflows f32 below -88. */
    @ParameterizedTest
    @CsvSource({"1, 8, 1", "3, 40, 8", "65, 136, 30", "2, 2048, 4", "3, 5464, 200"})
    void swigluIsAsCloseAsPlainBf16(int R, int F, double range) {
        new CudaOpCase(F)
                .bf16("gateUp", ramp(R, 2 * F, range), R, 2 * F)
                .bf16("dh", R, F)
                .output("h", DType.BF16, R, F)
                .output("dGateUp", DType.BF16, R, 2 * F)
                .check(
                        (backend, t) -> backend.activation().swigluForward(t.get("h"), t.get("gateUp")),
                        (backend, t) ->
                                backend.activation().swigluBackward(t.get("dGateUp"), t.get("dh"), t.get("gateUp")));
    }

    @ParameterizedTest
    @CsvSource({"1, 8, 1", "3, 40, 4", "65, 136, 8", "3, 3072, 100"})
    void geluIsAsCloseAsPlainBf16(int R, int F, double range) {
        new CudaOpCase(F)
                .bf16("x", ramp(R, F, range), R, F)
                .bf16("dh", R, F)
                .output("h", DType.BF16, R, F)
                .output("dx", DType.BF16, R, F)
                .check(
                        (backend, t) -> backend.activation().geluForward(t.get("h"), t.get("x")),
                        (backend, t) -> backend.activation().geluBackward(t.get("dx"), t.get("dh"), t.get("x")));
    }

    /** The tails of GELU are small against its largest values, so they are held to their own size here. */
    @Test
    void geluKeepsItsDigitsFarBelowZero() {
        double[] x = new double[64];
        for (int i = 0; i < x.length; i++) x[i] = -4 - i / 64.0;
        new CudaOpCase(4)
                .bf16("x", x, 1, x.length)
                .output("h", DType.BF16, 1, x.length)
                .check((backend, t) -> backend.activation().geluForward(t.get("h"), t.get("x")));
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void backwardMayWriteOverItsInput(boolean swiglu) {
        int R = 5, F = 72;
        new CudaOpCase(F)
                .bf16("x", R, swiglu ? 2 * F : F)
                .updated("x")
                .bf16("dh", R, F)
                .check((backend, t) -> {
                    if (swiglu) backend.activation().swigluBackward(t.get("x"), t.get("dh"), t.get("x"));
                    else backend.activation().geluBackward(t.get("x"), t.get("dh"), t.get("x"));
                });
    }

    @Test
    void widthsOfNoWholeOctetsAreRefused() {
        try (CudaUnderTest device = CudaUnderTest.open()) {
            DeviceTensor h = device.backend().allocate("test", DType.BF16, 2, 12);
            DeviceTensor gateUp = device.backend().allocate("test", DType.BF16, 2, 24);
            assertThrows(
                    IllegalArgumentException.class,
                    () -> device.backend().activation().swigluForward(h, gateUp));
            assertThrows(
                    IllegalArgumentException.class,
                    () -> device.backend().activation().geluForward(h, h));
        }
    }
}
