package dev.rheostat.ado;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * The proxy run of DoReMi: draws every domain alike and weighs its losses instead, more where they are above those of a
 * reference model. What it is run for is the mean of its weights, the mixture of another run.
 *
 * <pre>
 * lambda_k = mean over k's tokens of max(loss - reference loss, 0)      absent: as before
 * a_k     <- a_k e^(rate lambda_k) / sum,   a <- (1 - uniformPart) a + uniformPart / K
 * </pre>
 *
 * Xie et al. 2023, arXiv:2305.10429, algorithm 1; sangmichaelxie/doremi, doremi/trainer.py. A domain that was never there
 * counts as the mean of those that were, so its weight neither gains nor loses by it; the code takes log V.
 */
public final class DoremiPolicy implements MixturePolicy {
    private static final String RATE = "rate", UNIFORM_PART = "uniformPart";

    /**
     * @param weight_K a, sums to 1
     * @param sum_K of a over the initial state and every step
     * @param steps observed
     * @param excessNats_K lambda; NaN for a domain that was never there
     */
    private record State(double[] weight_K, double[] sum_K, long steps, double[] excessNats_K) implements PolicyState {}

    private final double[] share_K;
    private final double rate, uniformPart;

    /** @param share_K what batches are drawn by, sums to 1; each above 0, since a loss is weighed against it */
    DoremiPolicy(PolicySettings settings, double[] share_K) {
        for (double share : share_K)
            if (!(share > 0))
                throw new IllegalArgumentException("policy doremi draws every domain, and a share is " + share);
        this.share_K = share_K.clone();
        rate = settings.real(RATE);
        uniformPart = settings.real(UNIFORM_PART);
    }

    /** Defaults: the scripts of the published code. Without a uniform part a weight could come to 0 and stay there. */
    static PolicySettings settings() {
        return PolicySettings.of(
                "doremi",
                List.of(
                        PolicySettings.Key.real(RATE, 0, 1e3, 1),
                        PolicySettings.Key.real(UNIFORM_PART, 1e-9, 1, 1e-3)));
    }

    @Override
    public String name() {
        return "doremi";
    }

    @Override
    public int domains() {
        return share_K.length;
    }

    @Override
    public Set<Need> needs() {
        return Set.of(Need.TRAIN_LOSS, Need.REFERENCE_LOSS);
    }

    /** Weights as the shares: every token counts the same. */
    @Override
    public PolicyState initial() {
        double[] never_K = new double[share_K.length];
        Arrays.fill(never_K, Double.NaN);
        return new State(share_K.clone(), share_K.clone(), 0, never_K);
    }

    @Override
    public PolicyState observe(PolicyState state, Observation observation) {
        State s = (State) state;
        int K = share_K.length;
        observation.drawn(K);
        if (observation.excessNats_K().length != K)
            throw new IllegalArgumentException("policy doremi needs reference losses, and step " + observation.step()
                    + " tells of " + observation.excessNats_K().length + " of " + K);
        double[] excess_K = s.excessNats_K.clone();
        for (int k = 0; k < K; k++)
            if (observation.tells(k) && Double.isFinite(observation.excessNats_K()[k]))
                excess_K[k] = observation.excessNats_K()[k];
        double[] weight_K = reweighted(s.weight_K, excess_K), sum_K = s.sum_K.clone();
        for (int k = 0; k < K; k++) sum_K[k] += weight_K[k];
        return new State(weight_K, sum_K, s.steps + 1, excess_K);
    }

    private double[] reweighted(double[] weight_K, double[] excess_K) {
        int K = weight_K.length;
        double otherwise =
                Arrays.stream(excess_K).filter(Double::isFinite).average().orElse(0);
        double[] log_K = new double[K];
        double most = Double.NEGATIVE_INFINITY;
        for (int k = 0; k < K; k++) {
            double excess = Double.isNaN(excess_K[k]) ? otherwise : excess_K[k];
            log_K[k] = Math.log(weight_K[k]) + rate * excess;
            most = Math.max(most, log_K[k]);
        }
        double[] next_K = new double[K];
        for (int k = 0; k < K; k++) next_K[k] = Math.exp(log_K[k] - most);
        double sum = Simplex.sum(next_K);
        for (int k = 0; k < K; k++) next_K[k] = (1 - uniformPart) * (next_K[k] / sum) + uniformPart / K;
        return next_K;
    }

    @Override
    public double[] mixture(PolicyState state) {
        return share_K.clone();
    }

    @Override
    public double[] lossWeight_K(PolicyState state) {
        return ((State) state).weight_K.clone();
    }

    /** What the run is for: the mean of the weights over its steps, the initial ones included; sums to 1. */
    public double[] average_K(PolicyState state) {
        return Simplex.normalise(((State) state).sum_K);
    }

    /** {@code "weight"} and {@code "average"} of it, {@code "excessNats"}: double[] by domain. */
    @Override
    public Map<String, Object> diagnostics(PolicyState state) {
        State s = (State) state;
        Map<String, Object> shown = new LinkedHashMap<>();
        shown.put("weight", s.weight_K.clone());
        shown.put("average", average_K(state));
        shown.put("excessNats", s.excessNats_K.clone());
        return shown;
    }

    @Override
    public Map<String, Object> save(PolicyState state) {
        State s = (State) state;
        Map<String, Object> saved = new LinkedHashMap<>();
        saved.put("policy", name());
        saved.put("weight", s.weight_K.clone());
        saved.put("sum", s.sum_K.clone());
        saved.put("steps", s.steps);
        saved.put("excessNats", s.excessNats_K.clone());
        return saved;
    }

    @Override
    public PolicyState restore(Map<String, Object> values) {
        Saved saved = new Saved(values);
        saved.expect("policy", name());
        int K = share_K.length;
        return new State(
                saved.reals("weight", K), saved.reals("sum", K), saved.number("steps"), saved.reals("excessNats", K));
    }
}
