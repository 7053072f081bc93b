package dev.rheostat.ado.testbed;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.junit.jupiter.api.Test;

class PolicyTableTest {
    private static PolicyTable table(List<String> policies, List<World> worlds, int seeds, int threads) {
        try (ExecutorService executor = Executors.newFixedThreadPool(threads)) {
            return PolicyTable.measure(
                    new PolicyTable.Plan(policies, worlds, seeds, Map.of(), 0.45, Draw.ERROR_FEEDBACK), executor);
        }
    }

    /** Every policy there is either has a number in every world or says why not; the numbers do not depend on the threads. */
    @Test
    void everyPolicyHasANumberOrAReason() {
        List<World> worlds = Worlds.all(32, 200);
        List<String> policies = PolicyTable.everyPolicy();
        PolicyTable one = table(policies, worlds, 2, 1), two = table(policies, worlds, 2, 2);
        assertEquals(one.markdown(), two.markdown());
        assertEquals(one.jsonLines(), two.jsonLines());
        for (PolicyTable.Cell cell : one.cells()) {
            if (!cell.refusal().isEmpty()) continue;
            assertTrue(cell.exactNats() > -1e-9, cell + " ends under the optimum");
            for (double noisy : cell.noisyNats()) assertTrue(noisy > -1e-9, cell + " ends under the optimum");
        }
        for (World world : worlds) {
            assertEquals(0, one.cell("static", world.name()).exactNats(), 1e-5, "told the optimum in " + world.name());
            assertTrue(one.cell("natural", world.name()).refusal().isEmpty());
        }
    }

    /** The acceptance of the bed: robust ADO where domains are alone, ado-transfer where they help. */
    @Test
    void theBetterPolicyIsNeverWorseThanNatural() {
        List<World> worlds = Worlds.all(Worlds.SEQUENCES, 4000).stream()
                .filter(world -> !world.name().contains("crowded"))
                .toList();
        PolicyTable table = table(List.of("natural", "ado/robust", "ado-transfer"), worlds, 3, 2);
        for (World world : worlds) {
            boolean help = world.name().contains("transfer") || world.name().contains("hub");
            String policy = help ? "ado-transfer" : "ado/robust";
            PolicyTable.Cell natural = table.cell("natural", world.name()), better = table.cell(policy, world.name());
            assertTrue(better.exactNats() < natural.exactNats(), better + " against " + natural);
            for (int s = 0; s < 3; s++)
                assertTrue(better.noisyNats()[s] < natural.noisyNats()[s], better + " against " + natural);
        }
    }

    /** A share that costs at once what data win later fools laws of data; a policy that counts shares is fooled less. */
    @Test
    void countingSharesHelpsWhereTheyCrowd() {
        World world = Worlds.crowded(Worlds.a(Worlds.SEQUENCES, 4000));
        String counting = "ado/robust:shareMemory=200";
        PolicyTable table = table(List.of("natural", "ado/robust", counting), List.of(world), 3, 2);
        PolicyTable.Cell natural = table.cell("natural", world.name()),
                robust = table.cell("ado/robust", world.name()),
                counted = table.cell(counting, world.name());
        assertTrue(robust.exactNats() > natural.exactNats(), robust + " against " + natural);
        assertTrue(counted.exactNats() < natural.exactNats(), counted + " against " + natural);
        assertTrue(counted.meanNats() < robust.meanNats(), counted + " against " + robust);
    }

    /** By hand: 1, 2, 6 have mean 3, deviation sqrt 7, and 4.303 is Student's 95 % point of two degrees. */
    @Test
    void intervalsAreStudents() {
        PolicyTable.Cell cell = new PolicyTable.Cell("natural", "A", 0, new double[] {1, 2, 6}, "");
        assertEquals(3, cell.meanNats(), 1e-15);
        assertEquals(4.303 * Math.sqrt(7.0 / 3), cell.halfIntervalNats(), 1e-12);
    }

    /** A policy of its own number of seeds has the first of them, and the table says so. */
    @Test
    void aSlowPolicyMayHaveFewerSeeds() {
        List<World> worlds = Worlds.all(32, 200).subList(0, 1);
        List<String> policies = List.of("natural", "odm/released", "aioli", "uniform");
        Map<String, Integer> seedsOf = Map.of("odm/released", 2, "aioli", 1, "uniform", 0);
        PolicyTable table;
        try (ExecutorService executor = Executors.newFixedThreadPool(1)) {
            table = PolicyTable.measure(
                    new PolicyTable.Plan(policies, worlds, 3, seedsOf, 0.45, Draw.ERROR_FEEDBACK), executor);
        }
        PolicyTable.Cell all = table(policies, worlds, 3, 1).cell("odm/released", "A"),
                fewer = table.cell("odm/released", "A");
        assertArrayEquals(Arrays.copyOf(all.noisyNats(), 2), fewer.noisyNats());
        assertEquals(3, table.cell("natural", "A").noisyNats().length);
        String text = table.markdown();
        assertTrue(text.contains("over 3 seeds; `aioli` over 1; `odm/released` over 2; `uniform` over 0:"), text);
        assertTrue(text.contains("| `uniform` | – |"), text);
        assertThrows(
                IllegalArgumentException.class,
                () -> new PolicyTable.Plan(policies, worlds, 3, Map.of("skill-it", 1), 0.45, Draw.ERROR_FEEDBACK));
    }

    @Test
    void whatCannotBeMeantIsRefused() {
        List<World> worlds = Worlds.all(32, 200);
        assertThrows(IllegalArgumentException.class, () -> table(List.of("addo"), worlds, 2, 1));
        assertThrows(IllegalArgumentException.class, () -> table(List.of("natural"), worlds, 32, 1));
        for (String policy : List.of("ado:creditt=1", "ado:credit=2", "ado:credit", "natural:credit=0"))
            assertThrows(IllegalArgumentException.class, () -> table(List.of(policy), worlds, 2, 1), policy);
        String message = assertThrows(IllegalArgumentException.class, () -> Worlds.named(worlds, List.of("B hubb")))
                .getMessage();
        assertTrue(message.contains("B hub"), message);
    }
}
