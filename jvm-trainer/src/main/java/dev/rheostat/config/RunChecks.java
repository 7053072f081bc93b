package dev.rheostat.config;

import dev.rheostat.ado.Policies;
import dev.rheostat.ado.PolicySettings;
import dev.rheostat.config.RunConfig.Mixture;
import dev.rheostat.config.RunConfig.ScheduleKind;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.stream.Stream;

/** What a run file may not say: values out of their range, and keys that contradict each other. */
final class RunChecks {
    static final List<String> DEVICES = List.of("auto", "cpu", "cuda");
    private static final String NTH_GPU = "cuda:\\d{1,3}";

    private final RunFile file;

    private RunChecks(RunFile file) {
        this.file = file;
    }

    /** @throws RheostatException BAD_REQUEST for the first key that cannot be meant */
    static void check(RunFile file) {
        RunChecks checks = new RunChecks(file);
        RunConfig config = file.config();
        checks.model(config.model());
        checks.batch(config);
        checks.mixture(config.mixture(), config.schedule().steps());
        checks.optimizer(config.optimizer());
        checks.schedule(config.schedule());
        checks.rest(config);
    }

    /** The model knows its own rules; what it refuses gets its line here. */
    private void model(ModelConfig m) {
        int anyVocabulary = 256; // the tokenizer's is not known yet, and 0 takes it
        try {
            m.resolve(m.vocabulary() == 0 ? anyVocabulary : m.vocabulary());
        } catch (RheostatException e) {
            String[] keyAndRest = e.getMessage().split(": ", 2);
            throw file.refuse(keyAndRest[0], keyAndRest[1]);
        }
    }

    private void batch(RunConfig config) {
        int sequences = config.batch().sequences(),
                microBatches = config.batch().microBatches();
        that(!config.data().dataset().isEmpty(), "data.dataset", "empty: name a folder made by prepare, or embedded");
        least("batch.sequences", sequences, 1);
        least("batch.microBatches", microBatches, 1);
        that(
                sequences % microBatches == 0,
                "batch.microBatches",
                microBatches + " does not divide batch.sequences " + sequences);
    }

    private void mixture(Mixture m, long steps) {
        name("mixture.policy", m.policy(), Policies.NAMES);
        List<String> modes = Policies.modes(m.policy());
        that(
                m.mode().isEmpty() || !modes.isEmpty(),
                "mixture.mode",
                "policy " + m.policy() + " has no modes: leave the key out");
        if (!m.mode().isEmpty()) name("mixture.mode", m.mode(), modes);
        policySettings(m, steps);
        if (!m.policy().equals("doremi")) only("mixture.shares", m.shares(), "static", m.policy());
        only("mixture.stages", m.stages(), "schedule", m.policy());
        only("mixture.graph", m.graph(), "skill-it", m.policy());
        shares("mixture.shares", m.shares());
        m.stages().forEach((step, shares) -> {
            that(
                    step.matches("\\d{1,15}"),
                    "mixture.stages." + step,
                    "a stage is named by its first step, a whole number");
            that(!shares.isEmpty(), "mixture.stages." + step, "no shares");
            shares("mixture.stages." + step, shares);
        });
        that(m.stages().isEmpty() || m.stages().containsKey("0"), "mixture.stages", "no stage begins at step 0");
        m.graph()
                .forEach((from, to) ->
                        to.forEach((domain, strength) -> least("mixture.graph." + from + "." + domain, strength, 0)));
        m.prior().forEach((domain, share) -> that(share > 0, "mixture.prior." + domain, share + " is not above 0"));
        shares("mixture.target", m.target());
        eachBetween("mixture.minShare", m.minShare(), 0, 1);
        eachBetween("mixture.maxShare", m.maxShare(), 0, 1);
        m.maxEpochs().forEach((domain, epochs) -> least("mixture.maxEpochs" + entry(domain), epochs, 0));
        double floor = Mixture.of(m.minShare(), OneForAll.REST, 0), cap = Mixture.of(m.maxShare(), OneForAll.REST, 1);
        that(floor <= cap, "mixture.minShare", floor + " is above mixture.maxShare " + cap);
        if (!m.shadow().isEmpty()) shadow(m.shadow());
        boolean compares = m.policy().equals("doremi") || m.shadow().equals("doremi");
        that(
                compares || m.referenceRun().isEmpty(),
                "mixture.referenceRun",
                "this belongs to policy doremi, and mixture.policy is " + m.policy() + ": leave one of them out");
        that(
                !compares || !m.referenceRun().isEmpty(),
                "mixture.policy",
                "doremi needs mixture.referenceRun: the folder of a finished run");
    }

    /** A policy knows its own settings and their ranges; what it refuses gets its line here. */
    private void policySettings(Mixture m, long steps) {
        PolicySettings defaults = Policies.settings(m.policy(), m.mode(), steps);
        m.settings().forEach((key, value) -> {
            try {
                defaults.with(key, value);
            } catch (IllegalArgumentException e) {
                throw file.refuse("mixture.settings." + key, e.getMessage().replaceFirst("^" + key + " (is )?", ""));
            }
        });
    }

    private void only(String key, Map<String, ?> given, String itsPolicy, String policy) {
        that(
                given.isEmpty() || policy.equals(itsPolicy),
                key,
                "this belongs to policy " + itsPolicy + ", and mixture.policy is " + policy
                        + ": leave one of them out");
        that(!given.isEmpty() || !policy.equals(itsPolicy), "mixture.policy", itsPolicy + " needs " + key);
    }

    /** Weights that can be made to sum to 1. */
    private void shares(String key, Map<String, Double> shares) {
        shares.forEach((domain, share) -> least(key + "." + domain, share, 0));
        double total = shares.values().stream().mapToDouble(Double::doubleValue).sum();
        that(shares.isEmpty() || total > 0, key, "all are 0, so nothing is left");
    }

    private void eachBetween(String key, Map<String, Double> byDomain, double least, double most) {
        byDomain.forEach((domain, value) -> between(key + entry(domain), OptionalDouble.of(value), least, most));
    }

    private static String entry(String domain) {
        return domain.equals(OneForAll.REST) ? "" : "." + domain;
    }

    private void shadow(String written) {
        String[] parts = written.split("/", 2);
        name("mixture.shadow", parts[0], Policies.NAMES);
        if (parts.length == 2) name("mixture.shadow", parts[1], Policies.modes(parts[0]));
    }

    /** What can be checked only once the dataset is open. */
    static void checkDomains(RunFile file, List<String> domains) {
        RunChecks checks = new RunChecks(file);
        Mixture m = file.config().mixture();
        Map<String, Map<String, Double>> whole = new LinkedHashMap<>();
        whole.put("mixture.prior", m.prior());
        whole.put("mixture.target", m.target());
        whole.put("mixture.shares", m.shares());
        m.stages().forEach((step, shares) -> whole.put("mixture.stages." + step, shares));
        whole.forEach((key, shares) -> {
            checks.known(key, shares, domains);
            for (String domain : domains)
                checks.that(
                        shares.isEmpty() || shares.containsKey(domain),
                        key,
                        "nothing is said of domain " + domain + ": name every domain of the dataset"
                                + (key.equals("mixture.prior") ? "" : ", with 0 if it is not wanted"));
        });
        checks.known("mixture.graph", m.graph(), domains);
        m.graph().forEach((from, to) -> checks.known("mixture.graph." + from, to, domains));
        List<String> domainsAndRest =
                Stream.concat(domains.stream(), Stream.of(OneForAll.REST)).toList();
        checks.known("mixture.minShare", m.minShare(), domainsAndRest);
        checks.known("mixture.maxShare", m.maxShare(), domainsAndRest);
        checks.known("mixture.maxEpochs", m.maxEpochs(), domainsAndRest);
        checks.bounds(m, domains);
    }

    /** Floors and caps must leave a mixture that sums to 1. */
    private void bounds(Mixture m, List<String> domains) {
        double floors = 0, caps = 0;
        for (String domain : domains) {
            double floor = Mixture.of(m.minShare(), domain, 0), cap = Mixture.of(m.maxShare(), domain, 1);
            that(floor <= cap, "mixture.minShare", floor + " of " + domain + " is above mixture.maxShare " + cap);
            floors += floor;
            caps += cap;
        }
        int K = domains.size();
        double slack = 1e-12; // K floors or caps of 1 / K meet exactly but for rounding
        that(
                floors <= 1 + slack,
                "mixture.minShare",
                "of " + K + " domains this sums to " + floors + ", more than the whole");
        that(
                caps >= 1 - slack,
                "mixture.maxShare",
                "of " + K + " domains this sums to " + caps + ", less than the whole");
    }

    private void known(String key, Map<String, ?> byDomain, List<String> domains) {
        for (String domain : byDomain.keySet())
            that(
                    domains.contains(domain),
                    key + "." + domain,
                    "no such domain in the dataset" + Names.hint(domain, domains));
    }

    private void optimizer(RunConfig.Optimizer o) {
        that(o.learningRate() > 0, "optimizer.learningRate", o.learningRate() + " is not above 0");
        that(o.beta1() >= 0 && o.beta1() < 1, "optimizer.beta1", o.beta1() + " is not in [0, 1)");
        that(o.beta2() >= 0 && o.beta2() < 1, "optimizer.beta2", o.beta2() + " is not in [0, 1)");
        that(o.epsilon() > 0, "optimizer.epsilon", o.epsilon() + " is not above 0");
        least("optimizer.weightDecay", o.weightDecay(), 0);
        least("optimizer.clipNorm", o.clipNorm(), 0);
    }

    private void schedule(RunConfig.Schedule s) {
        least("schedule.steps", s.steps(), 1);
        least("schedule.warmupSteps", s.warmupSteps(), 0);
        least("schedule.decaySteps", s.decaySteps(), 0);
        between("schedule.finalRate", OptionalDouble.of(s.finalRate()), 0, 1);
        that(
                s.kind() == ScheduleKind.WSD || s.decaySteps().isEmpty(),
                "schedule.decaySteps",
                "this belongs to schedule.kind wsd, and it is cosine, which decays all the way: leave one of them out");
        long warmup = s.warmupSteps().orElse(0), decay = s.decaySteps().orElse(0);
        that(warmup <= s.steps(), "schedule.warmupSteps", warmup + " is more than schedule.steps " + s.steps());
        that(
                warmup + decay <= s.steps(),
                "schedule.decaySteps",
                decay + " and " + warmup + " steps of warm-up are more than schedule.steps " + s.steps());
    }

    private void rest(RunConfig config) {
        least("evaluation.everySteps", config.evaluation().everySteps(), 0);
        least("evaluation.windows", config.evaluation().windows(), 1);
        least("checkpoint.everySteps", config.checkpoint().everySteps(), 0);
        least("checkpoint.keepNewest", config.checkpoint().keepNewest(), 1);
        least("checkpoint.maxSkipped", config.checkpoint().maxSkipped(), 1);
        least("runtime.threads", config.runtime().threads(), 0);
        least("runtime.ringDepth", config.runtime().ringDepth(), 1);
        config.runtime().peakGflops().ifPresent(peak -> that(peak > 0, "runtime.peakGflops", peak + " is not above 0"));
        if (!config.device().matches(NTH_GPU)) name("device", config.device(), DEVICES);
    }

    private void name(String key, String value, List<String> valid) {
        that(valid.contains(value), key, value + " is none of its values" + Names.hint(value, valid));
    }

    private void least(String key, OptionalLong value, long least) {
        if (value.isPresent()) least(key, value.getAsLong(), least);
    }

    private void least(String key, OptionalInt value, long least) {
        if (value.isPresent()) least(key, value.getAsInt(), least);
    }

    private void least(String key, long value, long least) {
        that(value >= least, key, value + " is less than " + least);
    }

    private void least(String key, double value, double least) {
        that(value >= least, key, value + " is less than " + least);
    }

    private void between(String key, OptionalDouble value, double least, double most) {
        value.ifPresent(v -> that(v >= least && v <= most, key, v + " is not in " + least + " to " + most));
    }

    private void that(boolean holds, String key, String otherwise) {
        if (!holds) throw file.refuse(key, otherwise);
    }
}
