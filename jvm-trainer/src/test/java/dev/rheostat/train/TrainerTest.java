package dev.rheostat.train;

import static dev.rheostat.train.MemoryRuns.DATASET;
import static dev.rheostat.train.MemoryRuns.assertSameRun;
import static dev.rheostat.train.MemoryRuns.config;
import static dev.rheostat.train.MemoryRuns.killAfter;
import static dev.rheostat.train.MemoryRuns.metrics;
import static dev.rheostat.train.MemoryRuns.run;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RheostatException.Kind;
import dev.rheostat.config.RunConfig;
import dev.rheostat.op.Backend;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class TrainerTest {
    @TempDir
    private Path folder;

    @ParameterizedTest
    @CsvSource({"1, 20", "4, 20", "4, 23", "1, 11", "2, 37"})
    void aRunThatIsKilledAndResumedHasTheSameBits(int ringDepth, long killedAfter) throws IOException {
        RunConfig config = config(folder, Map.of("runtime.ringDepth", Integer.toString(ringDepth)));
        Path whole = folder.resolve("whole"), killed = folder.resolve("killed");
        run(config, whole);
        killAfter(config, killed, killedAfter);
        run(config, killed);
        assertSameRun(whole, killed);
        assertTrue(Files.readAllLines(whole.resolve("fits.jsonl")).size() >= 3, "the mixture never fitted");
        JsonNode first = metrics(whole).getFirst().get("mixture"),
                last = metrics(whole).getLast().get("mixture");
        assertTrue(!first.equals(last), "the mixture never moved: " + last);
    }

    @Test
    void aRunThatIsKilledBeforeItsFirstCheckpointStartsAgain() throws IOException {
        RunConfig config = config(folder, Map.of());
        run(config, folder.resolve("whole"));
        killAfter(config, folder.resolve("killed"), 2);
        run(config, folder.resolve("killed"));
        assertSameRun(folder.resolve("whole"), folder.resolve("killed"));
    }

    @Test
    void aRunThatIsOnlyTimedTakesTheSameStepsAndSavesNothing() throws IOException {
        RunConfig config = config(folder, Map.of());
        Path saved = folder.resolve("saved"), timed = folder.resolve("timed");
        run(config, saved);
        try (Backend<?> backend = Backends.open(config);
                RunFolder run = RunFolder.create(timed, "")) {
            new Trainer<>(config, DATASET, backend, run, new TrainListener() {})
                    .unsaved()
                    .run();
        }
        assertEquals(metrics(saved), metrics(timed));
        try (Stream<Path> files = Files.walk(timed)) {
            assertEquals(
                    List.of(),
                    files.filter(file -> file.toString().contains("step-")).toList());
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 4})
    void evaluatingOftenChangesNoBit(int ringDepth) throws IOException {
        String depth = Integer.toString(ringDepth);
        run(config(folder, Map.of("runtime.ringDepth", depth)), folder.resolve("never"));
        run(config(folder, Map.of("runtime.ringDepth", depth, "evaluation.everySteps", "10")), folder.resolve("often"));
        assertSameRun(folder.resolve("never"), folder.resolve("often"));
        assertEquals(
                5, Files.readAllLines(folder.resolve("often/validation.jsonl")).size());
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 4})
    void slowThreadsChangeNoBit(int ringDepth) throws IOException {
        RunConfig config = config(folder, Map.of("runtime.ringDepth", Integer.toString(ringDepth)));
        run(config, folder.resolve("quick"));
        TrainListener slow = new TrainListener() {
            @Override
            public void step(StepReport report) {
                try {
                    Thread.sleep(report.step() % 3 == 0 ? 8 : 0);
                } catch (InterruptedException e) {
                    throw new AssertionError(e);
                }
            }
        };
        run(config, folder.resolve("slow"), slow, new StopRequest());
        assertSameRun(folder.resolve("quick"), folder.resolve("slow"));
    }

    @Test
    void theBatchOfAStepIsDrawnFromTheMixtureHeldRingDepthStepsBefore() throws IOException {
        run(
                config(folder, Map.of("runtime.ringDepth", "1", "mixture.settings.refitDelay", "0")),
                folder.resolve("run"));
        List<JsonNode> lines = metrics(folder.resolve("run"));
        for (int step = 0; step < 3; step++)
            assertEquals(
                    DATASET.shares()[0],
                    lines.get(step).get("mixture").get("domain0").doubleValue(),
                    1e-12);
        double sum = 0;
        for (JsonNode share : lines.getLast().get("mixture")) sum += share.doubleValue();
        assertEquals(1, sum, 1e-12);
    }

    @Test
    void aStopRequestSavesAndTheRunGoesOnWithTheSameBits() throws IOException {
        RunConfig config = config(folder, Map.of());
        run(config, folder.resolve("whole"));
        StopRequest stop = new StopRequest();
        TrainListener stopper = new TrainListener() {
            @Override
            public void step(StepReport report) {
                if (report.step() == 12) stop.stop();
            }
        };
        RunSummary summary = run(config, folder.resolve("stopped"), stopper, stop);
        assertTrue(summary.stopped() && summary.steps() >= 13 && summary.steps() < 40, "steps: " + summary.steps());
        run(config, folder.resolve("stopped"));
        assertSameRun(folder.resolve("whole"), folder.resolve("stopped"));
    }

    @Test
    void stepsWithoutFiniteLossAreSkippedAndEndTheRunAfterSome() {
        RunConfig config = config(
                folder,
                Map.of(
                        "optimizer.learningRate",
                        "1e30",
                        "optimizer.clipNorm",
                        "0",
                        "checkpoint.maxSkipped",
                        "3",
                        "checkpoint.everySteps",
                        "1"));
        RheostatException e = assertThrows(RheostatException.class, () -> run(config, folder.resolve("run")));
        assertEquals(Kind.DIVERGED, e.kind());
        assertTrue(e.getMessage().contains("step-"), e.getMessage());
    }

    @Test
    void theLossFallsAndTheSummarySaysSo() {
        RunSummary summary = run(config(folder, Map.of("optimizer.learningRate", "1e-2")), folder.resolve("run"));
        for (int k = 0; k < 3; k++)
            assertTrue(
                    summary.after().lossNats_K()[k] < summary.before().lossNats_K()[k] - 1,
                    "domain " + k + ": " + summary.before().lossNats_K()[k] + " to "
                            + summary.after().lossNats_K()[k]);
        assertTrue(summary.tokensPerSecond() > 0);
        assertEquals(40, summary.steps());
    }

    @Test
    void aCheckpointOfAnotherModelOrDatasetIsRefused() {
        run(config(folder, Map.of()), folder.resolve("run"));
        RheostatException e = assertThrows(
                RheostatException.class,
                () -> run(config(folder, Map.of("model.width", "32", "schedule.steps", "50")), folder.resolve("run")));
        assertEquals(Kind.DAMAGED, e.kind());
        assertTrue(e.getMessage().contains("another model"), e.getMessage());
    }
}
