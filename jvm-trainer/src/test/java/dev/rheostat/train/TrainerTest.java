package dev.rheostat.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RheostatException.Kind;
import dev.rheostat.config.RunConfig;
import dev.rheostat.config.RunConfigs;
import dev.rheostat.config.RunFile;
import dev.rheostat.data.MemoryTokens;
import dev.rheostat.data.TokenDataset;
import dev.rheostat.op.Backend;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class TrainerTest {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final TokenDataset DATASET = MemoryTokens.dataset(3);

    @TempDir
    private Path folder;

    /** A run of 40 steps that fits early and often, so that refits are under way when it is stopped. */
    private RunConfig config(Map<String, String> more) {
        Map<String, String> settings = new HashMap<>(Map.of(
                "model.layers",
                "2",
                "model.heads",
                "2",
                "model.width",
                "16",
                "model.context",
                "24",
                "batch.sequences",
                "6",
                "schedule.steps",
                "40",
                "runtime.threads",
                "2",
                "checkpoint.everySteps",
                "5"));
        settings.put("evaluation.everySteps", "0");
        settings.put("evaluation.windows", "3");
        settings.put("mixture.settings.startStep", "4");
        settings.put("mixture.settings.ignoreSteps", "2");
        settings.put("mixture.settings.refitEvery", "6");
        settings.put("mixture.settings.refitDelay", "4");
        settings.put("mixture.settings.gateBins", "4");
        settings.put("mixture.settings.gateRange", "1.5");
        settings.put("mixture.settings.gateSpread", "100");
        settings.putAll(more);
        try {
            Path file = Files.writeString(folder.resolve("run.yaml"), "data: {dataset: memory}\n");
            return Backends.resolve(RunConfigs.resolve(
                    RunFile.load(file, settings), DATASET.tokenizer().vocabulary()));
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    private static RunSummary run(RunConfig config, Path out, TrainListener listener, StopRequest stop) {
        try (Backend<?> backend = Backends.open(config);
                RunFolder run = Files.exists(out.resolve("run.yaml"))
                        ? RunFolder.open(out)
                        : RunFolder.create(out, "test: true\n")) {
            return Trainer.run(config, DATASET, backend, run, listener, stop, CaptureRange.NONE);
        }
    }

    private static RunSummary run(RunConfig config, Path out) {
        return run(config, out, new TrainListener() {}, new StopRequest());
    }

    /** A run that ends after the given step as a kill would end it: by an error out of the middle of the loop. */
    private static void killAfter(RunConfig config, Path out, long step) {
        class Kill extends RuntimeException {
            private static final long serialVersionUID = 1L;
        }
        assertThrows(
                Kill.class,
                () -> run(
                        config,
                        out,
                        new TrainListener() {
                            @Override
                            public void step(StepReport report) {
                                if (report.step() == step) throw new Kill();
                            }
                        },
                        new StopRequest()));
    }

    private static List<JsonNode> metrics(Path out) throws IOException {
        List<JsonNode> lines = new ArrayList<>();
        for (String line : Files.readAllLines(out.resolve("metrics.jsonl"))) {
            ObjectNode node = (ObjectNode) JSON.readTree(line);
            node.remove("seconds");
            lines.add(node);
        }
        return lines;
    }

    private static void assertSameRun(Path expected, Path actual) throws IOException {
        assertEquals(metrics(expected), metrics(actual));
        assertEquals(
                Files.readAllLines(expected.resolve("fits.jsonl")), Files.readAllLines(actual.resolve("fits.jsonl")));
        Path last = Path.of("checkpoints", "step-00000040");
        for (String file : List.of("tensors.safetensors", "state.json"))
            assertArrayEquals(
                    Files.readAllBytes(expected.resolve(last).resolve(file)),
                    Files.readAllBytes(actual.resolve(last).resolve(file)),
                    file);
    }

    @ParameterizedTest
    @CsvSource({"1, 20", "4, 20", "4, 23", "1, 11", "2, 37"})
    void aRunThatIsKilledAndResumedHasTheSameBits(int ringDepth, long killedAfter) throws IOException {
        RunConfig config = config(Map.of("runtime.ringDepth", Integer.toString(ringDepth)));
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
        RunConfig config = config(Map.of());
        run(config, folder.resolve("whole"));
        killAfter(config, folder.resolve("killed"), 2);
        run(config, folder.resolve("killed"));
        assertSameRun(folder.resolve("whole"), folder.resolve("killed"));
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 4})
    void evaluatingOftenChangesNoBit(int ringDepth) throws IOException {
        String depth = Integer.toString(ringDepth);
        run(config(Map.of("runtime.ringDepth", depth)), folder.resolve("never"));
        run(config(Map.of("runtime.ringDepth", depth, "evaluation.everySteps", "10")), folder.resolve("often"));
        assertSameRun(folder.resolve("never"), folder.resolve("often"));
        assertEquals(
                5, Files.readAllLines(folder.resolve("often/validation.jsonl")).size());
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 4})
    void slowThreadsChangeNoBit(int ringDepth) throws IOException {
        RunConfig config = config(Map.of("runtime.ringDepth", Integer.toString(ringDepth)));
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
        run(config(Map.of("runtime.ringDepth", "1", "mixture.settings.refitDelay", "0")), folder.resolve("run"));
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
        RunConfig config = config(Map.of());
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
        RunConfig config = config(Map.of(
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
        RunSummary summary = run(config(Map.of("optimizer.learningRate", "1e-2")), folder.resolve("run"));
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
        run(config(Map.of()), folder.resolve("run"));
        RheostatException e = assertThrows(
                RheostatException.class,
                () -> run(config(Map.of("model.width", "32", "schedule.steps", "50")), folder.resolve("run")));
        assertEquals(Kind.DAMAGED, e.kind());
        assertTrue(e.getMessage().contains("another model"), e.getMessage());
    }
}
