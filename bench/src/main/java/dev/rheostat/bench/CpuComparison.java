package dev.rheostat.bench;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.rheostat.config.ModelConfig;
import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RheostatException.Kind;
import dev.rheostat.config.RunConfig;
import dev.rheostat.op.cpu.CpuGemms;
import dev.rheostat.train.Backends;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** On the CPU: our step and PyTorch's from Java, each in a process of its own or of ours, turn by turn, so that a slow minute hits them all. */
final class CpuComparison {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final Path PEERS = Path.of("bench", "peers", "target", "app", "lib");
    private static final List<String> NAMES = List.of("djl", "bytedeco");

    private CpuComparison() {}

    /** @return the line. @throws RheostatException MACHINE where the peers are not built */
    static String run(StepOptions options, int warmUp, int steps, int rounds) {
        if (!Files.isDirectory(PEERS))
            throw new RheostatException(
                    Kind.MACHINE,
                    PEERS
                            + " is not there: build the peers with mvn -Ppeers -pl bench/peers package, from the project's"
                            + " folder, and start the command there");
        Machine machine = new Machine();
        Map<String, List<Double>> rates = new LinkedHashMap<>();
        List<String> precisions = CpuGemms.processorHasBf16() ? List.of("fp32", "bf16") : List.of("fp32");
        RunConfig fp32 = config(options, "fp32");
        for (int round = 0; round < rounds; round++) {
            for (String peer : NAMES) add(rates, peer, peer(peer, fp32, steps));
            for (String precision : precisions)
                add(
                        rates,
                        "rheostat " + precision,
                        StepBench.run(config(options, precision), warmUp, steps).tokensPerSecond());
        }
        Map<String, Object> figures = new LinkedHashMap<>();
        figures.put("bench", "compare");
        ModelConfig m = fp32.model();
        figures.put("model", StepBench.name(m));
        figures.put("batch", fp32.batch().sequences());
        figures.put("seq", m.context());
        figures.put("rounds", rounds);
        double best = 0;
        for (Map.Entry<String, List<Double>> rate : rates.entrySet()) {
            double median = median(rate.getValue());
            figures.put(rate.getKey() + " tokens_per_second", Machine.round(median));
            if (NAMES.contains(rate.getKey())) best = Math.max(best, median);
        }
        for (String precision : precisions)
            figures.put(
                    precision + " over the faster peer's fp32",
                    Machine.round(median(rates.get("rheostat " + precision)) / best));
        return machine.line(figures);
    }

    private static RunConfig config(StepOptions options, String precision) {
        return options.config(Map.of("device", "cpu", "precision", precision));
    }

    private static void add(Map<String, List<Double>> rates, String name, double rate) {
        rates.computeIfAbsent(name, key -> new ArrayList<>()).add(rate);
    }

    static double median(List<Double> values) {
        return Samples.median(values.stream().mapToDouble(v -> v).toArray());
    }

    private static double peer(String peer, RunConfig config, int steps) {
        ModelConfig m = config.model();
        List<String> command = List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--enable-native-access=ALL-UNNAMED",
                "-cp",
                PEERS + "/*",
                "dev.rheostat.peers.PeerMain",
                peer,
                Integer.toString(m.layers()),
                Integer.toString(m.heads()),
                Integer.toString(m.width()),
                Integer.toString(m.vocabulary()),
                Integer.toString(config.batch().sequences()),
                Integer.toString(m.context()),
                Integer.toString(Backends.threads(config)),
                Integer.toString(steps));
        try {
            ProcessBuilder builder = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.DISCARD);
            builder.environment().put("OMP_NUM_THREADS", Integer.toString(Backends.threads(config)));
            // On two cores bytedeco's threads starve each other when they spin; DJL is faster when they do.
            if (peer.equals("bytedeco")) builder.environment().put("OMP_WAIT_POLICY", "PASSIVE");
            builder.environment().put("DJL_OFFLINE", "true");
            Process process = builder.start();
            String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            if (process.waitFor() != 0)
                throw new RheostatException(
                        Kind.MACHINE, "peer " + peer + " failed: " + String.join(" ", command) + " says why");
            JsonNode line = JSON.readTree(output.lines()
                    .filter(text -> text.startsWith("{"))
                    .reduce((first, second) -> second)
                    .orElse("{}"));
            return line.path("tokens_per_second").asDouble();
        } catch (IOException e) {
            throw new RheostatException(Kind.MACHINE, "peer " + peer + " cannot be run: " + e.getMessage(), e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new RheostatException(Kind.INTERRUPTED, "interrupted", e);
        }
    }
}
