package dev.rheostat.ado;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rheostat.ado.fit.PowerLaw;
import dev.rheostat.ado.testbed.BedRun;
import dev.rheostat.ado.testbed.Draw;
import dev.rheostat.ado.testbed.World;
import dev.rheostat.ado.testbed.Worlds;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** ado-transfer: does it find the help that there is, use it, and leave ADO alone where it knows nothing. */
class TransferPolicyTest {
    private static final int SEQUENCES = 256;
    private static final long STEPS = 4000;

    private static MixturePolicy policy(String name, World world, String setting, double value) {
        PolicySettings settings = Policies.settings(name, "", world.steps());
        if (!setting.isEmpty()) settings = settings.with(setting, value);
        PolicyInputs inputs = PolicyInputs.of(world.names_K(), world.target_K(), world.sequences(), world.steps());
        return Policies.create(name, "", settings, inputs);
    }

    private static double regret(World world, MixturePolicy policy, double noiseNats) {
        return new BedRun(world)
                .run(policy, new BedRun.Conditions(Draw.ERROR_FEEDBACK, noiseNats, 1))
                .regretNats();
    }

    /** Windows of a world whose help is known, shaken as the policy does it, validated with noise. */
    private static List<TransferHelp.Point> points(World world, double noiseNats, long seed) {
        TransferProbes probes = new TransferProbes(world.names_K(), 120, 3600, 4, 0.5);
        Random random = new Random(seed);
        double[] drawn_K = new double[4], share_K = {.25, .25, .25, .25};
        List<TransferHelp.Point> points = new ArrayList<>();
        for (int t = 0; t <= 3600; t++) {
            if (probes.isBoundary(t)) {
                double[] loss_K = world.lossNats_K(drawn_K, 0);
                for (int k = 0; k < 4; k++) loss_K[k] += noiseNats * random.nextGaussian();
                points.add(new TransferHelp.Point(drawn_K.clone(), loss_K));
            }
            double[] shaken_K = probes.shaken(share_K, t);
            for (int k = 0; k < 4; k++) drawn_K[k] += SEQUENCES * shaken_K[k];
        }
        return points;
    }

    /** The law of domain k's loss in n at even shares. */
    private static PowerLaw law(World world, int k) {
        double skill = 0;
        for (double help : world.help_KK()[k]) skill += help / 4;
        double alpha = world.alpha_K()[k];
        return new PowerLaw(world.epsilon_K()[k], world.beta_K()[k] * Math.pow(skill, -alpha), alpha);
    }

    /** A_kj / U less its mean over j: what is identified and all that decides. */
    private static double[] differences(double[] help_K) {
        double mean = 0;
        for (double help : help_K) mean += help / 4;
        double[] differences_K = new double[4];
        for (int j = 0; j < 4; j++) differences_K[j] = help_K[j] / mean - 1; // U is the mean at even shares
        return differences_K;
    }

    @ParameterizedTest
    @MethodSource("worldsOfHelp")
    void withoutNoiseTheHelpIsFound(World world) {
        TransferHelp help = new TransferHelp(points(world, 0, 1), 0.5);
        for (int k = 0; k < 4; k++) {
            TransferHelp.Row row = help.row(k, law(world, k)).orElseThrow();
            assertArrayEquals(differences(world.help_KK()[k]), differences(row.help_K()), 0.25, "domain " + k);
            assertTrue(row.vagueness() < 0.25, "vagueness " + row.vagueness());
        }
    }

    static List<World> worldsOfHelp() {
        World world = Worlds.b(SEQUENCES, STEPS);
        return List.of(world, Worlds.transfer(world, 0.1), Worlds.transfer(world, 0.5), Worlds.hub(world));
    }

    /** Noise that drowns the probes makes the answer vague, so that it is not used. */
    @Test
    void noiseMakesTheHelpVague() {
        World world = Worlds.hub(Worlds.b(SEQUENCES, STEPS));
        for (int k = 0; k < 4; k++) {
            double exact = new TransferHelp(points(world, 0, 1), 0.5)
                    .row(k, law(world, k))
                    .orElseThrow()
                    .vagueness();
            double noisy = new TransferHelp(points(world, 0.1, 1), 0.5)
                    .row(k, law(world, k))
                    .orElseThrow()
                    .vagueness();
            assertTrue(noisy > 0.5 && noisy > 2 * exact, "domain " + k + ": " + exact + " exact, " + noisy + " noisy");
        }
    }

    @Test
    void withoutAWindowThereIsNoRow() {
        assertTrue(
                new TransferHelp(List.of(), 0.5).row(0, new PowerLaw(2, 8, .3)).isEmpty());
    }

    /** With the gate shut and nothing shaken it is robust ADO of laws in n to the last bit. */
    @Test
    void whatItDoesNotKnowItLeavesToAdo() {
        World world = Worlds.hub(Worlds.b(64, 600));
        PolicySettings settings =
                Policies.settings("ado-transfer", "", 600).with("shake", 0).with("helpGate", 0);
        PolicyInputs inputs = PolicyInputs.of(world.names_K(), world.target_K(), 64, 600);
        MixturePolicy transfer = Policies.create("ado-transfer", "", settings, inputs);
        PolicySettings laws = Policies.settings("ado", "", 600).with("ownCount", 0);
        double ado = regret(world, Policies.create("ado", "", laws, inputs), 0.45);
        assertEquals(ado, regret(world, transfer, 0.45), 0);
    }

    /** Above its cap of domains it asks for no validation and does not shake. */
    @Test
    void manyDomainsAreNotProbed() {
        List<String> names = new ArrayList<>();
        for (int k = 0; k <= TransferPolicy.MAX_DOMAINS; k++) names.add("d" + k);
        double[] even_K = new double[names.size()];
        Arrays.fill(even_K, 1);
        PolicyInputs inputs = PolicyInputs.of(names, even_K, 64, 1000);
        MixturePolicy policy = Policies.create("ado-transfer", "", Policies.settings("ado-transfer", "", 1000), inputs);
        for (long step = 0; step <= 1000; step++) assertFalse(policy.validationDue(step), "step " + step);
        assertArrayEquals(inputs.prior_K(), policy.mixture(policy.initial()));
    }

    /** Over a block every domain is up as often as down, no two move alike, and the shaken shares are a mixture. */
    @ParameterizedTest
    @ValueSource(ints = {2, 3, 4, 22, 63})
    void theSignsOfABlockAreOrthogonal(int K) {
        List<String> names = new ArrayList<>();
        for (int k = 0; k < K; k++) names.add("d" + k);
        int columns = TransferProbes.columns(K);
        long first = 10_000;
        TransferProbes probes = new TransferProbes(names, first, 1_000_000, 1, 0.5);
        int[][] sign_WK = new int[columns][K];
        double[] even_K = new double[K];
        Arrays.fill(even_K, 1.0 / K);
        int window = -1;
        for (long step = first; step < 1_000_000; step++) {
            if (!probes.isBoundary(step)) continue;
            window++;
            double[] shaken_K = probes.shaken(even_K, step);
            assertEquals(1, Simplex.sum(shaken_K), 1e-12);
            double up = 0;
            for (double share : shaken_K) up = Math.max(up, share);
            // Signs come out by comparing with a neighbour: shares take two values, e apart.
            for (int k = 0; k < K; k++) sign_WK[window][k] = shaken_K[k] > 0.8 * up ? 1 : -1;
        }
        assertEquals(columns - 1, window, "windows");
        for (int i = 0; i < K; i++)
            for (int j = 0; j < i; j++) {
                int product = 0;
                for (int[] sign_K : sign_WK) product += sign_K[i] * sign_K[j];
                // A window in which all move alike shows as all up; there is at most one such window in which all are
                // down.
                assertTrue(Math.abs(product) <= 4, "domains " + i + " and " + j + ": " + product);
            }
    }
}
