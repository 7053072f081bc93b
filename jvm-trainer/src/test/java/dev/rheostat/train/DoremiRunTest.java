package dev.rheostat.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
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
import dev.rheostat.data.Trees;
import dev.rheostat.op.Backend;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** A run of DoReMi's proxy against a reference run: its bits, whatever the timing and wherever it is killed. */
class DoremiRunTest {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final TokenDataset DATASET = MemoryTokens.dataset(3);
    private static final int STEPS = 24;

    @TempDir
    private static Path shared;

    private static Path reference;

    @TempDir
    private Path folder;

    @BeforeAll
    static void trainTheReference() {
        reference = shared.resolve("reference");
        RunConfig config = config(shared, Map.of("mixture.policy", "natural", "model.layers", "1"));
        run(config, reference, new TrainListener() {});
    }

    private static RunConfig config(Path folder, Map<String, String> more) {
        Map<String, String> settings = new LinkedHashMap<>();
        settings.put("model.layers", "2");
        settings.put("model.heads", "2");
        settings.put("model.width", "16");
        settings.put("model.context", "24");
        settings.put("batch.sequences", "6");
        settings.put("batch.microBatches", "2");
        settings.put("schedule.steps", Integer.toString(STEPS));
        settings.put("optimizer.learningRate", "1e-2");
        settings.put("runtime.threads", "1");
        settings.put("checkpoint.everySteps", "5");
        settings.put("evaluation.everySteps", "0");
        settings.put("evaluation.windows", "3");
        settings.putAll(more);
        try {
            Path file = Files.writeString(folder.resolve("config.yaml"), "data: {dataset: memory}\n");
            return Backends.resolve(RunConfigs.resolve(
                    RunFile.load(file, settings), DATASET.tokenizer().vocabulary()));
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    private RunConfig proxy(Map<String, String> more) {
        Map<String, String> settings = new LinkedHashMap<>();
        settings.put("mixture.policy", "doremi");
        settings.put("mixture.referenceRun", reference.toString());
        settings.putAll(more);
        return config(folder, settings);
    }

    private static void run(RunConfig config, Path out, TrainListener listener) {
        try (Backend<?> backend = Backends.open(config);
                RunFolder run = Files.exists(out.resolve("run.yaml"))
                        ? RunFolder.open(out)
                        : RunFolder.create(out, RunFile.write(config))) {
            new Trainer<>(config, DATASET, backend, run, listener).run();
        }
    }

    private static Path run(RunConfig config, Path out) {
        run(config, out, new TrainListener() {});
        return out;
    }

    private static void killAfter(RunConfig config, Path out, long step) {
        class Kill extends RuntimeException {
            private static final long serialVersionUID = 1L;
        }
        TrainListener killer = new TrainListener() {
            @Override
            public void step(StepReport report) {
                if (report.step() == step) throw new Kill();
            }
        };
        assertThrows(Kill.class, () -> run(config, out, killer));
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

    private static Path last(Path out) {
        return out.resolve("checkpoints").resolve(String.format("step-%08d", STEPS));
    }

    private static void assertSameRun(Path expected, Path actual) throws IOException {
        assertEquals(metrics(expected), metrics(actual));
        for (String file : List.of("tensors.safetensors", "state.json"))
            assertArrayEquals(
                    Files.readAllBytes(last(expected).resolve(file)),
                    Files.readAllBytes(last(actual).resolve(file)),
                    file);
    }

    /** Shares of the gradient by domain, from the metrics of one step. */
    private static double[] weights(JsonNode line) {
        double[] weight_K = new double[3];
        for (int k = 0; k < 3; k++)
            weight_K[k] = line.at("/domains/domain" + k + "/lossWeight").doubleValue();
        return weight_K;
    }

    /** The recorded excesses give the recorded weights, a ring's depth later, by the equations once more. */
    @ParameterizedTest
    @ValueSource(ints = {1, 3})
    void theWeightsFollowFromTheExcesses(int ringDepth) throws IOException {
        Path out = run(proxy(Map.of("runtime.ringDepth", Integer.toString(ringDepth))), folder.resolve("run"));
        List<JsonNode> lines = metrics(out);
        double[] a = {1 / 3.0, 1 / 3.0, 1 / 3.0};
        for (int step = 0; step < STEPS; step++) {
            if (step < ringDepth)
                assertArrayEquals(new double[] {1 / 3.0, 1 / 3.0, 1 / 3.0}, weights(lines.get(step)), 1e-12);
            double sum = 0;
            for (int k = 0; k < 3; k++) {
                JsonNode domain = lines.get(step).at("/domains/domain" + k);
                assertEquals(2, domain.get("sequences").intValue(), "drawn evenly");
                double excess = domain.get("excessNats").doubleValue();
                assertTrue(excess >= 0 && excess >= domain.get("lossNats").doubleValue() - 6, "excess " + excess);
                sum += a[k] *= Math.exp(excess);
            }
            for (int k = 0; k < 3; k++) a[k] = 0.999 * a[k] / sum + 0.001 / 3;
            if (step + ringDepth < STEPS)
                assertArrayEquals(a, weights(lines.get(step + ringDepth)), 1e-12, "step " + (step + ringDepth));
        }
        assertTrue(Math.abs(a[0] - 1 / 3.0) > 0.01, "the weights moved: " + a[0]);
    }

    @ParameterizedTest
    @CsvSource({"1, 12", "4, 12", "4, 3", "2, 22"})
    void aProxyThatIsKilledAndResumedHasTheSameBits(int ringDepth, long killedAfter) throws IOException {
        RunConfig config = proxy(Map.of("runtime.ringDepth", Integer.toString(ringDepth)));
        Path whole = run(config, folder.resolve("whole")), killed = folder.resolve("killed");
        killAfter(config, killed, killedAfter);
        assertFalse(Files.exists(last(killed)));
        assertSameRun(whole, run(config, killed));
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 4})
    void slowThreadsAndValidationsChangeNoBit(int ringDepth) throws IOException {
        String depth = Integer.toString(ringDepth);
        Path quick = run(proxy(Map.of("runtime.ringDepth", depth)), folder.resolve("quick"));
        TrainListener slow = new TrainListener() {
            @Override
            public void step(StepReport report) {
                try {
                    Thread.sleep(report.step() % 3 == 0 ? 6 : 0);
                } catch (InterruptedException e) {
                    throw new AssertionError(e);
                }
            }
        };
        run(proxy(Map.of("runtime.ringDepth", depth, "evaluation.everySteps", "7")), folder.resolve("slow"), slow);
        assertSameRun(quick, folder.resolve("slow"));
    }

    /** The losses themselves are weighed: other weights, other gradients, from the second step on. */
    @Test
    void theWeightsReachTheGradient() throws IOException {
        Path weighed = run(proxy(Map.of()), folder.resolve("weighed"));
        Path even = run(config(folder, Map.of("mixture.policy", "uniform")), folder.resolve("even"));
        JsonNode first = metrics(weighed).getFirst(), same = metrics(even).getFirst();
        assertEquals(same.get("gradNorm"), first.get("gradNorm"), "weights of 1 are no weights");
        assertNotEquals(
                metrics(even).get(1).get("gradNorm"), metrics(weighed).get(1).get("gradNorm"));
        assertFalse(same.toString().contains("lossWeight") || same.toString().contains("excessNats"));
    }

    /** A shadow sees what the policy would see, and moves nothing. */
    @Test
    void aShadowOfDoremiChangesNoBitOfTheModel() throws IOException {
        Path alone = run(config(folder, Map.of("mixture.policy", "uniform")), folder.resolve("alone"));
        Path shadowed = run(
                config(
                        folder,
                        Map.of(
                                "mixture.policy",
                                "uniform",
                                "mixture.shadow",
                                "doremi",
                                "mixture.referenceRun",
                                reference.toString())),
                folder.resolve("shadowed"));
        assertArrayEquals(
                Files.readAllBytes(last(alone).resolve("tensors.safetensors")),
                Files.readAllBytes(last(shadowed).resolve("tensors.safetensors")));
    }

    @Test
    void withoutItsReferenceNothingStarts() {
        var e = assertThrows(RheostatException.class, () -> config(folder, Map.of("mixture.policy", "doremi")));
        assertTrue(e.getMessage().contains("referenceRun"), e.getMessage());
        e = assertThrows(
                RheostatException.class,
                () -> config(folder, Map.of("mixture.policy", "natural", "mixture.referenceRun", "x")));
        assertTrue(e.getMessage().contains("doremi"), e.getMessage());
        RunConfig nowhere =
                proxy(Map.of("mixture.referenceRun", folder.resolve("none").toString()));
        e = assertThrows(RheostatException.class, () -> run(nowhere, folder.resolve("run")));
        assertEquals(Kind.BAD_REQUEST, e.kind());
        assertTrue(e.getMessage().contains("no run folder"), e.getMessage());
        RunConfig longer = proxy(Map.of("model.context", "30"));
        e = assertThrows(RheostatException.class, () -> run(longer, folder.resolve("longer")));
        assertTrue(e.getMessage().contains("model.context of 24"), e.getMessage());
    }

    @Test
    void aRunThatIsResumedMustHaveTheSameReference() throws IOException {
        Path other = folder.resolve("other");
        RunConfig first = config(
                folder, Map.of("mixture.policy", "natural", "checkpoint.everySteps", "0", "schedule.steps", "3"));
        run(first, other);
        RunConfig proxy = proxy(Map.of("mixture.referenceRun", other.toString()));
        Path run = folder.resolve("run");
        killAfter(proxy, run, 12);
        Trees.delete(other);
        run(config(folder, Map.of("mixture.policy", "natural", "schedule.steps", "4")), other);
        RheostatException e = assertThrows(RheostatException.class, () -> run(proxy, run));
        assertEquals(Kind.DAMAGED, e.kind());
        assertTrue(e.getMessage().contains("4 steps") && e.getMessage().contains("3 steps"), e.getMessage());
    }
}
