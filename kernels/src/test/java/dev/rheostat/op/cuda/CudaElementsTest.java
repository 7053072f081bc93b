package dev.rheostat.op.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.rheostat.op.DType;
import java.util.Random;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Sums element by element and biases on the device. */
@Tag("kernels")
class CudaElementsTest {
    @ParameterizedTest
    @CsvSource({"BF16, 1", "BF16, 7", "BF16, 8", "BF16, 2055", "F32, 5", "F32, 16", "F32, 4099"})
    void sumsAreAsCloseAsPlainBf16(DType type, int n) {
        CudaOpCase op = new CudaOpCase(n).updated("y", type, n);
        if (type == DType.BF16) op.bf16("x", n);
        else op.f32("x", n);
        op.check((backend, t) -> backend.add(t.get("y"), t.get("x")));
    }

    /** Rows and columns below, at and past what a block takes, and more rows than blocks. */
    @ParameterizedTest
    @CsvSource({"1, 8", "9, 40", "3, 264", "700, 16", "65, 768", "20, 2304"})
    void gradientsOfBiasesAreAsCloseAsPlainBf16(int R, int O) {
        new CudaOpCase(R + 31L * O)
                .bf16("dy", R, O)
                .updated("dBias", DType.F32, O)
                .check((backend, t) -> backend.gemm().biasBackward(t.get("dBias"), t.get("dy")));
    }

    @ParameterizedTest
    @CsvSource({
        "1, 8, BF16, true, false",
        "9, 40, BF16, true, true",
        "3, 2304, BF16, false, true",
        "9, 40, F32, true, false",
        "9, 40, F32, false, true"
    })
    void aLinearLayerAddsItsBiasAndItsResidual(int R, int O, DType type, boolean withBias, boolean withResidual) {
        try (CudaUnderTest device = CudaUnderTest.open()) {
            DeviceValues values = new DeviceValues(device.backend());
            Random random = new Random(O);
            int I = 8;
            float[] x = new float[R * I], weight = new float[O * I], bias = new float[O], y = new float[R * O];
            float[] residual = new float[R * O];
            for (int i = 0; i < x.length; i++) x[i] = random.nextInt(5) - 2;
            for (int i = 0; i < weight.length; i++) weight[i] = random.nextInt(5) - 2;
            for (int o = 0; o < O; o++) bias[o] = random.nextInt(64) - 32;
            for (int i = 0; i < y.length; i++) residual[i] = random.nextInt(64) - 32;
            for (int i = 0; i < y.length; i++) {
                y[i] = (withBias ? bias[i % O] : 0) + (withResidual ? residual[i] : 0);
                for (int k = 0; k < I; k++) y[i] += x[i / O * I + k] * weight[i % O * I + k];
            }
            DeviceTensor sum = device.backend().allocate("test", type, R, O);
            DeviceTensor stream = type == DType.BF16 ? values.bf16(residual) : values.floats(residual);
            device.backend()
                    .gemm()
                    .linear(
                            sum,
                            values.bf16(x).view(0, R, I),
                            values.weights(weight).view(0, O, I),
                            withBias ? values.weights(bias) : null,
                            withResidual ? stream.view(0, R, O) : null);
            // integers up to 256 are exact in bf16
            assertArrayEquals(y, type == DType.BF16 ? values.bf16(sum) : values.floats(sum));
            if (withResidual)
                assertArrayEquals(residual, type == DType.BF16 ? values.bf16(stream) : values.floats(stream));
        }
    }

    @Test
    void aWeightsCopyIsItsMasterRoundedToTheNearestTiesToEven() {
        try (CudaUnderTest device = CudaUnderTest.open()) {
            DeviceValues values = new DeviceValues(device.backend());
            float[] master = new float[37];
            Random random = new Random(37);
            for (int i = 0; i < master.length; i++) master[i] = Float.intBitsToFloat(random.nextInt(0x7f800000));
            master[0] = 1 + 0x1p-8f; // a tie: to the even 1
            master[1] = 1 + 3 * 0x1p-8f; // a tie: to the even 1 + 2^-6
            float[] copy = values.bf16(values.weights(master).compute());
            assertEquals(1, copy[0]);
            assertEquals(1 + 0x1p-6f, copy[1]);
            for (int i = 0; i < master.length; i++)
                assertEquals(Math.rint(master[i] / unit(master[i])) * unit(master[i]), copy[i], "element " + i);
        }
    }

    private static double unit(float x) {
        return Math.scalb(1.0, Math.max(Math.getExponent(x), Float.MIN_EXPONENT) - 7);
    }

    @Test
    void sumsOfUnlikeTensorsAreRefused() {
        try (CudaUnderTest device = CudaUnderTest.open()) {
            DeviceTensor bf16 = device.backend().allocate("test", DType.BF16, 8);
            DeviceTensor f32 = device.backend().allocate("test", DType.F32, 8);
            assertThrows(IllegalArgumentException.class, () -> device.backend().add(bf16, f32));
            assertThrows(IllegalArgumentException.class, () -> device.backend().add(f32, f32.view(0, 7)));
            assertThrows(IllegalArgumentException.class, () -> device.backend().add(f32.view(1, 4), f32.view(4, 4)));
        }
    }
}
