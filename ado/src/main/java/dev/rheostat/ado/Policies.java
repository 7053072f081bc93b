package dev.rheostat.ado;

import java.util.Arrays;
import java.util.List;
import java.util.Map;

/** Mixture policies by the name that a run file gives them. */
public final class Policies {
    public static final List<String> NAMES = List.of("ado", "natural", "uniform", "static");

    private Policies() {}

    /**
     * @param policy one of {@link #NAMES}
     * @param settings of ado; the others take no notice
     * @param names_K the domains, in the order of every array
     * @param prior_K natural share of each, need not sum to 1
     * @param shares of static, by domain, need not sum to 1; a domain without one is not drawn
     * @throws IllegalArgumentException for a policy or domain that does not exist, naming the nearest; for shares or a
     *     prior that are negative or all 0; for settings that leave no mixture
     */
    public static MixturePolicy create(
            String policy, AdoSettings settings, List<String> names_K, double[] prior_K, Map<String, Double> shares) {
        if (names_K.size() != prior_K.length)
            throw new IllegalArgumentException(names_K.size() + " domains, " + prior_K.length + " prior shares");
        return switch (policy) {
            case "ado" -> new AdoPolicy(settings, prior_K);
            case "natural" -> new FixedPolicy("natural", prior_K);
            case "uniform" -> {
                double[] even_K = new double[prior_K.length];
                Arrays.fill(even_K, 1);
                yield new FixedPolicy("uniform", even_K);
            }
            case "static" -> new FixedPolicy("static", weights(names_K, shares));
            default -> throw Names.unknown("mixture policy", policy, NAMES);
        };
    }

    private static double[] weights(List<String> names_K, Map<String, Double> shares) {
        if (shares.isEmpty()) throw new IllegalArgumentException("policy static needs shares, by domain");
        double[] weight_K = new double[names_K.size()];
        shares.forEach((name, share) -> {
            int k = names_K.indexOf(name);
            if (k < 0) throw Names.unknown("domain in shares", name, names_K);
            weight_K[k] = share;
        });
        return weight_K;
    }
}
