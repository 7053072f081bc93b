package dev.rheostat.compare;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rheostat.cli.Main;
import dev.rheostat.config.RheostatException;
import dev.rheostat.data.DatasetFolder;
import dev.rheostat.train.StopRequest;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Plans carried out, on a model of a few thousand parameters. */
class GridTest {
    @TempDir
    private static Path folder;

    private static Path whole;

    /** A command line, run in this process. */
    private static String rheostat(int exitCode, String... arguments) {
        StringWriter out = new StringWriter(), err = new StringWriter();
        assertEquals(
                exitCode,
                Main.execute(new PrintWriter(out, true), new PrintWriter(err, true), arguments),
                () -> out + "\n" + err);
        return out + err.toString();
    }

    @BeforeAll
    static void makeDatasetAndWholeGrid() throws IOException {
        Random random = new Random(1);
        for (String domain : List.of("alpha", "beta", "gamma"))
            for (String split : List.of("train", "valid")) {
                StringBuilder lines = new StringBuilder();
                for (int d = 0; d < (split.equals("train") ? 60 : 8); d++) {
                    String words = (domain + " " + random.nextInt(domain.length() * 3) + " ").repeat(20);
                    lines.append("{\"text\": \"").append(words).append("\"}\n");
                }
                Path file = folder.resolve("text").resolve(domain).resolve(split + ".jsonl");
                Files.createDirectories(file.getParent());
                Files.writeString(file, lines);
            }
        rheostat(0, "prepare", folder.resolve("text").toString(), "--out", tokens().toString(), "--tokenizer", "bytes");
        whole = plan("whole", "[1, 2]", 12);
        String said = rheostat(0, "compare", whole.toString());
        assertTrue(said.contains("4 runs: 2 policies, 2 seeds; 0 done before"), said);
        assertTrue(said.contains("final loss, weighted by the target: "), said);
        assertTrue(said.contains("report: " + out("whole").resolve("compare.html")), said);
    }

    private static Path tokens() {
        return folder.resolve("tokens");
    }

    private static Path out(String name) {
        return folder.resolve("out-" + name);
    }

    private static Path plan(String name, String seeds, int steps) throws IOException {
        return Files.writeString(folder.resolve(name + ".yaml"), """
                base:
                  data: {dataset: tokens}
                  model: {layers: 1, heads: 2, width: 16, context: 32}
                  batch: {sequences: 6}
                  schedule: {steps: %d}
                  evaluation: {everySteps: 4, windows: 4}
                  optimizer: {learningRate: 1e-2}
                  runtime: {threads: 1}
                  device: cpu
                seeds: %s
                out: %s
                policies:
                  natural: {mixture: {policy: natural}}
                  ado: {mixture: {settings: {startStep: 4, ignoreSteps: 0, refitEvery: 2, refitDelay: 1, gateBins: 4, gateSpread: 100}}}
                """.formatted(steps, seeds, out(name)));
    }

    /** Everything in a run's metrics but the times. */
    private static List<String> steps(Path out, String run) throws IOException {
        List<String> lines = new ArrayList<>();
        for (String line : Files.readAllLines(out.resolve(run).resolve("metrics.jsonl")))
            lines.add(line.replaceAll("\"seconds\":\\{[^}]*}", ""));
        return lines;
    }

    @Test
    void eachRunIsAnOrdinaryRunFolder() throws IOException {
        for (String run : List.of("natural-seed1", "ado-seed1", "natural-seed2", "ado-seed2")) {
            assertEquals(12, steps(out("whole"), run).size());
            assertTrue(Files.exists(out("whole").resolve(run).resolve("report.html")));
        }
        assertTrue(rheostat(0, "resume", out("whole").resolve("ado-seed1").toString())
                .contains("done before"));
        assertFalse(steps(out("whole"), "ado-seed1").equals(steps(out("whole"), "ado-seed2")));
    }

    @Test
    void whatIsDoneIsSkipped() throws IOException {
        String before = Files.readString(out("whole").resolve("natural-seed1/metrics.jsonl"));
        String said = rheostat(0, "compare", whole.toString());
        assertTrue(said.contains("4 runs: 2 policies, 2 seeds; 4 done before"), said);
        assertFalse(said.contains("starts on"), said);
        assertEquals(before, Files.readString(out("whole").resolve("natural-seed1/metrics.jsonl")));
    }

    @Test
    void aSettingThatIsNewerThanARunIsNoOtherRun() throws IOException {
        Path config = out("whole").resolve("ado-seed2/run.yaml");
        String text = Files.readString(config), older = text.replaceAll("(?m)^ *huber: .*\\n", "");
        assertFalse(older.equals(text));
        Files.writeString(config, older);
        String said = rheostat(0, "compare", whole.toString());
        Files.writeString(config, text);
        assertTrue(said.contains("; 4 done before"), said);
    }

    @Test
    void aGridThatWasStoppedGoesOnWithTheSameBits() throws IOException {
        Path file = plan("stopped", "[1, 2]", 12);
        Plan plan = Plan.read(file);
        StopRequest stop = new StopRequest();
        try (DatasetFolder dataset = DatasetFolder.open(tokens())) {
            assertFalse(new Grid(plan, dataset.tokens(), line -> {
                        if (line.startsWith("ado-seed1: validation after 8 steps")) stop.stop();
                    })
                    .run(stop));
        }
        assertEquals(8, steps(plan.out(), "ado-seed1").size());
        assertFalse(Files.exists(plan.out().resolve("natural-seed2")), "a run was begun after the stop");
        // What a run that was begun this moment leaves.
        Files.createDirectories(plan.folder("natural", 2));
        Files.createFile(plan.folder("natural", 2).resolve("validation.jsonl"));
        String early = rheostat(0, "compare", file.toString(), "--report");
        assertTrue(
                early.contains("note: ado-seed1 is not done, last validated after 8 of 12 steps, and not counted"),
                early);
        assertTrue(early.contains("note: ado-seed2 is not begun and not counted"), early);
        assertTrue(early.contains("no winner: there is one policy"), early);
        String said = rheostat(0, "compare", file.toString());
        assertTrue(said.contains("; 1 done before"), said);
        assertTrue(said.contains("ado-seed1: goes on on cpu"), said);
        for (String run : List.of("natural-seed1", "ado-seed1", "natural-seed2", "ado-seed2"))
            assertEquals(steps(out("whole"), run), steps(plan.out(), run), run);
    }

    @Test
    void aFolderThatHoldsAnotherRunIsRefused() throws IOException {
        Path file = plan("changed", "[1]", 4);
        rheostat(0, "compare", file.toString());
        Files.writeString(file, Files.readString(file).replace("steps: 4", "steps: 8"));
        String said = rheostat(2, "compare", file.toString());
        assertTrue(
                said.contains("rheostat: " + out("changed").resolve("natural-seed1")
                        + " holds another run than the plan's: schedule.steps is 4 there and 8 in the plan; give the plan"
                        + " another out, or remove the folder"),
                said);
        Files.writeString(
                file,
                Files.readString(file).replace("  device: cpu\n", "").replace("seeds:", "devices: [cuda:7]\nseeds:"));
        assertEquals(3, exitCode("compare", file.toString()), "there is no such GPU");
    }

    private static int exitCode(String... arguments) {
        PrintWriter nowhere = new PrintWriter(new StringWriter());
        return Main.execute(nowhere, nowhere, arguments);
    }

    @Test
    void theFirstReportNeedsARunOfTheBaseline() throws IOException {
        Path file = plan("empty", "[1]", 4);
        String said = rheostat(2, "compare", file.toString(), "--report");
        assertTrue(said.contains("no run of the baseline natural is done"), said);
        assertThrows(RheostatException.class, () -> Results.read(Plan.read(file)));
    }

    /** Seeds differ by more than policies: a mean over one seed says nothing beside a mean over two. */
    @Test
    void policiesOfDifferentSeedsAreNotReadAcrossRows() throws IOException {
        Path part = plan("part", "[1, 2]", 12);
        for (String run : List.of("natural-seed1", "natural-seed2", "ado-seed1"))
            for (String file : List.of("run.yaml", "metrics.jsonl", "validation.jsonl")) {
                Path copy = out("part").resolve(run).resolve(file);
                Files.createDirectories(copy.getParent());
                Files.copy(out("whole").resolve(run).resolve(file), copy);
            }
        String note = "policies have different seeds here";
        assertTrue(Results.read(Plan.read(part)).notes().stream().anyMatch(said -> said.startsWith(note)));
        assertFalse(Results.read(Plan.read(whole)).notes().stream().anyMatch(said -> said.startsWith(note)));
    }

    @Test
    void theReportOfTheSameRunsIsTheSame() throws IOException {
        Path page = out("whole").resolve("compare.html");
        String text = CompareReport.write(Plan.read(whole)), html = Files.readString(page);
        assertEquals(text, CompareReport.write(Plan.read(whole)));
        assertEquals(html, Files.readString(page));
        assertEquals(text, Files.readString(out("whole").resolve("compare.md")));
        for (String part : List.of("Final loss by domain", "gamma", "no winner", "data-chart=\"ahead\"", "echarts"))
            assertTrue(html.contains(part) || text.contains("winner: "), part);
        assertFalse(html.replaceAll("(?s)<script.*?</script>", "").contains("http"), "the page loads something");
    }
}
