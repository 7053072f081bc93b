package dev.rheostat.train;

import dev.rheostat.ado.MixturePolicy;
import dev.rheostat.ado.Need;
import dev.rheostat.ado.Policies;
import dev.rheostat.ado.PolicyDriver;
import dev.rheostat.ado.PolicyInputs;
import dev.rheostat.ado.PolicyText;
import dev.rheostat.ado.ShareBounds;
import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RheostatException.Kind;
import dev.rheostat.config.RunConfig;
import dev.rheostat.config.RunConfigs;
import dev.rheostat.data.DomainSampler;
import dev.rheostat.data.TokenDataset;
import dev.rheostat.report.JsonLines;
import dev.rheostat.report.RecordedDomains;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/**
 * What the mixture section of a run means for its dataset.
 *
 * @param shadow asked beside the policy and not obeyed
 * @param prior_K what the data is; sums to 1
 * @param target_K what the user cares about; sums to 1
 */
public record RunMixture(
        MixturePolicy policy, Optional<MixturePolicy> shadow, ShareBounds bounds, double[] prior_K, double[] target_K) {
    /**
     * What a mixture is made for.
     *
     * @param natural_K token share of each domain; need not sum to 1
     * @param windows_K sequences of training text that each domain has; empty where they are not known
     * @param sequences a step
     * @param steps of the whole run
     * @param ringDepth steps from a record to the batch that it can change
     */
    public record Run(
            List<String> names_K, double[] natural_K, long[] windows_K, int sequences, long steps, int ringDepth) {
        /**
         * A run over a dataset.
         * @param config resolved, for its device too
         * @throws RheostatException BAD_REQUEST if a domain is shorter than one sequence
         */
        public static Run of(RunConfig config, TokenDataset dataset) {
            return new Run(
                    dataset.names(),
                    dataset.shares(),
                    sampler(config, dataset).windows_K(),
                    config.batch().sequences(),
                    config.schedule().steps(),
                    config.runtime().ringDepth().orElseThrow());
        }
    }

    /** @throws RheostatException BAD_REQUEST if a domain is shorter than one sequence */
    static DomainSampler sampler(RunConfig config, TokenDataset dataset) {
        try {
            return new DomainSampler(
                    dataset,
                    config.model().context(),
                    DomainSampler.Draw.valueOf(config.data().draw().name()),
                    config.seed());
        } catch (IllegalArgumentException e) {
            throw new RheostatException(
                    Kind.BAD_REQUEST, e.getMessage() + ": lower model.context or bring more text", e);
        }
    }

    /** @throws RheostatException BAD_REQUEST naming the key */
    public static RunMixture create(RunConfig.Mixture mixture, Run run) {
        try {
            double[] prior_K = weights("prior", mixture.prior(), run.names_K(), run.natural_K());
            double[] target_K = weights("target", mixture.target(), run.names_K(), prior_K);
            TreeMap<Long, Map<String, Double>> stages = new TreeMap<>();
            mixture.stages().forEach((step, shares) -> stages.put(Long.valueOf(step), shares));
            PolicyInputs inputs = new PolicyInputs(
                    run.names_K(),
                    prior_K,
                    target_K,
                    run.windows_K(),
                    run.sequences(),
                    run.steps(),
                    run.ringDepth(),
                    mixture.shares(),
                    stages,
                    mixture.graph());
            MixturePolicy policy = Policies.create(
                    mixture.policy(), mixture.mode(), RunConfigs.settings(mixture, run.steps()), inputs);
            return new RunMixture(
                    policy,
                    shadow(mixture.shadow(), inputs),
                    bounds(mixture, run),
                    inputs.prior_K(),
                    inputs.target_K());
        } catch (IllegalArgumentException e) {
            throw new RheostatException(Kind.BAD_REQUEST, "mixture: " + e.getMessage(), e);
        }
    }

    /** Whether the policy or its shadow must be told this. */
    boolean needs(Need need) {
        return policy.needs().contains(need)
                || shadow.map(watching -> watching.needs().contains(need)).orElse(false);
    }

    /**
     * Shows a policy that comes in the middle of a run what was, as if it had been there all the time.
     * @param validation may not exist
     * @param steps of the run so far
     */
    public static void showRecorded(PolicyDriver driver, Path metrics, Path validation, long steps) {
        Map<Long, JsonLines.Line> validations = new HashMap<>();
        if (Files.exists(validation)) JsonLines.read(validation, line -> validations.put(line.count("step"), line));
        RecordedDomains[] domains = {null};
        JsonLines.read(metrics, line -> {
            long step = line.count("step");
            if (step >= steps) return;
            if (domains[0] == null) {
                domains[0] = RecordedDomains.of(line);
                tell(driver, 0, domains[0], validations);
            }
            if (!line.object().path("skipped").asBoolean()) driver.observe(domains[0].observation(line));
            tell(driver, step + 1, domains[0], validations);
        });
    }

    private static void tell(
            PolicyDriver driver, long stepsDone, RecordedDomains domains, Map<Long, JsonLines.Line> validations) {
        JsonLines.Line validation = validations.get(stepsDone);
        if (validation != null) driver.validated(stepsDone, domains.validationNats(validation));
    }

    private static Optional<MixturePolicy> shadow(String written, PolicyInputs inputs) {
        if (written.isEmpty()) return Optional.empty();
        PolicyText named = PolicyText.parse(written);
        return Optional.of(Policies.create(named.name(), named.mode(), named.settings(inputs.totalSteps()), inputs));
    }

    private static ShareBounds bounds(RunConfig.Mixture mixture, Run run) {
        int K = run.names_K().size();
        double[] floor_K = new double[K], cap_K = new double[K];
        long[] limit_K = new long[K];
        Arrays.fill(limit_K, ShareBounds.UNLIMITED);
        for (int k = 0; k < K; k++) {
            String name = run.names_K().get(k);
            floor_K[k] = RunConfig.Mixture.of(mixture.minShare(), name, 0);
            cap_K[k] = RunConfig.Mixture.of(mixture.maxShare(), name, 1);
            double epochs = RunConfig.Mixture.of(mixture.maxEpochs(), name, Double.POSITIVE_INFINITY);
            if (epochs == Double.POSITIVE_INFINITY) continue;
            if (run.windows_K().length != K)
                throw new IllegalArgumentException("maxEpochs needs to know how much text each domain has");
            limit_K[k] = (long) (epochs * run.windows_K()[k]);
        }
        ShareBounds bounds = new ShareBounds(floor_K, cap_K, limit_K);
        long needed = run.steps() * run.sequences();
        if (bounds.totalLimit() < needed)
            throw new IllegalArgumentException("maxEpochs leaves " + bounds.totalLimit() + " sequences in all, and "
                    + run.steps() + " steps of " + run.sequences() + " draw " + needed);
        return bounds;
    }

    private static double[] weights(
            String key, Map<String, Double> byDomain, List<String> names_K, double[] otherwise_K) {
        if (byDomain.isEmpty()) return otherwise_K.clone();
        for (String name : byDomain.keySet())
            if (!names_K.contains(name))
                throw new IllegalArgumentException(
                        key + " names " + name + ", the domains are " + String.join(", ", names_K));
        double[] weight_K = new double[names_K.size()];
        for (int k = 0; k < weight_K.length; k++) {
            Double weight = byDomain.get(names_K.get(k));
            if (weight == null) throw new IllegalArgumentException(key + " lacks domain " + names_K.get(k));
            weight_K[k] = weight;
        }
        return weight_K;
    }
}
