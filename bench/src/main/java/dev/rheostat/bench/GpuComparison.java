package dev.rheostat.bench;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.rheostat.config.ModelConfig;
import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RheostatException.Kind;
import dev.rheostat.config.RunConfig;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** On a GPU: our step and PyTorch's (bench/peers/torch_gpt.py, a process of its own), turn by turn on the same device. */
final class GpuComparison {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final Path SCRIPT = Path.of("bench", "peers", "torch_gpt.py");

    private GpuComparison() {}

    /** @return the line. @throws RheostatException MACHINE saying what is missing where the peer cannot run */
    static String run(RunConfig config, int warmUp, int steps, int rounds) {
        missing().ifPresent(reason -> {
            throw new RheostatException(Kind.MACHINE, reason);
        });
        Machine machine = new Machine();
        List<Double> ours = new ArrayList<>(), theirs = new ArrayList<>();
        StepBench.Result result = null;
        JsonNode peer = null;
        for (int round = 0; round < rounds; round++) {
            peer = peer(config, warmUp, steps);
            theirs.add(peer.path("tokens_per_second").asDouble());
            result = StepBench.run(config, warmUp, steps);
            ours.add(result.tokensPerSecond());
        }
        ModelConfig m = config.model();
        Map<String, Object> figures = new LinkedHashMap<>();
        figures.put("bench", "compare");
        figures.put("model", StepBench.name(m));
        figures.put("batch", config.batch().sequences());
        figures.put("micro_batches", config.batch().microBatches());
        figures.put("seq", m.context());
        figures.put("rounds", rounds);
        figures.put("device", result.device().name());
        figures.putAll(result.device().clocks());
        figures.put("torch", peer.path("torch").asText());
        figures.put("torch_precision", peer.path("precision").asText());
        figures.put("torch tokens_per_second", Machine.round(CpuComparison.median(theirs)));
        figures.put("rheostat tokens_per_second", Machine.round(CpuComparison.median(ours)));
        figures.put("rheostat over torch", Machine.round(CpuComparison.median(ours) / CpuComparison.median(theirs)));
        figures.put("torch loss_first", peer.path("loss_first").asDouble());
        figures.put("torch loss_last", peer.path("loss_last").asDouble());
        figures.put("rheostat loss_first", Machine.round(result.firstNats()));
        figures.put("rheostat loss_last", Machine.round(result.lastNats()));
        return machine.line(figures);
    }

    /** Why the peer cannot run here, in one sentence. */
    static Optional<String> missing() {
        if (!Files.isRegularFile(SCRIPT))
            return Optional.of(SCRIPT + " is not there: start the command in the project's folder");
        try {
            Ran ran = run(List.of("python3", SCRIPT.toString(), "--check"));
            return ran.exitCode == 0 ? Optional.empty() : Optional.of("the PyTorch peer cannot run: " + ran.lastLine());
        } catch (IOException e) {
            return Optional.of("the PyTorch peer needs python3, which is not on the path: " + e.getMessage());
        }
    }

    private static JsonNode peer(RunConfig config, int warmUp, int steps) {
        List<String> command = command(config, warmUp, steps);
        try {
            Ran ran = run(command);
            if (ran.exitCode == 0) return JSON.readTree(ran.lastLine());
            throw new RheostatException(
                    Kind.MACHINE, "the PyTorch peer failed: " + ran.lastLine() + "; " + String.join(" ", command));
        } catch (JsonProcessingException e) {
            throw new RheostatException(Kind.MACHINE, "the PyTorch peer printed no JSON: " + e.getMessage(), e);
        } catch (IOException e) {
            throw new RheostatException(Kind.MACHINE, "the PyTorch peer cannot be run: " + e.getMessage(), e);
        }
    }

    static List<String> command(RunConfig config, int warmUp, int steps) {
        ModelConfig m = config.model();
        RunConfig.Optimizer o = config.optimizer();
        Map<String, Object> options = new LinkedHashMap<>();
        options.put("layers", m.layers());
        options.put("heads", m.heads());
        options.put("width", m.width());
        options.put("mlp-width", m.mlpWidth());
        options.put("vocabulary", m.vocabulary());
        options.put("padded-vocabulary", m.paddedVocabulary());
        options.put("rotary-base", m.rotaryBase());
        options.put("batch", config.batch().sequences());
        options.put("micro-batches", config.batch().microBatches());
        options.put("seq", m.context());
        options.put("warm-up", warmUp);
        options.put("steps", steps);
        options.put("learning-rate", StepBench.LEARNING_RATE);
        options.put("weight-decay", o.weightDecay());
        options.put("clip-norm", o.clipNorm());
        options.put("device", config.device());
        List<String> command = new ArrayList<>(List.of("python3", SCRIPT.toString()));
        options.forEach((name, value) -> command.addAll(List.of("--" + name, value.toString())));
        return command;
    }

    private record Ran(int exitCode, String output) {
        String lastLine() {
            return output.lines()
                    .filter(line -> !line.isBlank())
                    .reduce((first, second) -> second)
                    .orElse("it printed nothing");
        }
    }

    private static Ran run(List<String> command) throws IOException {
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        try {
            String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            return new Ran(process.waitFor(), output);
        } catch (InterruptedException e) {
            process.destroy();
            Thread.currentThread().interrupt();
            throw new RheostatException(Kind.INTERRUPTED, "interrupted", e);
        }
    }
}
