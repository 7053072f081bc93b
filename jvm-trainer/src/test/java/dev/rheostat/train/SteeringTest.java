package dev.rheostat.train;

import static dev.rheostat.train.MemoryRuns.DATASET;
import static dev.rheostat.train.MemoryRuns.assertSameRun;
import static dev.rheostat.train.MemoryRuns.config;
import static dev.rheostat.train.MemoryRuns.killAfter;
import static dev.rheostat.train.MemoryRuns.metrics;
import static dev.rheostat.train.MemoryRuns.run;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RunConfig;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Bounds, targets, shadows and changes of a mixture, in whole runs. */
class SteeringTest {
    private static final String CAP = "{\"id\":\"a\",\"step\":%d,\"set\":{\"mixture.maxShare.domain0\":\"0.2\"}}\n",
            POLICY = "{\"id\":\"b\",\"step\":%d,\"set\":{\"mixture.policy\":\"%s\"}}\n";

    @TempDir
    private Path folder;

    private Path logged(String name, String... lines) throws IOException {
        Path run = Files.createDirectories(folder.resolve(name));
        Files.writeString(run.resolve("steering.jsonl"), String.join("", lines));
        return run;
    }

    private static double share(Path run, int step, int k) throws IOException {
        return metrics(run).get(step).path("mixture").path("domain" + k).asDouble();
    }

    @ParameterizedTest
    @CsvSource({"1, error-feedback", "4, error-feedback", "2, multinomial"})
    void noDomainIsDrawnMoreOftenThanItsEpochsAllow(int ringDepth, String draw) throws IOException {
        RunConfig config = config(
                folder,
                Map.of(
                        "runtime.ringDepth",
                        Integer.toString(ringDepth),
                        "data.draw",
                        draw,
                        "mixture.maxEpochs.domain1",
                        "0.1"));
        long limit = (long) (0.1 * RunMixture.sampler(config, DATASET).windows_K()[1]);
        run(config, folder.resolve("run"));
        long drawn = 0;
        boolean handedOn = false;
        for (JsonNode line : metrics(folder.resolve("run"))) {
            double share = line.at("/mixture/domain1").asDouble();
            assertTrue(
                    share * 6 <= limit - drawn + 1e-9,
                    "step " + line.path("step") + ": share " + share + " of " + drawn + " and " + limit);
            drawn += line.at("/domains/domain1/sequences").asLong();
            handedOn |= share == 0;
        }
        assertEquals(limit, drawn, "all of it was drawn, and no more");
        assertTrue(handedOn, "its share went to the others");
        killAfter(config, folder.resolve("killed"), 23);
        run(config, folder.resolve("killed"));
        assertSameRun(folder.resolve("run"), folder.resolve("killed"));
    }

    @Test
    void epochsThatCannotFillTheRunAreRefusedBeforeIt() {
        RheostatException e = assertThrows(
                RheostatException.class,
                () -> run(config(folder, Map.of("mixture.maxEpochs", "0.01")), folder.resolve("run")));
        assertTrue(e.getMessage().contains("maxEpochs leaves"), e.getMessage());
    }

    /** The watching policy changes no bit, and what it would have drawn is what it draws where it rules. */
    @Test
    void aShadowIsRecordedAndNotObeyed() throws IOException {
        run(config(folder, Map.of("mixture.policy", "uniform")), folder.resolve("alone"));
        RunConfig watched = config(folder, Map.of("mixture.policy", "uniform", "mixture.shadow", "ado/robust"));
        run(watched, folder.resolve("watched"));
        List<JsonNode> alone = metrics(folder.resolve("alone")), lines = metrics(folder.resolve("watched"));
        for (int t = 0; t < 40; t++) {
            assertEquals(DATASET.shares()[0], lines.get(t).at("/shadow/domain0").asDouble(), 0.5, "a share");
            ((com.fasterxml.jackson.databind.node.ObjectNode) lines.get(t)).remove("shadow");
        }
        assertEquals(alone, lines);
        killAfter(watched, folder.resolve("killed"), 23);
        run(watched, folder.resolve("killed"));
        assertEquals(metrics(folder.resolve("watched")), metrics(folder.resolve("killed")));
    }

    @ParameterizedTest
    @CsvSource({"1, 14", "4, 14", "4, 20", "1, 23"})
    void aChangeOfBoundsOrPolicyIsDoneAgainByAResumedRun(int ringDepth, int killedAfter) throws IOException {
        RunConfig config = config(folder, Map.of("runtime.ringDepth", Integer.toString(ringDepth)));
        String[] changes = {CAP.formatted(10), POLICY.formatted(20, "uniform"), POLICY.formatted(30, "ado")};
        Path whole = logged("whole", changes), killed = logged("killed", changes);
        run(config, whole);
        killAfter(config, killed, killedAfter);
        run(config, killed);
        assertSameRun(whole, killed);
        for (int t = 10 + ringDepth; t < 40; t++) assertTrue(share(whole, t, 0) <= 0.2, "step " + t);
        assertFalse(share(whole, 9, 0) <= 0.2, "the cap bites");
        assertEquals(0.4, share(whole, 20 + ringDepth, 1), 1e-12, "uniform under the cap");
        assertEquals(3, Files.readAllLines(whole.resolve("steering.jsonl")).size());
    }

    /** A policy that comes in the middle is shown what was, so it holds what it would have held had it watched all along. */
    @ParameterizedTest
    @ValueSource(strings = {"ado", "aioli", "ado-transfer"})
    void aPolicyThatComesLaterKnowsTheRunSoFar(String policy) throws IOException {
        RunConfig config =
                config(folder, Map.of("mixture.policy", "uniform", "mixture.shadow", policy, "runtime.ringDepth", "1"));
        Path run = logged("run", POLICY.formatted(35, policy));
        run(config, run);
        for (int t = 36; t < 40; t++)
            assertEquals(metrics(run).get(t).path("shadow"), metrics(run).get(t).path("mixture"), "step " + t);
    }

    /** Asked for while the run goes: taken at some boundary, written down, and the same as if the log had had it from the start. */
    @Test
    void aRequestIsTakenAtAStepBoundaryAndWrittenDown() throws IOException {
        RunConfig config = config(folder, Map.of("runtime.ringDepth", "2"));
        Path run = folder.resolve("run");
        List<String> notes = new ArrayList<>();
        run(
                config,
                run,
                new TrainListener() {
                    @Override
                    public void step(StepReport report) {
                        if (report.step() == 5)
                            Steering.request(
                                    run, Map.of("mixture.minShare.domain2", "0.5"), "me", "2026-01-01T00:00:00Z");
                        if (report.step() == 7)
                            Steering.request(run, Map.of("seed", "3"), "me", "2026-01-01T00:00:01Z");
                        sleep(15); // so that the 40 steps last longer than two looks at the requests
                    }

                    @Override
                    public void note(String sentence) {
                        notes.add(sentence);
                    }
                },
                new StopRequest());
        List<Steering.Change> changes = Steering.changes(run);
        assertEquals(1, changes.size(), notes.toString());
        assertEquals("me", changes.getFirst().by());
        assertTrue(
                notes.stream().anyMatch(note -> note.contains("seed cannot be changed while a run goes")),
                notes.toString());
        int step = (int) changes.getFirst().step();
        assertTrue(step > 5 && step < 40, "step " + step);
        if (step + 2 < 40) assertTrue(share(run, step + 2, 2) >= 0.5);
        Path again = logged("again", Files.readString(run.resolve("steering.jsonl")));
        run(config, again);
        assertSameRun(run, again);
        try (var requests = Files.list(run.resolve("steering.requests"))) {
            assertEquals(0, requests.count(), "nothing waits");
        }
    }

    /** A file that is no request, or one by hand under a name of its own: the run goes on, and none is looked at twice. */
    @Test
    void whatIsNoRequestIsSetAside() throws IOException {
        Path run = folder.resolve("run"), requests = Files.createDirectories(run.resolve("steering.requests"));
        Files.writeString(requests.resolve("a.json"), "no request");
        Files.writeString(requests.resolve("b.json"), "{\"set\":{\"mixture.minShare.domain2\":\"0.5\"}}");
        Files.writeString(requests.resolve("c.json"), "{\"id\":\"x\",\"set\":{\"seed\":\"3\"}}");
        List<String> notes = new ArrayList<>();
        run(
                config(folder, Map.of()),
                run,
                new TrainListener() {
                    @Override
                    public void note(String sentence) {
                        notes.add(sentence);
                    }
                },
                new StopRequest());
        assertEquals(40, metrics(run).size());
        assertEquals(
                List.of("b"),
                Steering.changes(run).stream().map(Steering.Change::id).toList());
        assertEquals(
                1, notes.stream().filter(note -> note.contains("set aside")).count(), notes.toString());
        assertEquals(1, notes.stream().filter(note -> note.contains("refused")).count(), notes.toString());
        assertTrue(Files.exists(requests.resolve("a.json.unreadable")));
        try (var left = Files.list(requests)) {
            assertEquals(1, left.count(), "nothing waits");
        }
    }

    /** Without validation text a policy that goes by it is refused, whether it is to rule, to watch or to take over. */
    @Test
    void aPolicyIsNotToldLossesThatThereAreNot() throws IOException {
        Map<String, String> noneHasAWindow = Map.of(
                "model.context", "900", "batch.sequences", "1", "schedule.steps", "3", "mixture.policy", "natural");
        Map<String, String> watched = new HashMap<>(noneHasAWindow), ruled = new HashMap<>(noneHasAWindow);
        watched.put("mixture.shadow", "aioli");
        ruled.put("mixture.policy", "aioli");
        for (Map<String, String> refused : List.of(watched, ruled))
            assertTrue(assertThrows(
                            RheostatException.class,
                            () -> run(config(folder, refused), folder.resolve("run" + refused.size())))
                    .getMessage()
                    .contains("policy aioli goes by validation losses"));
        Path run = folder.resolve("run");
        Steering.request(run, Map.of("mixture.policy", "aioli"), "me", "2026-01-01T00:00:00Z");
        List<String> notes = new ArrayList<>();
        run(
                config(folder, noneHasAWindow),
                run,
                new TrainListener() {
                    @Override
                    public void note(String sentence) {
                        notes.add(sentence);
                    }
                },
                new StopRequest());
        assertEquals(List.of(), Steering.changes(run));
        assertTrue(notes.stream().anyMatch(note -> note.contains("goes by validation losses")), notes.toString());
    }

    private static void sleep(long millis) {
        try {
            Thread.sleep(millis);
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
    }
}
