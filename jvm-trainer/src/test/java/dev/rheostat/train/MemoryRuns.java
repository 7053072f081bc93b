package dev.rheostat.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
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

/** Whole runs of a tiny model over a dataset in memory: 40 steps of 6 sequences, three domains, fits from step 6 on. */
final class MemoryRuns {
    static final TokenDataset DATASET = MemoryTokens.dataset(3);
    private static final ObjectMapper JSON = new ObjectMapper();

    private MemoryRuns() {}

    /** A run of 40 steps that fits early and often, so that refits are under way when it is stopped. */
    static RunConfig config(Path folder, Map<String, String> more) {
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
        if (!more.getOrDefault("mixture.policy", "ado").equals("ado"))
            settings.keySet().removeIf(key -> key.startsWith("mixture.settings."));
        settings.putAll(more);
        try {
            Path file = Files.writeString(folder.resolve("run.yaml"), "data: {dataset: memory}\n");
            return Backends.resolve(RunConfigs.resolve(
                    RunFile.load(file, settings), DATASET.tokenizer().vocabulary()));
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    static RunSummary run(RunConfig config, Path out, TrainListener listener, StopRequest stop) {
        try (Backend<?> backend = Backends.open(config);
                RunFolder run = Files.exists(out.resolve("run.yaml"))
                        ? RunFolder.open(out)
                        : RunFolder.create(out, "test: true\n")) {
            return new Trainer<>(config, DATASET, backend, run, listener)
                    .stoppedBy(stop)
                    .run();
        }
    }

    static RunSummary run(RunConfig config, Path out) {
        return run(config, out, new TrainListener() {}, new StopRequest());
    }

    /** A run that ends after the given step as a kill would end it: by an error out of the middle of the loop. */
    static void killAfter(RunConfig config, Path out, long step) {
        class Kill extends RuntimeException {
            static final long serialVersionUID = 1L;
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

    static List<JsonNode> metrics(Path out) throws IOException {
        List<JsonNode> lines = new ArrayList<>();
        for (String line : Files.readAllLines(out.resolve("metrics.jsonl"))) {
            ObjectNode node = (ObjectNode) JSON.readTree(line);
            node.remove("seconds");
            lines.add(node);
        }
        return lines;
    }

    static void assertSameRun(Path expected, Path actual) throws IOException {
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
}
