package dev.rheostat.ado;

import dev.rheostat.ado.PolicySettings.Key;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * Online data mixing: domains as the arms of a bandit whose reward is their loss. Albalak et al. 2023, arXiv:2312.02406.
 * From {@code startStep} on, with t the steps of the run so far, those before it included, e_t = min(1 / K, sqrt(ln K / (K t)))
 * and e' that of the update before, 1 / K in the first:
 *
 * <pre>
 * released    R_k = a R_k + (1 - a) exp(L_k)            domains of the batch alone
 *             w_k = (1 - K e_t) R_k / sum(R) + e_t
 * published   R_k = a R_k + (1 - a) L_k / pi_k          pi the mixture held before
 *             w_k = (1 - K e_t) exp(e' R_k) / sum_j exp(e' R_j) + e_t
 * pi = w / sum(w)
 * </pre>
 *
 * Released is the group update of alon-albalak/online-data-mixing, data_sampling_utils.py: proportional to a mean perplexity.
 * Published is the paper's Exp3, importance-weighted. Before, pi is the prior. A step costs O(K).
 */
final class OdmPolicy implements MixturePolicy {
    enum Mode {
        RELEASED,
        PUBLISHED;

        static Mode of(String key) {
            return valueOf(key.toUpperCase(Locale.ROOT));
        }
    }

    /**
     * @param step the last observed, -1 before the first
     * @param epsilon exploration of the last update
     * @param reward_K in released its logarithm, so that no loss overflows
     */
    private record State(long step, double epsilon, double[] reward_K, double[] mixture_K) implements PolicyState {}

    /** Logarithm of a reward of 0: finite, because JSON knows no infinity, and small beside any other. */
    private static final double LN_NOTHING = -1e300;

    private final Mode mode;
    private final double[] prior_K;
    private final double memory;
    private final long startStep;

    OdmPolicy(Mode mode, PolicySettings settings, double[] prior_K) {
        this.mode = mode;
        this.prior_K = prior_K;
        memory = settings.real("memory");
        startStep = settings.whole("startStep");
    }

    /** The published scripts warm up for 2,000 of 100,000 steps and weigh the past 0.9. */
    static PolicySettings settings(String mode, long totalSteps) {
        return PolicySettings.of(
                "odm/" + mode,
                List.of(
                        Key.real("memory", 0, 0.999999, 0.9),
                        Key.whole("startStep", 0, PolicySettings.STEPS, totalSteps / 50)));
    }

    @Override
    public String name() {
        return "odm";
    }

    @Override
    public int domains() {
        return prior_K.length;
    }

    @Override
    public PolicyState initial() {
        double[] nothing_K = new double[domains()];
        if (mode == Mode.RELEASED) Arrays.fill(nothing_K, LN_NOTHING);
        return new State(-1, 1.0 / domains(), nothing_K, prior_K);
    }

    /** @throws IllegalArgumentException if the observation is of another number of domains or of no sequence */
    @Override
    public PolicyState observe(PolicyState state, Observation observation) {
        State before = (State) state;
        observation.drawn(domains());
        if (observation.step() < startStep)
            return new State(observation.step(), before.epsilon, before.reward_K, before.mixture_K);
        int K = domains();
        double epsilon = Math.min(1.0 / K, Math.sqrt(Math.log(K) / (K * (observation.step() + 1.0))));
        double[] reward_K = before.reward_K.clone(), exponent_K = new double[K];
        for (int k = 0; k < K; k++) {
            if (observation.tells(k))
                reward_K[k] = reward(before, k, observation.lossNats_K()[k]);
            exponent_K[k] = mode == Mode.RELEASED ? reward_K[k] : before.epsilon * reward_K[k];
        }
        double[] share_K = softmax(exponent_K), weight_K = new double[K];
        for (int k = 0; k < K; k++) weight_K[k] = (1 - K * epsilon) * share_K[k] + epsilon;
        return new State(observation.step(), epsilon, reward_K, Simplex.normalise(weight_K));
    }

    private double reward(State before, int k, double lossNats) {
        double old = before.reward_K[k];
        return switch (mode) {
            case RELEASED -> lnSum(Math.log(memory) + old, Math.log1p(-memory) + lossNats);
            // A floor of the run may draw a domain whose own share is 0.
            case PUBLISHED ->
                before.mixture_K[k] == 0 ? old : memory * old + (1 - memory) * lossNats / before.mixture_K[k];
        };
    }

    /** ln(exp(a) + exp(b)). */
    private static double lnSum(double a, double b) {
        double most = Math.max(a, b);
        return most + Math.log(Math.exp(a - most) + Math.exp(b - most));
    }

    /** exp(x) over its sum. */
    private static double[] softmax(double[] x_K) {
        double most = Double.NEGATIVE_INFINITY, sum = 0;
        for (double x : x_K) most = Math.max(most, x);
        double[] share_K = new double[x_K.length];
        for (int k = 0; k < share_K.length; k++) sum += share_K[k] = Math.exp(x_K[k] - most);
        for (int k = 0; k < share_K.length; k++) share_K[k] /= sum;
        return share_K;
    }

    @Override
    public double[] mixture(PolicyState state) {
        return ((State) state).mixture_K.clone();
    }

    @Override
    public Map<String, Object> save(PolicyState state) {
        State now = (State) state;
        Map<String, Object> saved = new LinkedHashMap<>();
        saved.put("policy", name());
        saved.put("mode", mode.name());
        saved.put("step", now.step);
        saved.put("epsilon", now.epsilon);
        saved.put("reward", now.reward_K.clone());
        saved.put("mixture", now.mixture_K.clone());
        return saved;
    }

    @Override
    public PolicyState restore(Map<String, Object> values) {
        Saved saved = new Saved(values);
        saved.expect("policy", name());
        saved.expect("mode", mode.name());
        return new State(
                saved.number("step"),
                saved.real("epsilon"),
                saved.reals("reward", domains()),
                saved.reals("mixture", domains()));
    }
}
