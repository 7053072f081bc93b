package dev.rheostat.train;

import dev.rheostat.ado.MixturePolicy;
import dev.rheostat.ado.Observation;
import dev.rheostat.ado.PolicyDriver;
import dev.rheostat.ado.ShareBounds;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Executor;
import java.util.stream.Stream;

/** What turns a run's losses into its mixture: the policy, another that only watches, and the bounds of both. */
final class Mixer implements AutoCloseable {
    private static final double[] NO_SHADOW = {};

    private final PolicyDriver driver;
    private final Optional<PolicyDriver> shadow;
    private final ShareBounds bounds;

    /** @param refits runs the fits that may take a while */
    Mixer(RunMixture mixture, Executor refits) {
        driver = driver(mixture.policy(), refits);
        shadow = mixture.shadow().map(policy -> driver(policy, refits));
        bounds = mixture.bounds();
    }

    private static PolicyDriver driver(MixturePolicy policy, Executor refits) {
        return new PolicyDriver(policy, policy.refitDelay(), refits);
    }

    /**
     * Takes the place of another: goes on from its state where the policy is the same, else is shown the run so far, as if
     * it had been there all the time. The shadow goes on.
     * @param steps done so far
     */
    void follow(Mixer before, boolean samePolicy, RunFolder run, long steps) {
        shadow.ifPresent(
                watching -> watching.restore(before.shadow.orElseThrow().save()));
        if (samePolicy) driver.restore(before.driver.save());
        else RunMixture.showRecorded(driver, run.metrics(), run.validation(), steps);
    }

    PolicyDriver driver() {
        return driver;
    }

    /** The policy and the one that watches. */
    Stream<MixturePolicy> policies() {
        return Stream.concat(Stream.of(driver), shadow.stream()).map(PolicyDriver::policy);
    }

    ShareBounds bounds() {
        return bounds;
    }

    void observe(Observation observation) {
        driver.observe(observation);
        shadow.ifPresent(watching -> watching.observe(observation));
    }

    /** Whether a policy is to be told the validation losses after so many steps. */
    boolean validationDue(long stepsDone) {
        return driver.policy().validationDue(stepsDone)
                || shadow.map(watching -> watching.policy().validationDue(stepsDone))
                        .orElse(false);
    }

    void validated(Validation validation) {
        driver.validated(validation.step(), validation.lossNats_K());
        shadow.ifPresent(watching -> watching.validated(validation.step(), validation.lossNats_K()));
    }

    /** The mixture held now, before its bounds. */
    double[] mixture() {
        return driver.mixture();
    }

    /** Share of the gradient that each domain's losses are to have now; empty where all tokens count the same. */
    double[] lossWeight_K() {
        return driver.lossWeight_K();
    }

    /** The mixture that the shadow holds now, before its bounds; empty without one. */
    double[] shadowMixture() {
        return shadow.map(PolicyDriver::mixture).orElse(NO_SHADOW);
    }

    Map<String, Object> save() {
        Map<String, Object> saved = new LinkedHashMap<>();
        saved.put("driver", driver.save());
        shadow.ifPresent(watching -> saved.put("shadow", watching.save()));
        return saved;
    }

    /** @throws IllegalArgumentException naming what does not fit */
    @SuppressWarnings("unchecked") // JSON objects are maps by string
    void restore(Map<String, Object> saved) {
        driver.restore((Map<String, Object>) saved.get("driver"));
        shadow.ifPresent(watching -> watching.restore((Map<String, Object>) saved.get("shadow")));
    }

    @Override
    public void close() {
        driver.close();
        shadow.ifPresent(PolicyDriver::close);
    }
}
