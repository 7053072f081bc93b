package dev.rheostat.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RheostatException.Kind;
import dev.rheostat.config.RunConfig;
import dev.rheostat.cuda.sim.CudaSimulator;
import dev.rheostat.cuda.sim.CudaSimulator.Delay;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Whoever is slow, device or host: a run's bits are the same, and who waited is counted. */
@Timeout(120)
class CudaTimingTest {
    /** Longer than the host needs for a step of its own. */
    private static final Duration SLOW = Duration.ofMillis(5);

    private static final TrainListener QUICK_HOST = new TrainListener() {};

    /** Holds up the thread of the mixture, at some steps more than the ring can hide. */
    private static final TrainListener SLOW_HOST = new TrainListener() {
        @Override
        public void step(StepReport report) {
            if (report.step() % 3 == 0) sleep(0.02);
        }
    };

    private static void sleep(double seconds) {
        try {
            Thread.sleep(Duration.ofNanos((long) (1e9 * seconds)));
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
    }

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
                if (report.step() % 10 == 5) sleep(2 * report.stepSeconds());
            }
        };
        RunSummary summary = CudaRuns.run(config(4), folder.resolve("run"), slowerThanTheRing);
        assertTrue(summary.stalls().ringEmpty() > 0, summary.stalls()::toString);
    }

    @Test
    void aSlowDeviceNeverWaits() {
        CudaUnderTest.newSimulator();
        RunConfig config = CudaRuns.config(folder, Map.of("schedule.steps", "12"));
        TrainListener slowSteps = new TrainListener() {
            @Override
            public void validated(Validation validation) {
                boolean steps = validation.step() == 0; // what comes before and after is as quick as it can be
                CudaSimulator.delay(steps ? Delay.FIXED : Delay.NONE, Duration.ofMillis(50), 1);
            }
        };
        RunSummary summary = CudaRuns.run(config, folder.resolve("run"), slowSteps);
        assertTrue(summary.stalls().none(), summary.stalls()::toString);
    }

    /** At step 20 the device does nothing for a while. */
    private static TrainListener stallingFor(Runnable stall) {
        return new TrainListener() {
            @Override
            public void step(StepReport report) {
                if (report.step() == 20) stall.run();
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

    /** Nobody waits for such a device, not even to give its memory back; on another the run goes on. */
    @Test
    void aDeviceThatHangsEndsTheRunAndTheLastCheckpointIsGood() throws IOException {
        CudaUnderTest.newSimulator();
        RunConfig config = CudaRuns.config(folder, Map.of("checkpoint.everySteps", "10"));
        Path whole = folder.resolve("whole"), hung = folder.resolve("hung");
        CudaRuns.run(config, whole);
        LateRecords.Limits patience = new LateRecords.Limits(100_000_000, 2, 5);
        RheostatException e = assertThrows(
                RheostatException.class,
                () -> CudaRuns.run(
                        config, Backends.open(config), hung, stallingFor(CudaSimulator::stallForEver), patience));
        assertEquals(Kind.MACHINE, e.kind());
        assertTrue(e.getMessage().contains("the device hangs"), e.getMessage());
        assertTrue(
                e.getMessage().endsWith("the last good checkpoint is " + hung.resolve("checkpoints/step-00000020")),
                e.getMessage());
        CudaUnderTest.newSimulator();
        CudaRuns.run(config, hung);
        CudaRuns.assertSameRun(whole, hung);
    }
}
