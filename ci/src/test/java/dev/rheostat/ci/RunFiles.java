package dev.rheostat.ci;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;

/** What the end-to-end tests write for a run and read of it. */
final class RunFiles {
    private static final ObjectMapper JSON = new ObjectMapper();

    private RunFiles() {}

    /** The lines of a .jsonl file. */
    static List<JsonNode> lines(Path file) {
        try (Stream<String> lines = Files.lines(file)) {
            return lines.map(RunFiles::parse).toList();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** The lines of metrics.jsonl without what may differ between equal runs: the seconds. */
    static List<JsonNode> metricsWithoutSeconds(Path run) {
        List<JsonNode> lines = lines(run.resolve("metrics.jsonl"));
        for (JsonNode line : lines) ((ObjectNode) line).remove("seconds");
        return lines;
    }

    private static JsonNode parse(String line) {
        try {
            return JSON.readTree(line);
        } catch (IOException e) {
            throw new UncheckedIOException(line, e);
        }
    }

    /**
     * Three domains of generated text that a tiny model learns at different speed, as folders of .jsonl: numbers counted
     * up, a small grammar, and letters at random.
     */
    static Path writeSources(Path folder) {
        Random random = new Random(7);
        try {
            for (String domain : List.of("count", "grammar", "noise")) {
                Path source = Files.createDirectories(folder.resolve(domain));
                for (String split : List.of("train", "valid")) {
                    StringBuilder text = new StringBuilder();
                    int documents = split.equals("train") ? 120 : 20;
                    for (int d = 0; d < documents; d++)
                        text.append(JSON.writeValueAsString(java.util.Map.of("text", document(domain, random))))
                                .append('\n');
                    Files.writeString(source.resolve(split + ".jsonl"), text, StandardCharsets.UTF_8);
                }
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return folder;
    }

    private static String document(String domain, Random random) {
        StringBuilder text = new StringBuilder();
        String[] subjects = {"the cat", "a dog", "my aunt", "the king"};
        String[] verbs = {"sees", "likes", "follows", "greets"};
        int start = random.nextInt(900);
        for (int i = 0; text.length() < 600; i++)
            switch (domain) {
                case "count" -> text.append(start + i).append(' ');
                case "grammar" ->
                    text.append(subjects[random.nextInt(4)])
                            .append(' ')
                            .append(verbs[random.nextInt(4)])
                            .append(' ')
                            .append(subjects[random.nextInt(4)])
                            .append(". ");
                default -> text.append((char) ('a' + random.nextInt(26)));
            }
        return text.toString();
    }

    /** A run file for a model so small that a step takes milliseconds. */
    static Path writeRunFile(Path file, Path dataset, int steps) {
        String text = """
                model: {layers: 2, heads: 2, width: 32, context: 32}
                data: {dataset: %s}
                batch: {sequences: 6}
                schedule: {steps: %d, warmupSteps: 2}
                evaluation: {everySteps: 0, windows: 4}
                checkpoint: {everySteps: 5, keepNewest: 2}
                runtime: {threads: 2}
                """.formatted(dataset, steps);
        try {
            return Files.writeString(file, text);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
