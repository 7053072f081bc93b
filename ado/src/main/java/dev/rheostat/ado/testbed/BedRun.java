package dev.rheostat.ado.testbed;

import dev.rheostat.ado.MixturePolicy;
import dev.rheostat.ado.Need;
import dev.rheostat.ado.Observation;
import dev.rheostat.ado.PolicyDriver;
import java.util.EnumSet;
import java.util.Set;
import java.util.SplittableRandom;

/**
 * One run of one policy in one world: draws whole sequences, tells the policy each step's losses before the update with
 * Gaussian noise of noiseNats / sqrt(sequences) a domain, and the exact losses where it asks for a validation.
 */
public final class BedRun {
    /** Tokens a sequence that observations tell of; no policy's share depends on it, all sequences being equally long. */
    private static final long TOKENS = 1024;

    /**
     * @param regretNats J at the end less the best J
     * @param share_K what was drawn, as a part of all
     */
    public record Outcome(double regretNats, double[] share_K) {}

    /** @param noiseNats standard deviation of one sequence's loss; 0.45 in the tables */
    public record Conditions(Draw draw, double noiseNats, long seed) {}

    private final World world;
    private final Optimum best;
    private final double[] area;

    public BedRun(World world) {
        this.world = world;
        this.best = Optimum.of(world);
        this.area = world.area();
    }

    public World world() {
        return world;
    }

    public Optimum best() {
        return best;
    }

    /** What a policy can be told here. */
    public static Set<Need> provided() {
        return EnumSet.of(Need.TRAIN_LOSS, Need.VALIDATION_LOSS, Need.PROBE_WINDOWS);
    }

    /** @throws IllegalArgumentException if the policy needs what a bed does not have */
    public Outcome run(MixturePolicy policy, Conditions conditions) {
        if (!provided().containsAll(policy.needs())) {
            Set<Need> missing = EnumSet.copyOf(policy.needs());
            missing.removeAll(provided());
            throw new IllegalArgumentException("needs " + missing);
        }
        int K = world.domains();
        SplittableRandom random = new SplittableRandom(conditions.seed);
        double[] owed_K = new double[K], seen_K = new double[K];
        long[] drawn_K = new long[K];
        try (PolicyDriver driver = new PolicyDriver(policy, policy.refitDelay(), null)) {
            driver.validated(0, world.lossNats_K(seen_K, area[0]));
            for (int t = 0; t < world.steps(); t++) {
                double[] mixture_K = driver.mixture();
                long[] batch_K = conditions.draw == Draw.ERROR_FEEDBACK
                        ? owed(mixture_K, owed_K, world.sequences())
                        : multinomial(mixture_K, world.sequences(), random);
                double rate = world.rate().at(t, world.steps());
                driver.observe(observation(t, rate, batch_K, seen_K, conditions.noiseNats, random));
                for (int k = 0; k < K; k++) {
                    seen_K[k] += rate * batch_K[k];
                    drawn_K[k] += batch_K[k];
                }
                if (policy.validationDue(t + 1)) driver.validated(t + 1, world.lossNats_K(seen_K, area[t + 1]));
            }
        }
        double[] share_K = new double[K];
        for (int k = 0; k < K; k++) share_K[k] = (double) drawn_K[k] / (world.sequences() * world.steps());
        return new Outcome(world.objective(seen_K) - best.objectiveNats(), share_K);
    }

    private Observation observation(
            int t, double rate, long[] batch_K, double[] seen_K, double noiseNats, SplittableRandom random) {
        double[] loss_K = world.lossNats_K(seen_K, area[t]);
        long[] tokens_K = new long[batch_K.length];
        for (int k = 0; k < loss_K.length; k++) {
            tokens_K[k] = TOKENS * batch_K[k];
            double noise = noiseNats == 0 ? 0 : noiseNats * random.nextGaussian(); // one draw a domain, present or not
            loss_K[k] = batch_K[k] == 0 ? Double.NaN : loss_K[k] + noise / Math.sqrt(batch_K[k]);
        }
        return new Observation(t, rate, batch_K, tokens_K, loss_K);
    }

    /** Whole parts of what is owed, then one sequence each to those that are owed most; the first of equals. */
    private static long[] owed(double[] mixture_K, double[] owed_K, int sequences) {
        int K = mixture_K.length;
        long[] batch_K = new long[K];
        long left = sequences;
        for (int k = 0; k < K; k++) {
            owed_K[k] += mixture_K[k] * sequences;
            batch_K[k] = Math.clamp((long) Math.floor(owed_K[k]), 0, left);
            left -= batch_K[k];
            owed_K[k] -= batch_K[k];
        }
        for (; left > 0; left--) {
            int most = 0;
            for (int k = 1; k < K; k++) if (owed_K[k] > owed_K[most]) most = k;
            batch_K[most]++;
            owed_K[most]--;
        }
        return batch_K;
    }

    private static long[] multinomial(double[] mixture_K, int sequences, SplittableRandom random) {
        long[] batch_K = new long[mixture_K.length];
        for (int i = 0; i < sequences; i++) {
            double u = random.nextDouble();
            int k = 0;
            for (; k < mixture_K.length - 1; k++) if ((u -= mixture_K[k]) < 0) break;
            batch_K[k]++;
        }
        return batch_K;
    }
}
