package dev.rheostat.train;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import dev.rheostat.config.ModelConfig;
import dev.rheostat.cuda.sim.CudaSimulator;
import dev.rheostat.op.AdamW;
import dev.rheostat.op.Backend;
import dev.rheostat.op.HostTensor;
import dev.rheostat.op.RecordLayout;
import dev.rheostat.op.SlotLayout;
import dev.rheostat.op.Tensor;
import dev.rheostat.op.cpu.PlainBackend;
import dev.rheostat.op.cuda.CudaBackend;
import dev.rheostat.op.cuda.CudaBackend.Binding;
import dev.rheostat.op.cuda.DeviceTensor;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The training step on the device: against the CPU's, and against itself where the bits must be equal. */
@Timeout(600)
@Tag("steps")
class CudaTrainStepTest {
    private static final SlotLayout LAYOUT = new SlotLayout(2, 2, 16);

    @BeforeEach
    void newDevice() {
        CudaUnderTest.newDevice();
    }

    /** The definitions, which a toy model does not wait for. */
    private static Backend<HostTensor> cpu() {
        return PlainBackend.open();
    }

    private static StepRun<DeviceTensor> onDevice(ModelConfig config, SlotLayout layout) {
        return new StepRun<>(CudaUnderTest.open(), config, StepRun.counting(layout, 1), StepRun.SETTINGS);
    }

    /** Mean nats of each of so many steps, each of another batch; closes the backend. */
    private static double[] losses(Backend<? extends Tensor> backend, ModelConfig config, int steps) {
        try (StepRun<?> run = new StepRun<>(backend, config, StepRun.counting(LAYOUT, 0), StepRun.SETTINGS)) {
            double[] nats = new double[steps];
            for (int step = 0; step < steps; step++) {
                run.batch.become(StepRun.counting(LAYOUT, step));
                nats[step] = run.step(step, 3e-3);
            }
            return nats;
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void theLossCurveIsAsCloseToTheCpusAsPlainBf16s(boolean everyOption) {
        ModelConfig config = everyOption ? StepRun.everyOption(16) : StepRun.paper(16);
        int steps = everyOption ? 30 : 100;
        double[] exact = losses(cpu(), config, steps);
        double plain = error(losses(PlainBf16.rounding(cpu()), config, steps), exact);
        double probe = error(losses(PlainBf16.moving(cpu(), 1), config, steps), exact);
        double cuda = error(losses(CudaUnderTest.open(), config, steps), exact);
        assertTrue(exact[steps - 1] < exact[0] - 1, "nothing was learnt: " + exact[0] + " to " + exact[steps - 1]);
        assertTrue(cuda <= 2 * plain + probe, "cuda=" + cuda + " plain bf16=" + plain + " probe=" + probe);
    }

    /** Root mean square of the differences of two loss curves, nats. */
    private static double error(double[] nats, double[] exact) {
        double squares = 0;
        for (int step = 0; step < nats.length; step++)
            squares += (nats[step] - exact[step]) * (nats[step] - exact[step]);
        return Math.sqrt(squares / nats.length);
    }

    /** Weights, moments and counters after some steps; closes the backend. */
    private static Map<String, byte[]> afterSteps(Backend<DeviceTensor> backend, int steps) {
        try (StepRun<DeviceTensor> run =
                new StepRun<>(backend, StepRun.everyOption(16), StepRun.counting(LAYOUT, 1), StepRun.SETTINGS)) {
            for (int step = 0; step < steps; step++) run.step(step, 3e-3);
            return run.remembered();
        }
    }

    private static void assertSameBits(Map<String, byte[]> expected, Map<String, byte[]> actual) {
        assertEquals(expected.keySet(), actual.keySet());
        expected.forEach((name, bytes) -> assertArrayEquals(bytes, actual.get(name), name));
    }

    @ParameterizedTest
    @CsvSource({"FFM, true", "FFM, false", "JCUDA, true", "JCUDA, false"})
    void aGraphAndSingleCallsThroughEitherBindingHaveTheSameBits(Binding binding, boolean graph) {
        CudaBackend other = CudaUnderTest.open(binding, graph);
        boolean otherProducts = other.describe().contains("JCublas");
        if (!CudaUnderTest.gpu()) assertEquals(binding == Binding.JCUDA, otherProducts, other.describe());
        else if (otherProducts) other.close();
        assumeFalse(
                CudaUnderTest.gpu() && otherProducts, "CUDA 12's cuBLAS is here, and may multiply by other algorithms");
        assertSameBits(afterSteps(CudaUnderTest.open(), 4), afterSteps(other, 4));
    }

    @Test
    void namedTensorsAreAllThatARunRemembers() {
        try (StepRun<DeviceTensor> whole = onDevice(StepRun.everyOption(16), LAYOUT);
                StepRun<DeviceTensor> resumed = onDevice(StepRun.everyOption(16), LAYOUT)) {
            for (int step = 0; step < 3; step++) whole.step(step, 3e-3);
            resumed.restore(whole.remembered());
            resumed.step.seek(3);
            for (int step = 3; step < 5; step++) {
                whole.step(step, 3e-3);
                resumed.step(step, 3e-3);
            }
            assertSameBits(whole.remembered(), resumed.remembered());
        }
    }

    /** A product of fewer rows may be tiled otherwise, and then a value of bf16 may round to its neighbour: a unit is 2^-8 of it. */
    @Test
    void microBatchesAddUpToTheBatch() {
        try (StepRun<DeviceTensor> whole = onDevice(StepRun.paper(16), new SlotLayout(4, 1, 16));
                StepRun<DeviceTensor> parts = onDevice(StepRun.paper(16), new SlotLayout(4, 4, 16))) {
            assertEquals(whole.step(0, 0), parts.step(0, 0), 0x1p-8);
            for (int k = 0; k < StepRun.DOMAINS; k++) {
                long tokens = whole.step.recordLayout().tokenCountOffset() + 8L * k;
                assertEquals(whole.recorded(tokens), parts.recorded(tokens));
            }
            Map<String, float[]> wanted = whole.gradients();
            parts.gradients().forEach((name, d) -> {
                double difference = 0, squares = 0;
                for (int i = 0; i < d.length; i++) {
                    difference += Math.pow(d[i] - wanted.get(name)[i], 2);
                    squares += Math.pow(wanted.get(name)[i], 2);
                }
                assertTrue(squares > 0, name);
                assertEquals(0, Math.sqrt(difference / squares), 0x1p-8, name);
            });
        }
    }

    @Test
    void aWeightThatIsNoNumberSkipsTheStepAndIsCounted() {
        try (StepRun<DeviceTensor> run = onDevice(StepRun.paper(16), LAYOUT)) {
            run.step(0, 3e-3);
            Map<String, byte[]> before = run.remembered();
            float weight = run.batch.weight_B[1];
            run.batch.weight_B[1] = Float.NaN;
            double nats = run.step(1, 3e-3);
            assertTrue(nats > 0 && nats < 10, "losses have no weight, and count: " + nats);
            assertEquals(1, run.recorded(RecordLayout.APPLIED_OFFSET));
            assertEquals(1, run.recorded(RecordLayout.SKIPPED_OFFSET));
            Map<String, byte[]> after = run.remembered();
            before.remove("adam.counters");
            before.forEach((name, bytes) -> assertArrayEquals(bytes, after.get(name), name));
            run.batch.weight_B[1] = weight;
            run.step(2, 3e-3);
            assertEquals(2, run.recorded(RecordLayout.APPLIED_OFFSET));
            assertEquals(1, run.recorded(RecordLayout.SKIPPED_OFFSET));
        }
    }

    /** The first moment after one step is (1 - beta1) times the clipped gradient, and so tells the factor. */
    @Test
    void aGradientAboveTheClipNormIsScaledToIt() {
        try (StepRun<DeviceTensor> free = clipped(0)) {
            free.step(0, 3e-3);
            float norm = free.record.get(JAVA_FLOAT, RecordLayout.GRAD_NORM_OFFSET);
            assertTrue(norm > 0);
            try (StepRun<DeviceTensor> scaled = clipped(norm / 4);
                    StepRun<DeviceTensor> untouched = clipped(norm * 4)) {
                scaled.step(0, 3e-3);
                untouched.step(0, 3e-3);
                assertEquals(norm, scaled.record.get(JAVA_FLOAT, RecordLayout.GRAD_NORM_OFFSET), "before the clip");
                assertSameBits(free.remembered(), untouched.remembered());
                float[] whole = moment(free), quarter = moment(scaled);
                // the factor is a quotient of two f32, and the product with it is rounded once more
                for (int i = 0; i < whole.length; i++)
                    assertEquals(whole[i] / 4, quarter[i], 4 * 0x1p-24 * Math.abs(whole[i]));
            }
        }
    }

    private static StepRun<DeviceTensor> clipped(float norm) {
        AdamW.Settings s = StepRun.SETTINGS;
        return new StepRun<>(
                CudaUnderTest.open(),
                StepRun.paper(16),
                StepRun.counting(LAYOUT, 1),
                new AdamW.Settings(s.beta1(), s.beta2(), s.epsilon(), s.weightDecay(), norm));
    }

    private static float[] moment(StepRun<DeviceTensor> run) {
        byte[] bytes = run.remembered().get("adam.m.layers.0.mlp.in.weight");
        return MemorySegment.ofArray(bytes).toArray(JAVA_FLOAT.withByteAlignment(1));
    }

    /** Steps that are clipped and one that is skipped are all one launch of one graph: nobody asks the host. */
    @Test
    void clipAndSkipAreDecidedOnTheDevice() {
        CudaUnderTest.newSimulator();
        try (StepRun<DeviceTensor> run = clipped(1e-3f)) {
            run.step(0, 3e-3);
            CudaSimulator.startLog();
            run.step(1, 3e-3);
            run.batch.weight_B[0] = Float.NaN;
            run.step(2, 3e-3);
            CudaSimulator.stopLog();
            assertEquals(1, run.recorded(RecordLayout.SKIPPED_OFFSET));
            List<String> calls = CudaSimulator.log();
            assertEquals(2, calls.size(), calls::toString);
            assertTrue(calls.getFirst().contains(" cuGraphLaunch "), calls::toString);
            assertEquals(calls.getFirst(), calls.getLast());
        }
    }
}
