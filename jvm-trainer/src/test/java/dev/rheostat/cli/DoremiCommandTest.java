package dev.rheostat.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.rheostat.config.RunConfig;
import dev.rheostat.config.RunFile;
import dev.rheostat.data.Trees;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The whole recipe as a user types it, on a model of a few thousand parameters. */
class DoremiCommandTest {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final List<String> DOMAINS = List.of("alpha", "beta", "gamma");
    private static final int SMALL_STEPS = 20;

    @TempDir
    private static Path folder;

    private static Path runFile;
    private static Path out;
    private static Ran first;

    @BeforeAll
    static void trainAllThree() throws IOException {
        Random random = new Random(1);
        Path text = folder.resolve("text");
        for (String domain : DOMAINS)
            for (String split : List.of("train", "valid")) {
                StringBuilder lines = new StringBuilder();
                int documents = split.equals("valid") ? 8 : 30 * (1 + DOMAINS.indexOf(domain));
                for (int d = 0; d < documents; d++) {
                    String words = (domain + " " + random.nextInt(domain.length() * 3) + " ").repeat(20);
                    lines.append("{\"text\": \"").append(words).append("\"}\n");
                }
                Path file = text.resolve(domain).resolve(split + ".jsonl");
                Files.createDirectories(file.getParent());
                Files.writeString(file, lines);
            }
        Path tokens = folder.resolve("tokens");
        Ran.rheostat("prepare", text.toString(), "--out", tokens.toString(), "--tokenizer", "bytes")
                .mustExitWith(0);
        runFile = Files.writeString(folder.resolve("tiny.yaml"), """
                data: {dataset: tokens}
                model: {layers: 2, heads: 2, width: 16, context: 32}
                batch: {sequences: 6}
                schedule: {steps: 30}
                optimizer: {learningRate: 1e-2}
                evaluation: {windows: 4, everySteps: 0}
                checkpoint: {everySteps: 8, keepNewest: 9}
                mixture: {policy: ado, mode: robust, settings: {credit: 0.1}}
                runtime: {threads: 1, peakGflops: 10, ringDepth: 2}
                """);
        out = folder.resolve("out");
        first = recipe(out).mustExitWith(0);
    }

    private static Ran recipe(Path into, String... more) {
        return Ran.rheostat(Stream.concat(
                        Stream.of(
                                "doremi",
                                runFile.toString(),
                                "--out",
                                into.toString(),
                                "--small-set",
                                "schedule.steps=" + SMALL_STEPS,
                                "--reference-set",
                                "model.layers=1",
                                "--proxy-set",
                                "mixture.settings.rate=2"),
                        Stream.of(more))
                .toArray(String[]::new));
    }

    private static List<JsonNode> lines(Path file) throws IOException {
        List<JsonNode> lines = new ArrayList<>();
        for (String line : Files.readAllLines(file)) lines.add(JSON.readTree(line));
        return lines;
    }

    private static RunConfig config(String stage) {
        return RunFile.load(out.resolve(stage).resolve("run.yaml"), Map.of());
    }

    @Test
    void threeOrdinaryRunsAndATableAreLeft() throws IOException {
        first.mustSay("1 of 3, reference").mustSay("2 of 3, proxy").mustSay("3 of 3, main");
        String table = first.out().substring(first.out().lastIndexOf("domain "));
        for (String domain : DOMAINS) assertTrue(table.contains("\n" + domain), table);
        assertTrue(table.contains("reference nats") && table.contains("mean over tokens"), table);
        assertEquals("natural", config("reference").mixture().policy());
        assertEquals(1, config("reference").model().layers());
        assertEquals("doremi", config("proxy").mixture().policy());
        assertEquals(2.0, config("proxy").mixture().settings().get("rate"));
        assertEquals(2, config("proxy").model().layers());
        assertEquals(
                List.of(SMALL_STEPS, SMALL_STEPS, 30),
                Stream.of("reference", "proxy", "main")
                        .map(stage -> out.resolve(stage).resolve("metrics.jsonl"))
                        .map(DoremiCommandTest::count)
                        .toList());
        for (String stage : List.of("reference", "proxy", "main"))
            assertTrue(Files.exists(out.resolve(stage).resolve("report.html")), stage);
    }

    private static int count(Path file) {
        try {
            return Files.readAllLines(file).size();
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    /** By the equations once more, of the excesses that the proxy recorded. */
    @Test
    void theMainRunHasTheMeanOfTheProxysWeights() throws IOException {
        double[] a = {1 / 3.0, 1 / 3.0, 1 / 3.0}, sum_K = a.clone();
        for (JsonNode line : lines(out.resolve("proxy/metrics.jsonl"))) {
            double sum = 0;
            for (int k = 0; k < 3; k++)
                sum += a[k] *= Math.exp(2
                        * line.at("/domains/" + DOMAINS.get(k) + "/excessNats").doubleValue());
            for (int k = 0; k < 3; k++) sum_K[k] += a[k] = 0.999 * a[k] / sum + 0.001 / 3;
        }
        JsonNode drawn = lines(out.resolve("main/metrics.jsonl")).getLast().get("mixture");
        for (int k = 0; k < 3; k++) {
            double expected = sum_K[k] / (SMALL_STEPS + 1);
            assertEquals(expected, config("main").mixture().shares().get(DOMAINS.get(k)), 1e-12);
            assertEquals(expected, drawn.get(DOMAINS.get(k)).doubleValue(), 1e-12);
        }
        assertEquals("static", config("main").mixture().policy());
    }

    @Test
    void theSameCommandAgainTrainsNothing() throws IOException {
        byte[] metrics = Files.readAllBytes(out.resolve("main/metrics.jsonl"));
        Ran again = recipe(out)
                .mustExitWith(0)
                .mustSay("all 20 steps were done before")
                .mustSay("all 30 steps");
        assertEquals(
                first.out().substring(first.out().lastIndexOf("domain ")),
                again.out().substring(again.out().lastIndexOf("domain ")));
        assertArrayEquals(metrics, Files.readAllBytes(out.resolve("main/metrics.jsonl")));
    }

    /** Its losses can be shown to policies again; to it, only those of a run that had a reference. */
    @Test
    void aProxyIsReplayedAndWhatHasNoReferenceIsNot() throws IOException {
        Path mixture = folder.resolve("mixture.jsonl");
        Ran.rheostat("replay", out.resolve("proxy/metrics.jsonl").toString(), "--out", mixture.toString())
                .mustExitWith(0);
        for (JsonNode line : lines(mixture))
            for (String domain : DOMAINS)
                assertEquals(1 / 3.0, line.get("mixture").get(domain).doubleValue(), 1e-15);
        Ran.rheostat(
                        "replay",
                        out.resolve("main/metrics.jsonl").toString(),
                        "--policy",
                        "doremi",
                        "--set",
                        "mixture.referenceRun=" + out.resolve("reference"),
                        "--out",
                        mixture.toString())
                .mustExitWith(4)
                .mustSayOneLine()
                .mustSay("excessNats");
    }

    /** As a kill leaves it: the proxy's newest checkpoints are missing, lines after the older one are there, the main run is not. */
    @Test
    void aProxyThatWasKilledIsGoneOnWithToTheLastBit() throws IOException {
        Path killed = folder.resolve("killed");
        try (Stream<Path> files = Files.walk(out)) {
            for (Path file : files.toList()) {
                Path copy = killed.resolve(out.relativize(file));
                if (Files.isDirectory(file)) Files.createDirectories(copy);
                else Files.copy(file, copy);
            }
        }
        Path runYaml = killed.resolve("proxy/run.yaml");
        Files.writeString(runYaml, Files.readString(runYaml).replace(out.toString(), killed.toString()));
        for (String gone : List.of("main", "proxy/checkpoints/step-00000020", "proxy/checkpoints/step-00000016"))
            Trees.delete(killed.resolve(gone));
        recipe(killed).mustExitWith(0).mustSay("all 20 steps were done before");
        for (String file : List.of("tensors.safetensors", "state.json"))
            for (String checkpoint : List.of("proxy/checkpoints/step-00000020", "main/checkpoints/step-00000030")) {
                Path one = Path.of(checkpoint, file);
                assertArrayEquals(
                        Files.readAllBytes(out.resolve(one)), Files.readAllBytes(killed.resolve(one)), one.toString());
            }
    }

    @Test
    void otherSettingsAreNotMixedIntoARecipeThatWasBegun() {
        recipe(out, "--set", "seed=9").mustExitWith(2).mustSayOneLine().mustSay("begun with other settings");
    }

    /** Before the first stage trains for nothing. */
    @Test
    void aLaterStagesFaultIsRefusedAtTheDoor() {
        Path nothing = folder.resolve("nothing");
        recipe(nothing, "--main-set", "mixture.maxEpochs=0.01")
                .mustExitWith(2)
                .mustSayOneLine()
                .mustSay("maxEpochs");
        recipe(nothing, "--proxy-set", "mixture.settings.uniformPart=2")
                .mustExitWith(2)
                .mustSayOneLine()
                .mustSay("uniformPart");
        assertFalse(Files.exists(nothing));
    }
}
