package dev.rheostat.ado.testbed;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rheostat.ado.FixedPolicy;
import dev.rheostat.ado.MixturePolicy;
import dev.rheostat.ado.Observation;
import dev.rheostat.ado.PolicyState;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

class BedRunTest {
    private static final int SEQUENCES = 64;
    private static final long STEPS = 500;

    static List<World> worlds() {
        return Worlds.all(SEQUENCES, STEPS);
    }

    /** Told the optimum, a run ends there but for the rounding of sequences; told anything else, above it. */
    @ParameterizedTest
    @MethodSource("worlds")
    void theBestConstantMixtureHasNoRegret(World world) {
        BedRun bed = new BedRun(world);
        BedRun.Conditions exact = new BedRun.Conditions(Draw.ERROR_FEEDBACK, 0, 1);
        BedRun.Outcome best = bed.run(new FixedPolicy("static", bed.best().share_K()), exact);
        assertEquals(0, best.regretNats(), 1e-6);
        assertArrayEquals(bed.best().share_K(), best.share_K(), 1e-4);
        double natural =
                bed.run(new FixedPolicy("natural", world.target_K()), exact).regretNats();
        assertTrue(natural > 1e-4, "natural loses " + natural);
    }

    /** A fixed mixture that remembers what it is told. */
    private static final class Listener implements MixturePolicy {
        private final List<Observation> heard = new ArrayList<>();
        private final MixturePolicy policy = new FixedPolicy("natural", new double[] {.4, .3, .2, .1});

        @Override
        public String name() {
            return policy.name();
        }

        @Override
        public int domains() {
            return policy.domains();
        }

        @Override
        public PolicyState initial() {
            return policy.initial();
        }

        @Override
        public PolicyState observe(PolicyState state, Observation observation) {
            heard.add(observation);
            return state;
        }

        @Override
        public double[] mixture(PolicyState state) {
            return policy.mixture(state);
        }

        @Override
        public Map<String, Object> save(PolicyState state) {
            return policy.save(state);
        }

        @Override
        public PolicyState restore(Map<String, Object> saved) {
            return policy.restore(saved);
        }
    }

    private static List<Observation> heard(World world, Draw draw, double noiseNats, long seed) {
        Listener listener = new Listener();
        new BedRun(world).run(listener, new BedRun.Conditions(draw, noiseNats, seed));
        return listener.heard;
    }

    @ParameterizedTest
    @EnumSource(Draw.class)
    void batchesAreWholeAndFollowTheMixture(Draw draw) {
        double[] share_K = {.4, .3, .2, .1}, sum_K = new double[4];
        int t = 0;
        for (Observation one : heard(worlds().getFirst(), draw, 0, 3)) {
            t++;
            assertEquals(SEQUENCES, Arrays.stream(one.sequences_K()).sum());
            for (int k = 0; k < 4; k++) {
                sum_K[k] += one.sequences_K()[k];
                double expected = t * SEQUENCES * share_K[k];
                double allowed = draw == Draw.ERROR_FEEDBACK ? 1 : 6 * Math.sqrt(expected); // six deviations and more
                assertEquals(expected, sum_K[k], allowed, "step " + t + " domain " + k);
            }
        }
        assertEquals(STEPS, t);
    }

    /** The noise of a mean is that of one sequence over the root of their number, and it is the seed's. */
    @ParameterizedTest
    @EnumSource(Draw.class)
    void noiseIsOfTheSizeThatIsSaid(Draw draw) {
        World world = worlds().getFirst();
        List<Observation> noisy = heard(world, draw, 0.45, 7), again = heard(world, draw, 0.45, 7);
        List<Observation> other = heard(world, draw, 0.45, 8);
        double[] seen_K = new double[4];
        double squares = 0;
        int count = 0;
        for (int t = 0; t < noisy.size(); t++) {
            double[] exact_K = world.lossNats_K(seen_K, 0);
            assertArrayEquals(noisy.get(t).lossNats_K(), again.get(t).lossNats_K());
            for (int k = 0; k < 4; k++) {
                long drawn = noisy.get(t).sequences_K()[k];
                seen_K[k] += drawn;
                if (drawn == 0) continue;
                double z = (noisy.get(t).lossNats_K()[k] - exact_K[k]) * Math.sqrt(drawn) / 0.45;
                squares += z * z;
                count++;
            }
        }
        assertEquals(1, squares / count, 0.16); // five deviations of a chi square of 2000 degrees
        assertNotEquals(noisy.getLast().lossNats_K()[0], other.getLast().lossNats_K()[0]);
    }
}
