package dev.rheostat.train;

import dev.rheostat.ado.AdoSettings;
import dev.rheostat.ado.MixturePolicy;
import dev.rheostat.ado.Policies;
import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RheostatException.Kind;
import dev.rheostat.config.RunConfig;
import dev.rheostat.config.RunConfigs;
import java.util.List;

/** From the mixture section of a run to the policy that it means. */
public record MixturePolicies(MixturePolicy policy, int refitDelay, double[] prior_K) {
    /**
     * @param steps of the whole run
     * @param share_K natural share of each domain
     * @throws RheostatException BAD_REQUEST naming the key
     */
    public static MixturePolicies create(
            RunConfig.Mixture mixture, long steps, List<String> names_K, double[] share_K) {
        try {
            AdoSettings settings = RunConfigs.adoSettings(mixture, steps);
            double[] prior_K = mixture.prior().isEmpty() ? share_K.clone() : prior(mixture, names_K);
            MixturePolicy policy = Policies.create(mixture.policy(), settings, names_K, prior_K, mixture.shares());
            return new MixturePolicies(policy, mixture.policy().equals("ado") ? settings.refitDelay() : 0, prior_K);
        } catch (IllegalArgumentException e) {
            throw new RheostatException(Kind.BAD_REQUEST, "mixture: " + e.getMessage(), e);
        }
    }

    private static double[] prior(RunConfig.Mixture mixture, List<String> names_K) {
        for (String name : mixture.prior().keySet())
            if (!names_K.contains(name))
                throw new IllegalArgumentException(
                        "prior names " + name + ", the domains are " + String.join(", ", names_K));
        double[] prior_K = new double[names_K.size()];
        double sum = 0;
        for (int k = 0; k < prior_K.length; k++) {
            Double prior = mixture.prior().get(names_K.get(k));
            if (prior == null) throw new IllegalArgumentException("prior lacks domain " + names_K.get(k));
            sum += prior_K[k] = prior;
        }
        for (int k = 0; k < prior_K.length; k++) prior_K[k] /= sum;
        return prior_K;
    }
}
