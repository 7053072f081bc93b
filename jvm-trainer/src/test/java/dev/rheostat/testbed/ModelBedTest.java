package dev.rheostat.testbed;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rheostat.testbed.ModelBed.Outcome;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ModelBedTest {
    private static final Map<String, String> SMALL_MODEL =
            Map.of("model.layers", "1", "model.width", "32", "model.heads", "2", "optimizer.learningRate", "1e-2");

    @TempDir
    Path folder;

    /** ado-transfer, so that shaking, validations and fits are all on the way. */
    @Test
    void theSameSeedGivesTheSameBitsAndAnotherGivesOthers() {
        BedShape shape = new BedShape(256, 2, 4, 8, 40);
        List<Outcome> once = run("once", shape, "four", List.of("ado-transfer"), 2, 32),
                again = run("again", shape, "four", List.of("ado-transfer"), 2, 32);
        for (int i = 0; i < 2; i++) {
            assertArrayEquals(once.get(i).reducibleNats_K(), again.get(i).reducibleNats_K(), 0);
            assertArrayEquals(once.get(i).share_K(), again.get(i).share_K(), 0);
            assertEquals(1, Arrays.stream(once.get(i).share_K()).sum(), 1e-12);
        }
        assertTrue(once.get(0).objectiveNats() != once.get(1).objectiveNats());
    }

    /**
     * Of one key there is nothing to learn but how often its value is wrong, and that losses are of values: any other token of a pair is
     * certain. 2048 values have a standard error of 0.05 nats at most; the rest is the model's own error.
     */
    @Test
    void aModelThatKnowsTheKeyLosesTheEntropyOfItsValue() {
        Outcome outcome = run("one", new BedShape(1, 1, 8, 8, 80), "four-noisy", List.of("uniform"), 1, 256)
                .getFirst();
        assertArrayEquals(
                new double[4], outcome.reducibleNats_K(), 0.25, () -> Arrays.toString(outcome.reducibleNats_K()));
        assertEquals(outcome.floorNats(), outcome.objectiveNats(), 0.15);
        assertTrue(outcome.floorNats() > 0.9, "an error in which token is judged would be far larger");
    }

    @Test
    void everyPolicyIsJudgedOnTheSameWindowsAndItsRunStays() {
        List<String> policies = List.of("natural", "static:common=0.4:medium=0.3:rare=0.2:scarce=0.1");
        List<Outcome> both = run("same", new BedShape(64, 1, 4, 8, 10), "four", policies, 1, 32);
        assertArrayEquals(both.get(0).reducibleNats_K(), both.get(1).reducibleNats_K(), 0);
        Path run = folder.resolve("same/runs/four-natural-1");
        assertTrue(Files.exists(run.resolve("metrics.jsonl")) && Files.exists(run.resolve("run.yaml")));
        assertTrue(Files.notExists(run.resolve("checkpoints")));
        String table = OutcomeTable.of(both);
        assertTrue(table.contains("| four | natural | 1 | ") && table.contains(" | 0.0 | "), table);
    }

    private List<Outcome> run(
            String name, BedShape shape, String setting, List<String> policies, int seeds, int judged) {
        List<Outcome> told = new ArrayList<>();
        List<Outcome> outcomes = new ModelBed(
                        DataSettings.COUNTING,
                        shape,
                        new ModelBed.Training(SMALL_MODEL, 4, judged),
                        folder.resolve(name))
                .run(setting, policies, 1, seeds, told::add);
        assertEquals(told, outcomes);
        return outcomes;
    }
}
