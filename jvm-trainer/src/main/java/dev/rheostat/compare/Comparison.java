package dev.rheostat.compare;

import dev.rheostat.report.Curves;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.ToDoubleFunction;

/**
 * The runs of a plan that are done, as differences to the baseline's run of the same seed: a seed sets weights, order and draws
 * alike for all policies, and what it does to the loss falls out of the difference.
 *
 * @param baseline a policy of {@code runs}
 * @param target_K weight of each domain; sums to 1
 * @param runs by policy and seed, policies in the plan's order; a policy has only seeds that the baseline has, and at least one
 * @param notes sentences that a reader of the result should see
 */
record Comparison(String baseline, double[] target_K, Map<String, Map<Long, RunResult>> runs, List<String> notes) {

    /** How far the paired differences of a policy's tokens to a loss go. @param unreached seeds that never came to it */
    record Tokens(Interval share, int unreached) {}

    List<String> policies() {
        return List.copyOf(runs.keySet());
    }

    List<String> others() {
        return policies().stream().filter(policy -> !policy.equals(baseline)).toList();
    }

    List<String> domains() {
        return someBaseline().domains();
    }

    private RunResult someBaseline() {
        return runs.get(baseline).values().iterator().next();
    }

    int seeds(String policy) {
        return runs.get(policy).size();
    }

    /** What the domains weigh in a measure. */
    double[] weight_K(boolean byTarget) {
        if (byTarget) return target_K;
        double[] even_K = new double[target_K.length];
        Arrays.fill(even_K, 1.0 / even_K.length);
        return even_K;
    }

    double value(Measure measure, RunResult run) {
        return Curves.mean(measure.nats_K(run), weight_K(measure.byTarget()));
    }

    /** Mean over a policy's seeds, nats. */
    double mean(String policy, Measure measure) {
        return over(policy, run -> value(measure, run)).mean();
    }

    /** Policy minus baseline of the same seed, nats, one a seed. */
    double[] differences(String policy, Measure measure) {
        return paired(policy, run -> value(measure, run));
    }

    Interval difference(String policy, Measure measure) {
        return Interval.of(differences(policy, measure));
    }

    /** The same of one domain. */
    Interval difference(String policy, Measure measure, int k) {
        return Interval.of(paired(policy, run -> measure.nats_K(run)[k]));
    }

    double mean(String policy, Measure measure, int k) {
        return over(policy, run -> measure.nats_K(run)[k]).mean();
    }

    Interval mixtureCost(String policy) {
        return over(policy, RunResult::mixtureCost);
    }

    /** Share of domain k in a policy's batches, over steps and seeds. */
    Interval meanShare(String policy, int k) {
        return over(policy, run -> run.meanShare_K()[k]);
    }

    /**
     * Tokens until a policy's loss is the baseline's final one of the same seed, as a share of the baseline's tokens. Over the
     * seeds that come to it.
     */
    Optional<Tokens> tokensToBaseline(String policy, boolean byTarget) {
        double[] weight_K = weight_K(byTarget);
        List<Double> shares = new ArrayList<>();
        int unreached = 0;
        for (Map.Entry<Long, RunResult> run : runs.get(policy).entrySet()) {
            RunResult other = runs.get(baseline).get(run.getKey());
            double tokens = run.getValue().tokensTo(Curves.mean(other.finalNats_K(), weight_K), weight_K);
            if (Double.isNaN(tokens)) unreached++;
            else shares.add(tokens / other.tokens());
        }
        if (shares.isEmpty()) return Optional.empty();
        return Optional.of(new Tokens(
                Interval.of(shares.stream().mapToDouble(share -> share).toArray()), unreached));
    }

    /** The validation curve by target, policy minus baseline, of each seed, nats. */
    List<double[]> ahead(String policy) {
        List<double[]> ahead = new ArrayList<>();
        runs.get(policy).forEach((seed, run) -> {
            double[] ours_V = run.curve_V(target_K),
                    theirs_V = runs.get(baseline).get(seed).curve_V(target_K);
            for (int v = 0; v < ours_V.length; v++) ours_V[v] -= theirs_V[v];
            ahead.add(ours_V);
        });
        return ahead;
    }

    /**
     * Names the policy whose mean is lowest if its interval overlaps with no other's, the baseline's being the point 0, and
     * otherwise says that there is none, and why.
     */
    String verdict(Measure measure) {
        if (runs.size() < 2) return "no winner: there is one policy";
        Map<String, Interval> intervals = new LinkedHashMap<>();
        for (String policy : policies())
            intervals.put(
                    policy, policy.equals(baseline) ? new Interval(0, 0, seeds(policy)) : difference(policy, measure));
        List<String> single =
                others().stream().filter(p -> !intervals.get(p).exists()).toList();
        if (single.size() == others().size()) return "no winner: one seed makes no interval";
        if (!single.isEmpty())
            return "no winner: one seed makes no interval, and these have no more: " + String.join(", ", single);
        String best = policies().stream()
                .min((a, b) ->
                        Double.compare(intervals.get(a).mean(), intervals.get(b).mean()))
                .orElseThrow();
        List<String> alike = policies().stream()
                .filter(policy -> !policy.equals(best) && intervals.get(best).overlaps(intervals.get(policy)))
                .toList();
        return alike.isEmpty()
                ? "winner: " + best
                : "no winner: the interval of " + best + ", whose mean is lowest, overlaps "
                        + (alike.size() == 1 ? "that of " : "those of ") + String.join(", ", alike);
    }

    private Interval over(String policy, ToDoubleFunction<RunResult> value) {
        return Interval.of(runs.get(policy).values().stream().mapToDouble(value).toArray());
    }

    private double[] paired(String policy, ToDoubleFunction<RunResult> value) {
        return runs.get(policy).entrySet().stream()
                .mapToDouble(run -> value.applyAsDouble(run.getValue())
                        - value.applyAsDouble(runs.get(baseline).get(run.getKey())))
                .toArray();
    }
}
