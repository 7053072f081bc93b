package dev.rheostat.ado;

import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.TreeMap;

/**
 * What a run knows when it makes its policy; K domains in one order. Arrays are not copied and must not be written after.
 *
 * @param prior_K what the data is: the natural share of each domain; sums to 1
 * @param target_K what the user cares about: the weight of each domain's loss; sums to 1
 * @param windows_K sequences of training text that each domain has, one epoch; empty where they are not known
 * @param sequences a step
 * @param totalSteps of the whole run
 * @param lag steps from an observation to the batch that is drawn from the mixture held after it, 1 or more: the ring's depth
 * @param shares of a static mixture, by domain; of doremi's proxy where they are not to be even
 * @param stages of a schedule: first step to shares by domain
 * @param graph of skill-it: domain that is trained on to domain that it helps to strength
 */
public record PolicyInputs(
        List<String> names_K,
        double[] prior_K,
        double[] target_K,
        long[] windows_K,
        int sequences,
        long totalSteps,
        int lag,
        Map<String, Double> shares,
        NavigableMap<Long, Map<String, Double>> stages,
        Map<String, Map<String, Double>> graph) {
    private static final long[] UNKNOWN = {};

    /** @throws IllegalArgumentException if lengths disagree, or for a prior or target that is negative or all 0 */
    public PolicyInputs {
        int K = names_K.size();
        if (prior_K.length != K || target_K.length != K || windows_K.length != K && windows_K.length != 0)
            throw new IllegalArgumentException(K + " domains, " + prior_K.length + " prior shares, " + target_K.length
                    + " target weights, " + windows_K.length + " counts of windows");
        prior_K = normalised("prior", prior_K);
        target_K = normalised("target", target_K);
    }

    private static double[] normalised(String what, double[] weight_K) {
        try {
            return Simplex.normalise(weight_K);
        } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException(what + ": " + e.getMessage(), e);
        }
    }

    /** A run of which only the domains, the length and the batch are known; the target is the prior. */
    public static PolicyInputs of(List<String> names_K, double[] prior_K, int sequences, long totalSteps) {
        return new PolicyInputs(
                names_K, prior_K, prior_K, UNKNOWN, sequences, totalSteps, 1, Map.of(), new TreeMap<>(), Map.of());
    }

    public PolicyInputs withTarget(double[] other_K) {
        return new PolicyInputs(
                names_K, prior_K, other_K, windows_K, sequences, totalSteps, lag, shares, stages, graph);
    }

    public PolicyInputs withWindows(long[] other_K) {
        return new PolicyInputs(names_K, prior_K, target_K, other_K, sequences, totalSteps, lag, shares, stages, graph);
    }

    public PolicyInputs withLag(int other) {
        return new PolicyInputs(
                names_K, prior_K, target_K, windows_K, sequences, totalSteps, other, shares, stages, graph);
    }

    public PolicyInputs withShares(Map<String, Double> other) {
        return new PolicyInputs(
                names_K, prior_K, target_K, windows_K, sequences, totalSteps, lag, other, stages, graph);
    }

    public PolicyInputs withStages(NavigableMap<Long, Map<String, Double>> other) {
        return new PolicyInputs(
                names_K, prior_K, target_K, windows_K, sequences, totalSteps, lag, shares, other, graph);
    }

    public PolicyInputs withGraph(Map<String, Map<String, Double>> other) {
        return new PolicyInputs(
                names_K, prior_K, target_K, windows_K, sequences, totalSteps, lag, shares, stages, other);
    }

    /** K. */
    public int domains() {
        return names_K.size();
    }

    /** How much more each domain's loss counts than its share of the data; all 1 where the target is the prior. */
    double[] targetOverPrior_K() {
        double[] ratio_K = new double[domains()];
        for (int k = 0; k < ratio_K.length; k++) ratio_K[k] = target_K[k] == 0 ? 0 : target_K[k] / prior_K[k];
        return ratio_K;
    }

    /** The place of a domain. @throws IllegalArgumentException for no such domain, naming the nearest */
    int index(String key, String name) {
        int k = names_K.indexOf(name);
        if (k < 0) throw Names.unknown("domain in " + key, name, names_K);
        return k;
    }

    /** Weights by name as an array; a domain that is not named has 0. @throws IllegalArgumentException for no such domain */
    double[] byDomain(String key, Map<String, Double> weights) {
        double[] weight_K = new double[domains()];
        weights.forEach((name, weight) -> weight_K[index(key, name)] = weight);
        return weight_K;
    }
}
