package dev.rheostat.compare;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RheostatException.Kind;
import dev.rheostat.config.RunConfig;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class PlanTest {
    @TempDir
    private Path folder;

    private Plan plan(String text) throws IOException {
        return Plan.read(Files.writeString(folder.resolve("plan.yaml"), text));
    }

    private void refused(String text, String sentence) {
        RheostatException refused = assertThrows(RheostatException.class, () -> plan(text));
        assertEquals(Kind.BAD_REQUEST, refused.kind());
        assertEquals(folder.resolve("plan.yaml") + sentence, refused.getMessage());
    }

    @Test
    void policiesAreLaidOverTheBase() throws IOException {
        Plan plan = plan("""
                base:
                  data: {dataset: tokens}
                  schedule: {steps: 70}
                  mixture: {settings: {gateBins: 5, huber: 3}, target: {a: 1, b: 2}}
                seeds: [3, -1]
                policies:
                  natural: {mixture: {policy: natural, settings: {}}}
                  as-it-is:
                  ado: {mixture: {settings: {gateBins: 7}}, optimizer: {learningRate: 2e-3}}
                """);
        assertEquals(List.of(3L, -1L), plan.seeds());
        assertEquals(
                List.of("natural", "as-it-is", "ado"),
                List.copyOf(plan.policies().keySet()));
        assertEquals("natural", plan.baseline());
        assertEquals(Path.of("runs", "plan"), plan.out());
        assertEquals(folder.resolve("tokens").toString(), plan.dataset());
        RunConfig ado = plan.run("ado", -1, Map.of()).config();
        assertEquals(Map.of("gateBins", 7.0), ado.mixture().settings(), "a map is laid over whole");
        assertEquals(Map.of("a", 1.0, "b", 2.0), ado.mixture().target());
        assertEquals(2e-3, ado.optimizer().learningRate());
        assertEquals(70, ado.schedule().steps());
        assertEquals(-1, ado.seed());
        assertEquals(Path.of("runs", "plan", "ado-seed-1").toString(), ado.out());
        assertEquals(
                "natural", plan.run("natural", 3, Map.of()).config().mixture().policy());
        assertEquals(
                Map.of("gateBins", 5.0, "huber", 3.0),
                plan.run("as-it-is", 3, Map.of()).config().mixture().settings());
    }

    @Test
    void theBaseMayBeARunFileOfItsOwnFolder() throws IOException {
        Path base = Files.createDirectories(folder.resolve("sub")).resolve("run.yaml");
        Files.writeString(base, "data: {dataset: tokens}\nseed: 9\nout: elsewhere\nschedule:\n  stepz: 3\n");
        String plan = "base: sub/run.yaml\nseeds: [1]\npolicies: {natural: {mixture: {policy: natural}}}\nout: there\n";
        RheostatException refused = assertThrows(RheostatException.class, () -> plan(plan));
        assertEquals(
                base + ":5: schedule.stepz: no such key in a run file; did you mean schedule.steps?",
                refused.getMessage());
        Files.writeString(base, "data: {dataset: tokens}\nseed: 9\nout: elsewhere\n");
        assertEquals(folder.resolve("sub/tokens").toString(), plan(plan).dataset());
        assertEquals(1, plan(plan).run("natural", 1, Map.of()).config().seed());
        assertEquals(Path.of("there/natural-seed1"), plan(plan).folder("natural", 1));
    }

    @Test
    void badPlansAreRefusedWithTheirLine() {
        String good = "seeds: [1]\npolicies:\n  natural: {mixture: {policy: natural}}\n";
        refused("", ": an empty plan: write seeds and policies (docs/compare.md)");
        refused("- 1\n", ":1: a plan file must be keys with values");
        refused("policies: {a: }\n", ": seeds: a plan needs it (docs/compare.md)");
        refused(good + "devises: [cpu]\n", ":4: devises: no such key in a plan file; did you mean devices?");
        refused(good + "devices: [cpu, gpu]\n", ":4: devices: gpu is none of cpu, cuda:N");
        refused(good + "devices: [cpu, cpu]\n", ":4: devices: cpu stands here twice, and does one run at a time");
        refused(
                good + "baseline: neutral\n",
                ":4: baseline: no policy of the plan is named neutral; did you mean natural?");
        refused(good + "seeds: [2]\n", ":4: seeds: set twice");
        refused(
                "seeds: 1\npolicies: {natural: }\n",
                ":1: seeds: this must be a list of whole numbers, as in [1, 2, 3]");
        refused("seeds: [1, 1]\npolicies: {natural: }\n", ":1: seeds: 1 stands here twice");
        refused("seeds: [a]\npolicies: {natural: }\n", ":1: seeds: \"a\" is not a whole number");
        refused(
                "seeds: [1]\npolicies: {a/b: }\n",
                ":2: policies.a/b: the name becomes a folder's: letters, digits, '.', '_' and '-'");
        refused("seeds: [1]\npolicies: {}\n", ":2: policies: no policy in it");
        RheostatException noBase = assertThrows(RheostatException.class, () -> plan(good + "base: nowhere.yaml\n"));
        assertEquals(folder.resolve("nowhere.yaml") + ": no such run file", noBase.getMessage());
    }

    @Test
    void runsThatARunFileRefusesAreRefusedAtTheirLine() {
        String good = "seeds: [1]\npolicies:\n  natural: {mixture: {policy: natural}}\n";
        refused(
                good + "  ado: {mixture: {policy: adoo}}\n",
                ":4: mixture.policy: adoo is none of its values; did you mean ado?");
        refused(good + "  b: {seed: 4}\n", ":4: policies.b.seed: a plan says it for all, as seeds");
    }

    @Test
    void runsOfOtherBudgetsAreNotCompared() {
        String good = "seeds: [1]\npolicies:\n  natural: {mixture: {policy: natural}}\n";
        refused(
                good + "  long: {schedule: {steps: 900}}\n",
                ":4: schedule.steps: policy long has 900, natural 300: the runs of a plan share dataset and budget; write"
                        + " it in base");
        refused(good + "  b: {device: cpu}\ndevices: [cpu]\n", ":4: device: the plan says devices; leave it out here");
    }

    @Test
    void everyExampleOfAPlanIsAccepted() throws IOException {
        try (Stream<Path> files = Files.list(Path.of("..", "examples"))) {
            List<Path> plans = files.filter(
                            file -> file.getFileName().toString().matches("compare-.*\\.yaml"))
                    .toList();
            assertFalse(plans.isEmpty());
            plans.forEach(Plan::read);
        }
    }

    @Test
    void theSentencesAreOneLine() {
        RheostatException refused = assertThrows(RheostatException.class, () -> plan("seeds: [1\npolicies: {"));
        assertTrue(refused.getMessage().startsWith(folder.resolve("plan.yaml") + ":2: not YAML"), refused.getMessage());
    }
}
