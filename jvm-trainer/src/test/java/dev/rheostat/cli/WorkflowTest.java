package dev.rheostat.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The commands one after the other, as a user types them, on a model of a few thousand parameters. */
class WorkflowTest {
    private static final ObjectMapper JSON = new ObjectMapper();

    @TempDir
    private static Path folder;

    private static Path dataset;
    private static Path runFile;
    private static Path run;

    @BeforeAll
    static void train() throws IOException {
        Random random = new Random(1);
        Path text = folder.resolve("text");
        for (String domain : List.of("alpha", "beta", "gamma"))
            for (String split : List.of("train", "valid")) {
                StringBuilder lines = new StringBuilder();
                for (int d = 0; d < (split.equals("train") ? 60 : 8); d++) {
                    String words = (domain + " " + random.nextInt(domain.length() * 3) + " ").repeat(20);
                    lines.append("{\"text\": \"").append(words).append("\"}\n");
                }
                Path file = text.resolve(domain).resolve(split + ".jsonl");
                Files.createDirectories(file.getParent());
                Files.writeString(file, lines);
            }
        dataset = folder.resolve("tokens");
        Ran.rheostat("prepare", text.toString(), "--out", dataset.toString(), "--tokenizer", "bytes")
                .mustExitWith(0)
                .mustSay("gamma")
                .mustSay("100 %");
        runFile = Files.writeString(folder.resolve("tiny.yaml"), """
                data: {dataset: tokens}
                model: {layers: 2, heads: 2, width: 16, context: 32}
                batch: {sequences: 6}
                schedule: {steps: 60}
                optimizer: {learningRate: 1e-2}
                evaluation: {windows: 4}
                mixture: {settings: {startStep: 10, ignoreSteps: 3, refitEvery: 10, refitDelay: 2, gateBins: 4, gateSpread: 100}}
                runtime: {threads: 2, peakGflops: 10, ringDepth: 3}
                """);
        run = folder.resolve("run");
        Ran.rheostat("train", runFile.toString(), "--out", run.toString())
                .mustExitWith(0)
                .mustSay("validation after 0 steps")
                .mustSay("mean over domains")
                .mustSay("tokens/s")
                .mustSay("% of peak")
                .mustSay("report   " + run.resolve("report.html"));
    }

    private static List<JsonNode> lines(Path file) throws IOException {
        List<JsonNode> lines = new ArrayList<>();
        for (String line : Files.readAllLines(file)) lines.add(JSON.readTree(line));
        return lines;
    }

    @Test
    void inspectShowsDomainsSharesAndSamples() {
        Ran.rheostat("inspect", dataset.toString(), "--verify")
                .mustExitWith(0)
                .mustSay("every file verified")
                .mustSay("beta: beta ")
                .mustSay("in all");
        Ran.rheostat("inspect", folder.resolve("nothing").toString())
                .mustExitWith(2)
                .mustSayOneLine();
    }

    @Test
    void thePlanTrainsNothing() {
        Path planned = folder.resolve("planned");
        Ran.rheostat("train", runFile.toString(), "--plan", "--out", planned.toString())
                .mustExitWith(0)
                .mustSay("parameters")
                .mustSay("memory: weights")
                .mustSay("largest batch.sequences that fits");
        assertFalse(Files.exists(planned));
    }

    @Test
    void theRunFolderHoldsWhatTheDocumentationSays() throws IOException {
        List<JsonNode> metrics = lines(run.resolve("metrics.jsonl"));
        assertEquals(60, metrics.size());
        for (int step = 0; step < 60; step++) {
            JsonNode line = metrics.get(step);
            assertEquals(step, line.get("step").intValue());
            int sequences = 0;
            double shares = 0;
            for (JsonNode domain : line.get("domains"))
                sequences += domain.get("sequences").intValue();
            for (JsonNode share : line.get("mixture")) shares += share.doubleValue();
            assertEquals(6, sequences);
            assertEquals(1, shares, 1e-12);
            for (String phase : List.of("data", "step", "mixture", "total"))
                assertTrue(line.get("seconds").get(phase).doubleValue() >= 0, phase);
        }
        assertTrue(Files.size(run.resolve("report.html")) > 10_000);
        assertFalse(lines(run.resolve("fits.jsonl")).isEmpty(), "ADO never fitted");
        assertTrue(Files.readString(run.resolve("run.yaml")).contains("dataset: " + dataset));
    }

    /** The mixture that a policy holds after step t is what batch t + ringDepth was drawn from. */
    @Test
    void replayOfTheRunGivesItsOwnMixture() throws IOException {
        Path out = folder.resolve("mixture.jsonl");
        Ran.rheostat("replay", run.resolve("metrics.jsonl").toString(), "--policy", "ado", "--out", out.toString())
                .mustExitWith(0);
        List<JsonNode> replayed = lines(out), metrics = lines(run.resolve("metrics.jsonl"));
        assertEquals(60, replayed.size());
        for (int step = 3; step < 60; step++)
            assertEquals(
                    metrics.get(step).get("mixture"), replayed.get(step - 3).get("mixture"), "step " + step);
        assertNotEquals(metrics.getFirst().get("mixture"), metrics.getLast().get("mixture"), "it moved");
    }

    /** Every policy that needs nothing but the run, under floors, caps and epochs that bite, at ring depth 3. */
    @ParameterizedTest
    @ValueSource(strings = {"ado", "natural", "uniform"})
    void replayOfABoundedRunGivesItsOwnMixture(String policy) throws IOException {
        Path bounded = folder.resolve("bounded-" + policy), out = folder.resolve(policy + ".jsonl");
        List<String> train = new ArrayList<>(List.of("train", runFile.toString(), "--out", bounded.toString()));
        for (String set : List.of(
                "mixture.policy=" + policy,
                "mixture.minShare.beta=0.3",
                "mixture.maxShare.alpha=0.4",
                "mixture.maxEpochs.gamma=0.1",
                "mixture.shadow=uniform")) train.addAll(List.of("--set", set));
        if (!policy.equals("ado")) train.addAll(List.of("--set", "mixture.settings={}"));
        Ran.rheostat(train.toArray(String[]::new)).mustExitWith(0);
        Ran.rheostat("replay", bounded.resolve("metrics.jsonl").toString(), "--out", out.toString())
                .mustExitWith(0);
        List<JsonNode> replayed = lines(out), metrics = lines(bounded.resolve("metrics.jsonl"));
        for (int step = 3; step < 60; step++)
            assertEquals(
                    metrics.get(step).get("mixture"), replayed.get(step - 3).get("mixture"), "step " + step);
        assertTrue(
                metrics.stream().anyMatch(line -> line.at("/mixture/gamma").asDouble() == 0), "gamma had its epochs");
        String report = Files.readString(bounded.resolve("report.html"));
        assertTrue(report.contains("gamma had its 0.1 epochs by step"), "the report says when");
    }

    @Test
    void twoPoliciesAreReplayedSideBySideAndDrawn() throws IOException {
        Path out = folder.resolve("two.jsonl"), page = folder.resolve("two.html");
        Ran.rheostat(
                        "replay",
                        run.resolve("metrics.jsonl").toString(),
                        "--against",
                        "uniform",
                        "--out",
                        out.toString(),
                        "--html",
                        page.toString())
                .mustExitWith(0)
                .mustSay("uniform draws")
                .mustSay("otherwise than ado, robust on average");
        List<JsonNode> lines = lines(out);
        assertEquals(60, lines.size());
        assertEquals(1.0 / 3, lines.getLast().at("/against/alpha").asDouble(), 1e-15);
        assertNotEquals(lines.getLast().get("mixture"), lines.getLast().get("against"));
        String html = Files.readString(page);
        assertTrue(html.contains("data-chart=\"mixture\" data-run=\"1\""), "a chart for each policy");
        Ran.rheostat("replay", run.resolve("metrics.jsonl").toString())
                .mustExitWith(2)
                .mustSay("nothing to write");
    }

    /** Another cap, another policy and another setting, the first before any step: at ring depth 3, all of it again. */
    @Test
    void replayOfASteeredRunGivesItsOwnMixture() throws IOException {
        Path steered = Files.createDirectories(folder.resolve("steered")), out = folder.resolve("steered.jsonl");
        Files.writeString(steered.resolve("steering.jsonl"), """
                {"id":"a","step":0,"set":{"mixture.maxShare.alpha":"0.3"}}
                {"id":"b","step":20,"set":{"mixture.policy":"odm"}}
                {"id":"c","step":35,"set":{"mixture.policy":"ado","mixture.settings.gateSpread":"100"}}
                {"id":"d","step":45,"set":{"mixture.target":"{alpha: 0, beta: 1, gamma: 3}","mixture.maxShare":"1"}}
                """);
        Ran.rheostat("train", runFile.toString(), "--out", steered.toString()).mustExitWith(0);
        Ran.rheostat("replay", steered.toString(), "--out", out.toString())
                .mustExitWith(0)
                .mustSay("steered: what an operator changed is done again, 4 changes");
        List<JsonNode> replayed = lines(out), metrics = lines(steered.resolve("metrics.jsonl"));
        for (int step = 3; step < 60; step++)
            assertEquals(
                    metrics.get(step).get("mixture"), replayed.get(step - 3).get("mixture"), "step " + step);
        assertNotEquals(metrics.get(22).get("mixture"), metrics.get(23).get("mixture"), "odm mixes otherwise");
    }

    /** What a run wrote down of itself cannot be made again. */
    @ParameterizedTest
    @CsvSource({"--out, metrics.jsonl", "--html, metrics.jsonl", "--out, validation.jsonl", "--html, run.yaml"})
    void aReplayWritesOverNothingOfTheRun(String option, String file) throws IOException {
        String before = Files.readString(run.resolve(file));
        Ran.rheostat("replay", run.toString(), option, run.resolve(file).toString())
                .mustExitWith(2)
                .mustSayOneLine()
                .mustSay("is what the replay reads");
        assertEquals(before, Files.readString(run.resolve(file)));
    }

    @Test
    void aRunFolderIsReplayedAsItsMetricsAre() throws IOException {
        Path one = folder.resolve("of-metrics.jsonl"), other = folder.resolve("of-folder.jsonl");
        Ran.rheostat("replay", run.resolve("metrics.jsonl").toString(), "--out", one.toString())
                .mustExitWith(0);
        Ran.rheostat("replay", run.toString(), "--out", other.toString()).mustExitWith(0);
        assertEquals(Files.readString(one), Files.readString(other));
    }

    @ParameterizedTest
    @ValueSource(strings = {"newest", "best", "60"})
    void evalGivesTheLossOfTheRunsValidation(String checkpoint) throws IOException {
        Ran ran =
                Ran.rheostat("eval", run.toString(), "--checkpoint", checkpoint).mustExitWith(0);
        JsonNode last = lines(run.resolve("validation.jsonl")).getLast();
        if (checkpoint.equals("best")) return;
        for (var domain : last.get("domains").properties()) {
            String nats = String.format(
                    java.util.Locale.ROOT,
                    "%.3f",
                    domain.getValue().get("lossNats").doubleValue());
            assertTrue(
                    ran.out().lines().anyMatch(line -> line.startsWith(domain.getKey()) && line.contains(nats)),
                    domain.getKey() + " " + nats + " in\n" + ran.out());
        }
    }

    @Test
    void generateContinuesAndASeedGivesOneText() {
        String one = Ran.rheostat("generate", run.toString(), "--prompt", "alpha 1", "--tokens", "30", "--seed", "4")
                .mustExitWith(0)
                .out();
        assertTrue(one.startsWith("alpha 1") && one.length() > 12, one);
        assertEquals(
                one,
                Ran.rheostat("generate", run.toString(), "--prompt", "alpha 1", "--tokens", "30", "--seed", "4")
                        .out());
        Ran.rheostat("generate", run.toString(), "--prompt", "").mustExitWith(2).mustSayOneLine();
        Ran.rheostat("generate", run.toString(), "--prompt", "a", "--temperature", "-1")
                .mustExitWith(2)
                .mustSayOneLine();
    }

    @Test
    void aFinishedRunHasNothingLeftToResume() throws IOException {
        long before = Files.readAllLines(run.resolve("metrics.jsonl")).size();
        Ran.rheostat("resume", run.toString()).mustExitWith(0).mustSay("all 60 steps were done before");
        assertEquals(before, Files.readAllLines(run.resolve("metrics.jsonl")).size());
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "resume none               | 2 | is no run folder",
                "eval none                 | 2 | is no run folder",
                "eval RUN --checkpoint 7   | 2 | has no checkpoint 7",
                "eval RUN --windows 0      | 2 | --windows",
                "train FILE --out RUN      | 2 | already holds a run",
                "train none.yaml           | 2 | no such run file",
                "train FILE --set device=cuda:99 | 3 | cuda:99",
                "train FILE --set model.context=20000 --out NEW | 2 | one window of model.context",
                "train FILE --set data.dataset=/nowhere | 2 | no such dataset",
                "train FILE --set model.vocabulary=100 --out NEW | 2 | 100 is less than the tokenizer",
                "train FILE --set mixture.prior.delta=1 | 2 | delta",
                "replay RUN --policy addo --out x | 2 | --policy: there is no policy addo; did you mean ado?",
                "replay none --out x       | 2 | no such file",
                "steer RUN --set mixture.policy=odm | 2 | all 60 steps are done",
                "steer none --set mixture.policy=odm | 2 | is no run folder",
                "steer RUN --set mixture.target.alpha=1 | 2 | --set: mixture.target: nothing is said of domain beta",
                "prepare nowhere --out x   | 2 | no such file or folder",
                "prepare --out x           | 2 | give either SOURCE or --shards"
            })
    void whatCannotBeDoneIsOneSentence(String line, int exitCode, String says) {
        Path fresh = folder.resolve("fresh");
        String[] words = line.replace("RUN", run.toString())
                .replace("FILE", runFile.toString())
                .replace("NEW", fresh.toString())
                .split(" +");
        Ran.rheostat(words).mustExitWith(exitCode).mustSayOneLine().mustSay(says);
        assertFalse(Files.exists(fresh.resolve("run.yaml")), "a run that never began leaves its folder free");
    }

    @Test
    void aTokenThatIsNoIdOfTheTokenizerIsDamage() throws IOException {
        Path text = folder.resolve("words/one");
        Files.createDirectories(text);
        Files.writeString(text.resolve("train.jsonl"), "{\"text\": \"some words of English\"}\n".repeat(60));
        Files.writeString(text.resolve("valid.jsonl"), "{\"text\": \"other words of English\"}\n".repeat(60));
        Path words = folder.resolve("word-tokens"), out = folder.resolve("word-run");
        Ran.rheostat("prepare", text.getParent().toString(), "--out", words.toString(), "--tokenizer", "gpt2")
                .mustExitWith(0);
        Path json = words.resolve("dataset.json");
        Files.writeString(json, Files.readString(json).replace("gpt2", "bytes"));
        Ran.rheostat("train", runFile.toString(), "--set", "data.dataset=" + words, "--out", out.toString())
                .mustExitWith(4)
                .mustSayOneLine()
                .mustSay("token id");
    }
}
