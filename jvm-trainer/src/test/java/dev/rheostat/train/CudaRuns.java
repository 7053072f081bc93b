package dev.rheostat.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

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
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Whole runs of a toy model that the device can train, and what they leave. */
final class CudaRuns {
    static final TokenDataset DATASET = MemoryTokens.dataset(3);

    /** The device's own; a run that moves between devices keeps it. */
    static final int RING_DEPTH = 4;

    private static final ObjectMapper JSON = new ObjectMapper();

    private CudaRuns() {}

    /** 40 steps, with fits early and often so that one is under way at most times; nothing validated or saved before the end. */
    static RunConfig config(Path folder, Map<String, String> more) {
        Map<String, String> settings = new LinkedHashMap<>();
        settings.put("device", "cuda");
        settings.put("model.layers", "1");
        settings.put("model.heads", "1");
        settings.put("model.width", "64");
        settings.put("model.context", "16");
        settings.put("batch.sequences", "2");
        settings.put("batch.microBatches", "2");
        settings.put("schedule.steps", "40");
        settings.put("optimizer.learningRate", "3e-3");
        settings.put("runtime.threads", "1");
        settings.put("runtime.ringDepth", Integer.toString(RING_DEPTH));
        settings.put("checkpoint.everySteps", "0");
        settings.put("evaluation.everySteps", "0");
        settings.put("evaluation.windows", "2");
        settings.put("mixture.policy", "ado");
        settings.putAll(more);
        if (settings.get("mixture.policy").equals("ado")) {
            settings.put("mixture.settings.startStep", "4");
            settings.put("mixture.settings.ignoreSteps", "2");
            settings.put("mixture.settings.refitEvery", "6");
            settings.put("mixture.settings.refitDelay", "4");
            settings.put("mixture.settings.gateBins", "4");
            settings.put("mixture.settings.gateRange", "1.5");
            settings.put("mixture.settings.gateSpread", "100");
        }
        try {
            Path file = Files.writeString(folder.resolve("run.yaml"), "data: {dataset: memory}\n");
            return Backends.resolve(RunConfigs.resolve(
                    RunFile.load(file, settings), DATASET.tokenizer().vocabulary()));
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    static RunSummary run(RunConfig config, Path out) {
        return run(config, out, new TrainListener() {});
    }

    static RunSummary run(RunConfig config, Path out, TrainListener listener) {
        return run(config, Backends.open(config), out, listener, LateRecords.Limits.DEFAULT);
    }

    /** From the folder's newest checkpoint, or from the start; closes the backend. */
    static RunSummary run(
            RunConfig config, Backend<?> opened, Path out, TrainListener listener, LateRecords.Limits patience) {
        try (Backend<?> backend = opened;
                RunFolder run = Files.exists(out.resolve("run.yaml"))
                        ? RunFolder.open(out)
                        : RunFolder.create(out, "test: true\n")) {
            return new Trainer<>(config, DATASET, backend, run, listener)
                    .patient(patience)
                    .run();
        }
    }

    /** A line a step, without what a clock has measured. */
    static List<JsonNode> metrics(Path out) throws IOException {
        List<JsonNode> lines = new ArrayList<>();
        for (String line : Files.readAllLines(out.resolve("metrics.jsonl"))) {
            ObjectNode node = (ObjectNode) JSON.readTree(line);
            node.remove("seconds");
            lines.add(node);
        }
        return lines;
    }

    static List<String> fits(Path out) throws IOException {
        return Files.readAllLines(out.resolve("fits.jsonl"));
    }

    /** The mixture of each step. */
    static List<JsonNode> mixtures(Path out) throws IOException {
        return metrics(out).stream().map(line -> line.get("mixture")).toList();
    }

    /** Losses, mixtures, fits, weights, moments and all that a run remembers are equal, bit for bit. */
    static void assertSameRun(Path expected, Path actual) throws IOException {
        assertEquals(metrics(expected), metrics(actual));
        assertEquals(fits(expected), fits(actual));
        Path last = Path.of("checkpoints", "step-00000040");
        assertArrayEquals(
                Files.readAllBytes(expected.resolve(last).resolve("tensors.safetensors")),
                Files.readAllBytes(actual.resolve(last).resolve("tensors.safetensors")));
        assertEquals(state(expected.resolve(last)), state(actual.resolve(last)));
    }

    /** All that a checkpoint holds besides tensors, but for the notes: how long the driver took to make a graph. */
    private static JsonNode state(Path checkpoint) throws IOException {
        ObjectNode state = (ObjectNode) JSON.readTree(Files.readString(checkpoint.resolve("state.json")));
        state.remove("backendNotes");
        return state;
    }
}
