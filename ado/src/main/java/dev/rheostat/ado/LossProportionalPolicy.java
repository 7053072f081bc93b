package dev.rheostat.ado;

import dev.rheostat.ado.PolicySettings.Key;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * More of what is learned least: shares in proportion to target * exp(L / temperature), L a moving mean of the domain's
 * training loss. The softmax over channel losses of modelscope/ms-swift PR 9142 where the target is uniform.
 *
 * <pre>
 * L_k = (1 - rate) L_k + rate * loss_k      the first loss as it is; an absent domain keeps its mean
 * pi  = softmax_k(ln target_k + L_k / temperature)
 * </pre>
 *
 * Before {@code startStep}, and until every domain has a loss, pi is the prior. A step costs O(K).
 */
final class LossProportionalPolicy implements MixturePolicy {
    /** @param step the last observed. @param loss_K moving means, -1 before a domain's first loss */
    private record State(long step, double[] loss_K) implements PolicyState {}

    private static final double NEVER = -1; // no mean of losses is negative

    private final double[] prior_K, target_K;
    private final double rate, temperature;
    private final long startStep;

    LossProportionalPolicy(PolicySettings settings, PolicyInputs inputs) {
        prior_K = inputs.prior_K();
        target_K = inputs.target_K();
        rate = settings.real("rate");
        temperature = settings.real("temperature");
        startStep = settings.whole("startStep");
    }

    static PolicySettings settings(long totalSteps) {
        return PolicySettings.of(
                "loss-proportional",
                List.of(
                        Key.real("temperature", 1e-3, 1e9, 1),
                        Key.real("rate", 1e-6, 1, 0.1),
                        Key.whole("startStep", 0, PolicySettings.STEPS, totalSteps / 50)));
    }

    @Override
    public String name() {
        return "loss-proportional";
    }

    @Override
    public int domains() {
        return prior_K.length;
    }

    @Override
    public PolicyState initial() {
        double[] never_K = new double[domains()];
        Arrays.fill(never_K, NEVER);
        return new State(-1, never_K);
    }

    /** @throws IllegalArgumentException if the observation is of another number of domains or of no sequence */
    @Override
    public PolicyState observe(PolicyState state, Observation observation) {
        observation.drawn(domains());
        double[] loss_K = ((State) state).loss_K.clone();
        for (int k = 0; k < loss_K.length; k++) {
            if (!observation.tells(k)) continue;
            double loss = observation.lossNats_K()[k];
            loss_K[k] = loss_K[k] == NEVER ? loss : (1 - rate) * loss_K[k] + rate * loss;
        }
        return new State(observation.step(), loss_K);
    }

    @Override
    public double[] mixture(PolicyState state) {
        State now = (State) state;
        double[] exponent_K = new double[domains()];
        for (int k = 0; k < exponent_K.length; k++) {
            if (now.loss_K[k] == NEVER || now.step < startStep) return prior_K.clone();
            exponent_K[k] = now.loss_K[k] / temperature;
        }
        return Simplex.tilted(target_K, exponent_K);
    }

    @Override
    public Map<String, Object> save(PolicyState state) {
        State now = (State) state;
        Map<String, Object> saved = new LinkedHashMap<>();
        saved.put("policy", name());
        saved.put("step", now.step);
        saved.put("loss", now.loss_K.clone());
        return saved;
    }

    @Override
    public PolicyState restore(Map<String, Object> values) {
        Saved saved = new Saved(values);
        saved.expect("policy", name());
        return new State(saved.number("step"), saved.reals("loss", domains()));
    }
}
