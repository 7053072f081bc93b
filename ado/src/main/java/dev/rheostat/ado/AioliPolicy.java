package dev.rheostat.ado;

import dev.rheostat.ado.PolicySettings.Key;
import dev.rheostat.ado.fit.LinearSystem;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Measures in the run itself how much each domain's data lowers each domain's loss. Chen et al. 2024, arXiv:2411.05735;
 * HazyResearch/aioli, aioli_trainer.py. A round of {@code every} steps begins with probes: {@code probeSteps} batches that give one
 * domain the share {@code focus} and the others the rest, with a validation before and after. Once every domain had {@code sweeps}
 * probes, with W_jk the shares that were drawn in the probes of domain j and B_ij the fall of domain i's loss in them:
 *
 * <pre>
 * A = B W^-T;  A = A - min(A, 0);  A = A / sum(A)          effect of a share of domain j on loss i
 * A = (1 - memory) A + memory A_before                     from the second time on
 * pi_j in proportion to p_j * exp(eta * sum_i w_i A_ij),   w_i = target_i / prior_i
 * </pre>
 *
 * p is the prior, or the pi before where memory is 0: as published, the mean of effects takes the place of steps that add up. pi starts at the prior and is held outside the probes. Probes fill at most half of a round; with more domains than fit they go on in
 * the next, so a run that is too short for one probe of each domain keeps the prior. Memory O(K^2), a step O(K), a
 * full set of probes O(K^3).
 */
final class AioliPolicy implements MixturePolicy {
    /**
     * @param step the last observed, -1 before the first
     * @param share_K pi
     * @param effect_KK A, row by row; empty before the first
     * @param fall_KK B of this set of probes so far, row by row
     * @param drawn_KK W of this set of probes so far, in sequences, row by row
     * @param before_K validation losses at the start of the probe under way; empty outside
     * @param window_K sequences drawn in the probe under way
     * @param probes done of this set
     */
    private record State(
            long step,
            double[] share_K,
            double[] effect_KK,
            double[] fall_KK,
            double[] drawn_KK,
            double[] before_K,
            double[] window_K,
            long probes)
            implements PolicyState {}

    private static final double[] NONE = {};

    private final double[] prior_K, weight_K;
    private final int[] order_K; // domains as they are probed: by name, whatever their place
    private final long every, probeSteps, probesARound, probesASet;
    private final double focus, eta, memory;
    private final int lag;

    AioliPolicy(PolicySettings settings, PolicyInputs inputs) {
        prior_K = inputs.prior_K();
        weight_K = inputs.targetOverPrior_K();
        lag = inputs.lag();
        List<Integer> order = new ArrayList<>();
        for (int k = 0; k < domains(); k++) order.add(k);
        order.sort(Comparator.comparing(k -> inputs.names_K().get(k)));
        order_K = order.stream().mapToInt(Integer::intValue).toArray();
        every = settings.whole("every");
        probeSteps = settings.whole("probeSteps");
        focus = settings.real("focus");
        eta = settings.real("eta");
        memory = settings.real("memory");
        probesASet = domains() * settings.whole("sweeps");
        probesARound = Math.min(probesASet, every / (2 * probeSteps));
        if (probesARound == 0)
            throw new IllegalArgumentException(
                    "policy aioli: every " + every + " steps leave no room for a probe of probeSteps " + probeSteps
                            + ", at least " + 2 * probeSteps + " do");
    }

    /** Published: rounds of 200 to 250 steps, probes of 4 to 10, 2 to 4 sweeps, focus 0.625 to 0.75, eta 0.1 to 1, memory 0.1. */
    static PolicySettings settings(long totalSteps) {
        return PolicySettings.of(
                "aioli",
                List.of(
                        Key.whole("every", 2, PolicySettings.STEPS, Math.max(totalSteps / 10, 20)),
                        Key.whole("probeSteps", 1, PolicySettings.STEPS, 4),
                        Key.whole("sweeps", 1, 100, 1),
                        Key.real("focus", 0.01, 0.999, 0.75),
                        Key.real("eta", 0, 1e3, 0.5),
                        Key.real("memory", 0, 0.999, 0.1)));
    }

    @Override
    public String name() {
        return "aioli";
    }

    @Override
    public int domains() {
        return prior_K.length;
    }

    @Override
    public Set<Need> needs() {
        return Set.of(Need.VALIDATION_LOSS, Need.PROBE_WINDOWS);
    }

    /** Before the first probe of a round, and after each. */
    @Override
    public boolean validationDue(long stepsDone) {
        long inRound = stepsDone % every;
        return inRound % probeSteps == 0 && inRound / probeSteps <= probesARound;
    }

    /** Which probe of its round the batch of a step belongs to; -1 outside. */
    private long probe(long step) {
        long probe = step % every / probeSteps;
        return probe < probesARound ? probe : -1;
    }

    /** The domain of the probe that the batch of a step belongs to; -1 outside. */
    private int probed(long step) {
        long probe = probe(step);
        if (probe < 0) return -1;
        long all = step / every * probesARound + probe;
        return order_K[(int) (all % domains())];
    }

    @Override
    public PolicyState initial() {
        int K = domains();
        return new State(-1, prior_K, NONE, new double[K * K], new double[K * K], NONE, new double[K], 0);
    }

    /** @throws IllegalArgumentException if the observation is of another number of domains or of no sequence */
    @Override
    public PolicyState observe(PolicyState state, Observation observation) {
        observation.drawn(domains());
        State now = (State) state;
        double[] window_K = now.window_K;
        if (probe(observation.step()) >= 0) {
            window_K = window_K.clone();
            for (int k = 0; k < window_K.length; k++) window_K[k] += observation.sequences_K()[k];
        }
        return new State(
                observation.step(),
                now.share_K,
                now.effect_KK,
                now.fall_KK,
                now.drawn_KK,
                now.before_K,
                window_K,
                now.probes);
    }

    @Override
    public PolicyState validated(PolicyState state, long stepsDone, double[] lossNats_K) {
        State now = (State) state;
        int K = domains();
        double[] fall_KK = now.fall_KK, drawn_KK = now.drawn_KK;
        long probes = now.probes;
        // The probe that ends here, if its start was seen: a run that took this policy up in its middle has missed it.
        if (now.before_K.length > 0 && stepsDone > 0 && probe(stepsDone - 1) >= 0) {
            int j = probed(stepsDone - 1);
            fall_KK = fall_KK.clone();
            drawn_KK = drawn_KK.clone();
            for (int k = 0; k < K; k++) {
                fall_KK[k * K + j] += now.before_K[k] - lossNats_K[k];
                drawn_KK[j * K + k] += now.window_K[k];
            }
            probes++;
        }
        boolean another = probe(stepsDone) >= 0;
        State next = new State(
                now.step,
                now.share_K,
                now.effect_KK,
                fall_KK,
                drawn_KK,
                another ? lossNats_K.clone() : NONE,
                new double[K],
                probes);
        return probes >= probesASet ? learned(next) : next;
    }

    /** The mixture after a full set of probes; the next set begins. */
    private State learned(State now) {
        int K = domains();
        double[] effect_KK = effect(now), share_K = now.share_K;
        if (effect_KK.length > 0) {
            double[] base_K = memory == 0 ? now.share_K : prior_K, exponent_K = new double[K];
            for (int j = 0; j < K; j++)
                for (int i = 0; i < K; i++) exponent_K[j] += eta * weight_K[i] * effect_KK[i * K + j];
            share_K = Simplex.tilted(base_K, exponent_K);
        }
        double[] before_K = now.before_K;
        return new State(
                now.step, share_K, effect_KK, new double[K * K], new double[K * K], before_K, new double[K], 0);
    }

    /** A of the probes done; as it was before where the probes tell nothing: all alike, or no loss that fell. */
    private double[] effect(State now) {
        int K = domains();
        double[][] drawn = new double[K][K], fall = new double[K][K];
        for (int j = 0; j < K; j++) {
            double sum = 0;
            for (int k = 0; k < K; k++) sum += now.drawn_KK[j * K + k];
            if (sum == 0) return now.effect_KK;
            for (int k = 0; k < K; k++) drawn[j][k] = now.drawn_KK[j * K + k] / sum;
            for (int i = 0; i < K; i++) fall[i][j] = now.fall_KK[i * K + j];
        }
        LinearSystem shares = LinearSystem.of(drawn);
        if (shares.isSingular()) return now.effect_KK;
        double[] effect_KK = new double[K * K];
        double least = 0, sum = 0;
        for (int i = 0; i < K; i++) {
            double[] row = shares.solve(fall[i]); // sum_k W_jk A_ik = B_ij for every probe j
            for (int k = 0; k < K; k++) least = Math.min(least, effect_KK[i * K + k] = row[k]);
        }
        for (int i = 0; i < K * K; i++) sum += effect_KK[i] -= least;
        if (!(sum > 0) || !Double.isFinite(sum)) return now.effect_KK;
        for (int i = 0; i < K * K; i++) {
            effect_KK[i] /= sum;
            if (now.effect_KK.length > 0) effect_KK[i] = (1 - memory) * effect_KK[i] + memory * now.effect_KK[i];
        }
        return effect_KK;
    }

    @Override
    public double[] mixture(PolicyState state) {
        State now = (State) state;
        int j = probed(now.step < 0 ? 0 : now.step + lag), K = domains();
        if (j < 0 || K == 1) return now.share_K.clone();
        double[] share_K = new double[K];
        for (int k = 0; k < K; k++) share_K[k] = k == j ? focus : (1 - focus) / (K - 1);
        return share_K;
    }

    @Override
    public Map<String, Object> save(PolicyState state) {
        State now = (State) state;
        Map<String, Object> saved = new LinkedHashMap<>();
        saved.put("policy", name());
        saved.put("step", now.step);
        saved.put("share", now.share_K.clone());
        saved.put("effect", now.effect_KK.clone());
        saved.put("fall", now.fall_KK.clone());
        saved.put("drawn", now.drawn_KK.clone());
        saved.put("before", now.before_K.clone());
        saved.put("window", now.window_K.clone());
        saved.put("probes", now.probes);
        return saved;
    }

    @Override
    public PolicyState restore(Map<String, Object> values) {
        Saved saved = new Saved(values);
        saved.expect("policy", name());
        int K = domains();
        return new State(
                saved.number("step"),
                saved.reals("share", K),
                saved.reals("effect"),
                saved.reals("fall", K * K),
                saved.reals("drawn", K * K),
                saved.reals("before"),
                saved.reals("window", K),
                saved.number("probes"));
    }
}
