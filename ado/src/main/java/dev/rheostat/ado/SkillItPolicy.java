package dev.rheostat.ado;

import dev.rheostat.ado.PolicySettings.Key;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * More of the domains that help what is learned least, by a graph of which helps which. Chen et al. 2023, arXiv:2307.14430;
 * HazyResearch/skill-it. After a validation every so many steps, the last {@code window} of them counting:
 *
 * <pre>
 * pi_i in proportion to prior_i * exp(eta * sum_validations sum_j A_ij w_j L_j),   A_ii = 1,  w_j = target_j / prior_j
 * </pre>
 *
 * Before the first validation L is 1, as published. With the prior as target all w are 1. A validation costs O(edges), a step
 * nothing.
 */
final class SkillItPolicy implements MixturePolicy {
    /** @param losses of the last validations, one array each, oldest first */
    private record State(List<double[]> losses) implements PolicyState {}

    private record Edge(int from, int to, double strength) {}

    private final double[] prior_K, weight_K;
    private final List<Edge> edges = new ArrayList<>();
    private final double eta;
    private final long every;
    private final int window;

    /** @throws IllegalArgumentException without a graph, or if it names no such domain */
    SkillItPolicy(PolicySettings settings, PolicyInputs inputs) {
        if (inputs.graph().isEmpty())
            throw new IllegalArgumentException("policy skill-it needs a graph: domain to the domains that it helps");
        prior_K = inputs.prior_K();
        weight_K = inputs.targetOverPrior_K();
        inputs.graph().forEach((name, to) -> {
            int from = inputs.index("graph", name);
            double[] strength_K = inputs.byDomain("graph", to);
            for (int k = 0; k < strength_K.length; k++)
                if (k != from && strength_K[k] != 0) edges.add(new Edge(from, k, strength_K[k]));
        });
        eta = settings.real("eta");
        every = settings.whole("every");
        window = (int) settings.whole("window");
    }

    /** Published: eta 0.5 over 6 rounds, and 0.2 every 400 steps of a longer run; 3 rounds count. */
    static PolicySettings settings(long totalSteps) {
        return PolicySettings.of(
                "skill-it",
                List.of(
                        Key.real("eta", 0, 1e3, 0.2),
                        Key.whole("every", 1, PolicySettings.STEPS, Math.max(totalSteps / 12, 1)),
                        Key.whole("window", 1, 1000, 3)));
    }

    @Override
    public String name() {
        return "skill-it";
    }

    @Override
    public int domains() {
        return prior_K.length;
    }

    @Override
    public Set<Need> needs() {
        return Set.of(Need.VALIDATION_LOSS);
    }

    @Override
    public boolean validationDue(long stepsDone) {
        return stepsDone > 0 && stepsDone % every == 0;
    }

    @Override
    public PolicyState initial() {
        return new State(List.of());
    }

    @Override
    public PolicyState observe(PolicyState state, Observation observation) {
        return state;
    }

    @Override
    public PolicyState validated(PolicyState state, long stepsDone, double[] lossNats_K) {
        List<double[]> losses = new ArrayList<>(((State) state).losses);
        losses.add(lossNats_K.clone());
        return new State(List.copyOf(losses.subList(Math.max(0, losses.size() - window), losses.size())));
    }

    @Override
    public double[] mixture(PolicyState state) {
        int K = domains();
        double[] loss_K = new double[K], exponent_K = new double[K];
        List<double[]> losses = ((State) state).losses;
        for (int k = 0; k < K; k++) {
            double sum = losses.isEmpty() ? 1 : 0;
            for (double[] one_K : losses) sum += one_K[k];
            loss_K[k] = weight_K[k] * sum;
        }
        for (int k = 0; k < K; k++) exponent_K[k] = eta * loss_K[k];
        for (Edge edge : edges) exponent_K[edge.from] += eta * edge.strength * loss_K[edge.to];
        return Simplex.tilted(prior_K, exponent_K);
    }

    @Override
    public Map<String, Object> save(PolicyState state) {
        Map<String, Object> saved = new LinkedHashMap<>();
        saved.put("policy", name());
        saved.put("losses", List.copyOf(((State) state).losses));
        return saved;
    }

    @Override
    public PolicyState restore(Map<String, Object> values) {
        Saved saved = new Saved(values);
        saved.expect("policy", name());
        List<double[]> losses = saved.realRows("losses");
        for (double[] loss_K : losses)
            if (loss_K.length != domains())
                throw new IllegalArgumentException(
                        "saved state has " + loss_K.length + " 'losses' where " + domains() + " belong");
        return new State(losses);
    }
}
