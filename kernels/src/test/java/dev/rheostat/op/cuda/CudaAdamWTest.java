package dev.rheostat.op.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rheostat.op.AdamW;
import dev.rheostat.op.Backend;
import dev.rheostat.op.DType;
import dev.rheostat.op.HostTensor;
import dev.rheostat.op.LossHead;
import dev.rheostat.op.cpu.PlainBackend;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

@Tag("kernels")
class CudaAdamWTest {
    private static final AdamW.Settings UNCLIPPED = new AdamW.Settings(0.9f, 0.95f, 1e-8f, 0.1f, 0);
    private static final LossHead.Shape ONE_DOMAIN = new LossHead.Shape(1, 8, 8, 8, 1, 1);

    /** An optimizer with its buffers on a device. */
    private static final class Optimizer {
        final DeviceValues values;
        final AdamW<DeviceTensor> op;
        final AdamW.Control<DeviceTensor> control;
        final LossHead.Sums<DeviceTensor> sums;
        final DeviceTensor parameter, gradient, m, v;

        Optimizer(Backend<DeviceTensor> backend, float... start) {
            values = new DeviceValues(backend);
            op = backend.adamW(start.length);
            control = op.allocateControl();
            sums = backend.lossHead(ONE_DOMAIN).allocateSums();
            parameter = values.weights(start);
            gradient = backend.allocate("test", DType.F32, start.length);
            m = backend.allocate("test", DType.F32, start.length);
            v = backend.allocate("test", DType.F32, start.length);
        }

        void step(float rate, AdamW.Settings settings, float... slope) {
            values.set(control.learningRate_1(), rate);
            values.set(gradient, slope);
            op.update(parameter, gradient, m, v, sums, control, settings);
        }

        float gradNorm() {
            return values.floats(control.gradNorm_1())[0];
        }

        long applied() {
            return values.longs(control.counters_2())[0];
        }

        long skipped() {
            return values.longs(control.counters_2())[1];
        }

        /** Every bit that a skipped step must leave. */
        byte[][] state() {
            return new byte[][] {
                values.bytes(parameter), values.bytes(parameter.compute()), values.bytes(m), values.bytes(v)
            };
        }
    }

    private static float[] gaussians(Random random, int count) {
        float[] values = new float[count];
        for (int i = 0; i < count; i++) values[i] = (float) random.nextGaussian();
        return values;
    }

    /** Less than a block, a ragged last block, several blocks; the third of five steps is skipped. */
    @ParameterizedTest
    @CsvSource({"16, 0, 0", "1040, 0.5, 0.1", "9008, 1000, 0.1"})
    void severalStepsAreThoseOfTheDefinition(int N, float clip, float decay) {
        AdamW.Settings settings = new AdamW.Settings(0.9f, 0.95f, 1e-8f, decay, clip);
        Random random = new Random(N);
        float[] start = gaussians(random, N);
        try (CudaUnderTest device = CudaUnderTest.open();
                Backend<HostTensor> doubles = PlainBackend.openInDoubles()) {
            Optimizer found = new Optimizer(device.backend(), start);
            AdamW<HostTensor> definition = doubles.adamW(N);
            AdamW.Control<HostTensor> control = definition.allocateControl();
            LossHead.Sums<HostTensor> sums = doubles.lossHead(ONE_DOMAIN).allocateSums();
            HostTensor parameter = doubles.allocate("test", DType.F32, N),
                    gradient = doubles.allocate("test", DType.F32, N),
                    m = doubles.allocate("test", DType.F32, N),
                    v = doubles.allocate("test", DType.F32, N);
            for (int i = 0; i < N; i++) parameter.setDouble(i, start[i]);
            for (int step = 1; step <= 5; step++) {
                float rate = 1e-2f / step;
                float[] slope = gaussians(random, N);
                if (step == 3) slope[N / 2] = Float.NaN;
                found.step(rate, settings, slope);
                control.learningRate_1().setDouble(0, rate);
                for (int i = 0; i < N; i++) gradient.setDouble(i, slope[i]);
                definition.update(parameter, gradient, m, v, sums, control, settings);
                double norm = control.gradNorm_1().getDouble(0);
                assertEquals(norm, found.gradNorm(), step == 3 ? 0 : 1e-6 * norm);
                assertEquals(control.counters_2().getLong(0), found.applied());
                assertEquals(control.counters_2().getLong(1), found.skipped());
                near(parameter, found.values.floats(found.parameter), step, rate);
                near(m, found.values.floats(found.m), step, 0);
                near(v, found.values.floats(found.v), step, 0);
                assertCopyIsRounded(found);
            }
        }
    }

    /**
     * A step rounds a value once and what is added to it a few times: 2^-24 of the value a step, and of a move of at most about
     * two rates a few units, 2^-22 each.
     */
    private static void near(HostTensor expected, float[] found, int steps, double rate) {
        for (int i = 0; i < found.length; i++) {
            double size = Math.abs(expected.getDouble(i)), move = rate == 0 ? 1 : 10 * rate;
            assertEquals(expected.getDouble(i), found[i], steps * (0x1p-23 * size + 0x1p-22 * move), "element " + i);
        }
    }

    private static void assertCopyIsRounded(Optimizer of) {
        float[] master = of.values.floats(of.parameter);
        short[] copy = of.values.bf16Bits(of.parameter.compute());
        for (int i = 0; i < master.length; i++)
            assertEquals(DeviceValues.roundedToBf16(master[i]), copy[i], "copy of element " + i);
    }

    /** m = 0.1 g and v = 0.05 g^2 correct to g and g^2: the direction is g's sign. */
    @Test
    void theFirstStepMovesByTheRateAgainstTheSlope() {
        try (CudaUnderTest device = CudaUnderTest.open()) {
            Optimizer o = new Optimizer(device.backend(), 2, -1, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
            o.step(0.5f, UNCLIPPED, 3, -7, 0.25f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
            float[] p = o.values.floats(o.parameter);
            assertEquals(2 - 0.5 * (1 + 0.1 * 2), p[0], 1e-6);
            assertEquals(-1 - 0.5 * (-1 + 0.1 * -1), p[1], 1e-6);
            assertEquals(-0.5, p[2], 1e-6);
            assertEquals(4 - 0.5 * 0.1 * 4, p[3], 1e-6, "decay alone");
            assertEquals(Math.sqrt(9 + 49 + 0.0625), o.gradNorm(), 1e-5);
        }
    }

    /** A norm beyond f32 is infinite for everybody; one within is not, though its square is. */
    @ParameterizedTest
    @ValueSource(floats = {Float.NaN, Float.POSITIVE_INFINITY, 3e38f})
    void aStepThatIsNotFiniteLeavesEveryBit(float bad) {
        try (CudaUnderTest device = CudaUnderTest.open()) {
            Random random = new Random(1);
            Optimizer o = new Optimizer(device.backend(), gaussians(random, 4112));
            AdamW.Settings clipped = new AdamW.Settings(0.9f, 0.95f, 1e-8f, 0.1f, 1);
            o.step(1e-3f, clipped, gaussians(random, 4112));
            byte[][] before = o.state();
            float[] slope = gaussians(random, 4112);
            slope[1] = slope[4111] = bad;
            o.step(1e-3f, clipped, slope);
            assertTrue(Arrays.deepEquals(before, o.state()));
            assertEquals(1, o.applied());
            assertEquals(1, o.skipped());
            assertTrue(!Float.isFinite(o.gradNorm()), "norm " + o.gradNorm());

            slope[1] = slope[4111] = 1e30f;
            o.step(1e-3f, clipped, slope);
            assertEquals(1e30 * Math.sqrt(2), o.gradNorm(), 1e24);
            assertEquals(2, o.applied());

            before = o.state();
            o.values.setLongs(o.sums.flags_2(), 5, 1); // a clamped loss is no reason, one that is not finite is
            o.step(1e-3f, clipped, gaussians(random, 4112));
            assertTrue(Arrays.deepEquals(before, o.state()));
            assertEquals(2, o.skipped());
            o.values.setLongs(o.sums.flags_2(), 5, 0);
            o.step(1e-3f, clipped, gaussians(random, 4112));
            assertEquals(3, o.applied());
        }
    }

    @Test
    void theSameStepsHaveTheSameBits() {
        try (CudaUnderTest device = CudaUnderTest.open()) {
            byte[][][] first = new byte[1][][];
            device.inEveryThreadOrder(order -> {
                Random random = new Random(3);
                Optimizer o = new Optimizer(device.backend(), gaussians(random, 5008));
                for (int step = 0; step < 2; step++) o.step(1e-2f, UNCLIPPED, gaussians(random, 5008));
                if (first[0] == null) first[0] = o.state();
                for (int i = 0; i < 4; i++) assertArrayEquals(first[0][i], o.state()[i], order);
            });
        }
    }

    @Test
    void whatDoesNotFitIsRefusedAtTheDoor() {
        try (CudaUnderTest device = CudaUnderTest.open()) {
            assertThrows(IllegalArgumentException.class, () -> device.backend().adamW(18));
            Optimizer o = new Optimizer(device.backend(), new float[16]);
            DeviceTensor noCopy = o.values.floats(new float[16]), small = o.values.floats(new float[8]);
            assertThrows(
                    IllegalArgumentException.class,
                    () -> o.op.update(noCopy, o.gradient, o.m, o.v, o.sums, o.control, UNCLIPPED));
            assertThrows(
                    IllegalArgumentException.class,
                    () -> o.op.update(o.parameter, small, o.m, o.v, o.sums, o.control, UNCLIPPED));
            assertEquals(0, o.applied() + o.skipped());
        }
    }
}
