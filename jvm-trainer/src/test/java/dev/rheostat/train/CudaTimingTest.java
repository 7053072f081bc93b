package dev.rheostat.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RheostatException.Kind;
import dev.rheostat.config.RunConfig;
import dev.rheostat.cuda.sim.CudaSimulator;
import dev.rheostat.cuda.sim.CudaSimulator.Delay;
import dev.rheostat.op.DeviceException;
import dev.rheostat.op.SlotLayout;
import dev.rheostat.op.cuda.DeviceTensor;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Whoever is slow, device or host: a run's bits are the same, and who waited is counted. */
@Timeout(600)
class CudaTimingTest {
    /** Longer than the host needs for a step of its own. */
    private static final Duration SLOW = Duration.ofMillis(5);

    /** Longer than a busy machine needs for a copy. */
    private static final Duration THREE_SECONDS = Duration.ofSeconds(3);

    private static final Generator.Sampling GREEDY = new Generator.Sampling(0, 0, 1);

    private static final TrainListener QUICK_HOST = new TrainListener() {};

    /** Holds up the thread of the mixture, at some steps more than the ring can hide. */
    private static final TrainListener SLOW_HOST = new TrainListener() {
        @Override
        public void step(StepReport report) {
            if (report.step() % 3 == 0) LockSupport.parkNanos(20_000_000);
        }
    };

    @TempDir
    private Path folder;

    @AfterEach
    void repair() {
        if (CudaSimulator.available()) CudaSimulator.reset();
    }

    private RunConfig config(int ringDepth) {
        return CudaRuns.config(folder, Map.of("runtime.ringDepth", Integer.toString(ringDepth)));
    }

    @ParameterizedTest
    @CsvSource({"1, FIXED", "4, FIXED", "4, JITTER"})
    void aFastASlowAndAJitteryDeviceGiveTheSameBits(int ringDepth, Delay delay) throws IOException {
        CudaUnderTest.newSimulator();
        CudaRuns.run(config(ringDepth), folder.resolve("fast"), SLOW_HOST);
        CudaUnderTest.newSimulator();
        CudaSimulator.delay(delay, SLOW, 7);
        CudaRuns.run(config(ringDepth), folder.resolve("slow"), QUICK_HOST);
        CudaRuns.assertSameRun(folder.resolve("fast"), folder.resolve("slow"));
        assertTrue(
                CudaRuns.mixtures(folder.resolve("fast")).stream().distinct().count() > 10, "the mixture never moved");
    }

    @Test
    void theLagIsPartOfTheRun() throws IOException {
        CudaUnderTest.newDevice();
        CudaRuns.run(config(1), folder.resolve("one"));
        CudaRuns.run(config(4), folder.resolve("four"));
        assertTrue(!CudaRuns.mixtures(folder.resolve("one")).equals(CudaRuns.mixtures(folder.resolve("four"))));
    }

    /** A launch returns while the step runs, so the device falls idle long after the host has begun to wait for the slot. */
    @Test
    void aDeviceThatWaitsForASlotIsCounted() {
        CudaUnderTest.newDevice();
        TrainListener slowerThanTheRing = new TrainListener() {
            @Override
            public void step(StepReport report) {
                // from its launch to its record: the steps that were under way before it are in it
                if (report.step() % 10 != 5) return;
                // in turns, since a launch wakes this thread
                long endNanos = System.nanoTime() + (long) (2e9 * report.stepSeconds());
                while (System.nanoTime() < endNanos) LockSupport.parkNanos(endNanos - System.nanoTime());
            }
        };
        RunSummary summary = CudaRuns.run(config(4), folder.resolve("run"), slowerThanTheRing);
        assertTrue(summary.stalls().ringEmpty() > 0, summary.stalls()::toString);
    }

    @Test
    void aSlowDeviceNeverWaits() {
        CudaUnderTest.newSimulator();
        CudaSimulator.delay(Delay.FIXED, Duration.ofMillis(50), 1);
        RunConfig config = CudaRuns.config(folder, Map.of("schedule.steps", "12"));
        RunSummary summary = CudaRuns.run(config, folder.resolve("run"));
        assertTrue(summary.stalls().none(), summary.stalls()::toString);
    }

    /** After step 20 something happens to the device. */
    private static TrainListener stallingFor(Runnable stall) {
        return after(20, stall);
    }

    private static TrainListener after(long step, Runnable fault) {
        return new TrainListener() {
            @Override
            public void step(StepReport report) {
                if (report.step() == step) fault.run();
            }
        };
    }

    @Test
    void aRecordThatIsLateIsLookedIntoCountedAndChangesNoBit() throws IOException {
        CudaUnderTest.newDevice();
        CudaRuns.run(config(4), folder.resolve("prompt"));
        CudaUnderTest.newSimulator();
        RunConfig config = config(4);
        TrainListener stalling = stallingFor(() -> CudaSimulator.stall(Duration.ofSeconds(1)));
        LateRecords.Limits patience = new LateRecords.Limits(200_000_000, 2, 1000);
        RunSummary summary = CudaRuns.run(config, Backends.open(config), folder.resolve("late"), stalling, patience);
        assertTrue(summary.stalls().lateRecords() > 0, summary.stalls()::toString);
        CudaRuns.assertSameRun(folder.resolve("prompt"), folder.resolve("late"));
    }

    @Test
    void aDeviceThatHangsEndsTheRun() throws IOException {
        CudaUnderTest.newDevice();
        CudaRuns.run(config(4), folder.resolve("whole"));
        CudaUnderTest.newSimulator();
        RunConfig config = CudaRuns.config(folder, Map.of("checkpoint.everySteps", "10"));
        Path out = folder.resolve("hung");
        LateRecords.Limits patience = new LateRecords.Limits(100_000_000, 2, 5);
        RheostatException e = assertThrows(
                RheostatException.class,
                () -> CudaRuns.run(
                        config, Backends.open(config), out, stallingFor(CudaSimulator::stallForEver), patience));
        assertEquals(Kind.MACHINE, e.kind());
        assertTrue(e.getMessage().contains("the device hangs"), e.getMessage());
        assertTrue(e.getMessage().endsWith("the last good checkpoint is " + out.resolve("checkpoints/step-00000020")));
    }

    /** Between the last step before a validation and the validation: nothing else is under way then. */
    private RheostatException failingValidation(Path out, Runnable fault, LateRecords.Limits patience) {
        CudaUnderTest.newSimulator();
        RunConfig config =
                CudaRuns.config(folder, Map.of("checkpoint.everySteps", "10", "evaluation.everySteps", "15"));
        RheostatException e = assertThrows(
                RheostatException.class,
                () -> CudaRuns.run(config, Backends.open(config), out, after(14, fault), patience));
        assertEquals(Kind.MACHINE, e.kind());
        assertEquals(1, e.getMessage().lines().count(), e.getMessage());
        assertTrue(e.getMessage().endsWith("the last good checkpoint is " + out.resolve("checkpoints/step-00000010")));
        return e;
    }

    /** Resumed on a sound device it is the run that never failed. */
    private void assertResumes(Path out) throws IOException {
        CudaUnderTest.newSimulator();
        RunConfig config =
                CudaRuns.config(folder, Map.of("checkpoint.everySteps", "10", "evaluation.everySteps", "15"));
        CudaRuns.run(config, out);
        CudaUnderTest.newSimulator();
        CudaRuns.run(config, folder.resolve("whole"));
        CudaRuns.assertSameRun(folder.resolve("whole"), out);
    }

    @Test
    void aDeviceThatHangsInAValidationEndsTheRun() throws IOException {
        Path out = folder.resolve("hung");
        LateRecords.Limits patience = new LateRecords.Limits(100_000_000, 2, 5);
        RheostatException e = failingValidation(out, CudaSimulator::stallForEver, patience);
        assertTrue(e.getMessage().startsWith("evaluation pass "), e.getMessage());
        assertTrue(e.getMessage().contains("the device hangs"), e.getMessage());
        assertResumes(out);
    }

    /** Between the last step before a checkpoint and the checkpoint. */
    @Test
    void aDeviceThatHangsWhileACheckpointIsCopiedEndsTheRun() throws IOException {
        CudaUnderTest.newSimulator();
        RunConfig config = CudaRuns.config(folder, Map.of("checkpoint.everySteps", "10"));
        Path out = folder.resolve("hung");
        RheostatException e = assertThrows(
                RheostatException.class,
                () -> CudaRuns.run(
                        config,
                        CudaUnderTest.open(THREE_SECONDS),
                        out,
                        after(19, CudaSimulator::stallForEver),
                        LateRecords.Limits.DEFAULT));
        assertEquals(Kind.MACHINE, e.kind());
        assertTrue(e.getMessage().startsWith("a copy from the device "), e.getMessage());
        assertTrue(e.getMessage().contains("the device hangs"), e.getMessage());
        assertEquals(1, e.getMessage().lines().count(), e.getMessage());
        assertTrue(e.getMessage().endsWith("the last good checkpoint is " + out.resolve("checkpoints/step-00000010")));
        CudaUnderTest.newSimulator();
        CudaRuns.run(config, out);
        CudaUnderTest.newSimulator();
        CudaRuns.run(config, folder.resolve("whole"));
        CudaRuns.assertSameRun(folder.resolve("whole"), out);
    }

    @Test
    void aDeviceThatHangsWhileTextIsGeneratedEndsIt() {
        CudaUnderTest.newSimulator();
        SlotLayout layout = new SlotLayout(1, 1, 16);
        try (StepRun<DeviceTensor> run = new StepRun<>(
                CudaUnderTest.open(THREE_SECONDS), StepRun.paper(16), StepRun.counting(layout, 1), StepRun.SETTINGS)) {
            Generator<DeviceTensor> generator =
                    new Generator<>(run.backend, run.step.config(), run.step.parameters(), 16);
            int[] prompt = {2, 5, 8};
            generator.generate(prompt, 2, -1, GREEDY);
            CudaSimulator.stallForEver();
            DeviceException e = assertThrows(DeviceException.class, () -> generator.generate(prompt, 2, -1, GREEDY));
            assertTrue(e.getMessage().contains("the device hangs"), e.getMessage());
        } // which does not wait for the device
    }

    /** With a patience of an hour, so that only a question put before a record is late can have found it out. */
    private static final LateRecords.Limits AN_HOUR = new LateRecords.Limits(3_600_000_000_000L, 10, 12);

    @Test
    void aKernelThatFailsInAValidationIsNoticedSoon() throws IOException {
        Path out = folder.resolve("failed");
        RheostatException e =
                failingValidation(out, () -> CudaSimulator.failKernel("loss_head_forward", 1, 719), AN_HOUR);
        assertTrue(e.getMessage().contains("CUDA_ERROR_LAUNCH_FAILED"), e.getMessage());
        assertResumes(out);
    }

    /** With one slot no launch follows that could be told of the failure; with four one may. */
    @ParameterizedTest
    @CsvSource({"1", "4"})
    void aKernelThatFailsInAStepIsNoticedSoon(int ringDepth) {
        CudaUnderTest.newSimulator();
        RunConfig config = CudaRuns.config(
                folder, Map.of("checkpoint.everySteps", "10", "runtime.ringDepth", Integer.toString(ringDepth)));
        Path out = folder.resolve("failed");
        RheostatException e = assertThrows(
                RheostatException.class,
                () -> CudaRuns.run(
                        config,
                        Backends.open(config),
                        out,
                        after(24, () -> CudaSimulator.failKernel("step_publish", 1, 719)),
                        AN_HOUR));
        assertEquals(Kind.MACHINE, e.kind());
        assertTrue(e.getMessage().contains("CUDA_ERROR_LAUNCH_FAILED"), e.getMessage());
        assertTrue(e.getMessage().endsWith("the last good checkpoint is " + out.resolve("checkpoints/step-00000020")));
    }
}
