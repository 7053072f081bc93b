package dev.rheostat.config;

import dev.rheostat.ado.AdoSettings;
import dev.rheostat.config.RunConfig.Mixture;
import dev.rheostat.config.RunConfig.ScheduleKind;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.OptionalLong;

/** What a run file may not say: values out of their range, and keys that contradict each other. */
final class RunChecks {
    static final List<String> POLICIES = List.of("ado", "natural", "uniform", "static");
    static final List<String> MODES = List.of("robust", "reference");
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
        name("mixture.policy", m.policy(), POLICIES);
        name("mixture.mode", m.mode(), MODES);
        if (m.policy().equals("ado")) adoSettings(m, steps);
        else notOfAdo(m);
        boolean fixed = m.policy().equals("static");
        that(
                fixed || m.shares().isEmpty(),
                "mixture.shares",
                "this belongs to a static mixture, and mixture.policy is " + m.policy() + ": leave one of them out");
        that(!fixed || !m.shares().isEmpty(), "mixture.policy", "static needs mixture.shares: a share for each domain");
        m.shares().forEach((domain, share) -> least("mixture.shares." + domain, share, 0));
        double total =
                m.shares().values().stream().mapToDouble(Double::doubleValue).sum();
        that(m.shares().isEmpty() || total > 0, "mixture.shares", "all are 0, so nothing could be drawn");
        m.prior().forEach((domain, share) -> that(share > 0, "mixture.prior." + domain, share + " is not above 0"));
        double floor = m.minShare().orElse(0), cap = m.maxShare().orElse(1);
        that(floor <= cap, "mixture.minShare", floor + " is above mixture.maxShare " + cap);
        if (!m.prior().isEmpty()) bounds(m, m.prior().size());
    }

    /** AdoSettings knows its own keys and ranges; what it refuses gets its line here. */
    private void adoSettings(Mixture m, long steps) {
        m.adoSettings().forEach((key, value) -> {
            try {
                AdoSettings.of(m.mode(), steps).with(key, value);
            } catch (IllegalArgumentException e) {
                throw file.refuse("mixture." + key, e.getMessage().replaceFirst("^" + key + " (is )?", ""));
            }
        });
    }

    private void notOfAdo(Mixture m) {
        List<String> written = new ArrayList<>(m.adoSettings().keySet());
        if (!m.prior().isEmpty()) written.add("prior");
        for (String key : written)
            throw file.refuse(
                    "mixture." + key,
                    "a setting of the ado policy, and mixture.policy is " + m.policy() + ": leave one of them out");
    }

    /** Floors and caps of K domains must leave a mixture that sums to 1. */
    private void bounds(Mixture m, int domains) {
        double floor = m.minShare().orElse(0), cap = m.maxShare().orElse(1);
        that(
                floor * domains <= 1,
                "mixture.minShare",
                floor + " in each of " + domains + " domains is more than the whole: at most " + 1.0 / domains);
        that(
                cap * domains >= 1,
                "mixture.maxShare",
                cap + " in each of " + domains + " domains is less than the whole: at least " + 1.0 / domains);
    }

    /** What can be checked only once the dataset is open. */
    static void checkDomains(RunFile file, List<String> domains) {
        RunChecks checks = new RunChecks(file);
        Mixture m = file.config().mixture();
        checks.known("mixture.shares", m.shares(), domains);
        checks.known("mixture.prior", m.prior(), domains);
        for (String domain : domains)
            checks.that(
                    m.prior().isEmpty() || m.prior().containsKey(domain),
                    "mixture.prior",
                    "nothing is said of domain " + domain + ": name every domain of the dataset, or leave the key out");
        for (String domain : domains)
            checks.that(
                    m.shares().isEmpty() || m.shares().containsKey(domain),
                    "mixture.shares",
                    "nothing is said of domain " + domain
                            + ": name every domain of the dataset, with 0 if it is not wanted");
        if (m.policy().equals("ado")) checks.bounds(m, domains.size());
    }

    private void known(String key, Map<String, Double> byDomain, List<String> domains) {
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
