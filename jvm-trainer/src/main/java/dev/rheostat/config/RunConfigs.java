package dev.rheostat.config;

import dev.rheostat.ado.Policies;
import dev.rheostat.ado.PolicySettings;
import dev.rheostat.config.RunConfig.Mixture;
import dev.rheostat.config.RunConfig.Schedule;
import dev.rheostat.config.RunConfig.ScheduleKind;
import java.nio.file.Path;
import java.util.Map;
import java.util.OptionalLong;

/** Derives what a run file left open from the rest of it. The rules are docs/run-file.md's, one constant each. */
public final class RunConfigs {
    /** Share of a run that warms up, and its cap: the paper's 500 of 60,000 steps is the cap, short runs get a twentieth. */
    private static final double WARMUP_SHARE = 0.05;

    private static final long MOST_WARMUP_STEPS = 500;

    /** Share of a WSD run that decays. Haegele et al. 2024, arXiv:2405.18392, sec. 4: 20 % matches cosine. */
    private static final double DECAY_SHARE = 0.2;

    /** Ten points make a curve; five states are enough to lose no more than a fifth of a run. */
    private static final long EVALUATIONS = 10;

    private static final long CHECKPOINTS = 5;

    private RunConfigs() {}

    /**
     * The config with every derived value filled in; what is set stays. Resolving twice is resolving once.
     * @param vocabulary of the dataset's tokenizer, V
     */
    public static RunConfig resolve(RunConfig config, int vocabulary) {
        RunConfig c = config;
        long steps = c.schedule().steps();
        RunConfig.Evaluation evaluation = new RunConfig.Evaluation(
                orElse(c.evaluation().everySteps(), part(steps, EVALUATIONS)),
                c.evaluation().windows());
        RunConfig.Checkpoint checkpoint = new RunConfig.Checkpoint(
                orElse(c.checkpoint().everySteps(), part(steps, CHECKPOINTS)),
                c.checkpoint().keepNewest(),
                c.checkpoint().maxSkipped());
        return new RunConfig(
                c.model().resolve(vocabulary),
                c.data(),
                c.batch(),
                mixture(c.mixture(), steps),
                c.optimizer(),
                schedule(c.schedule()),
                evaluation,
                checkpoint,
                c.runtime(),
                c.device(),
                c.precision(),
                c.seed(),
                c.out());
    }

    private static long part(long steps, long parts) {
        return Math.max(1, (steps + parts - 1) / parts);
    }

    private static Schedule schedule(Schedule s) {
        long warmup = Math.min(MOST_WARMUP_STEPS, (long) Math.ceil(WARMUP_SHARE * s.steps()));
        long decay = (long) Math.ceil(DECAY_SHARE * s.steps());
        OptionalLong warmupSteps = orElse(s.warmupSteps(), warmup);
        OptionalLong decaySteps = s.kind() == ScheduleKind.WSD
                ? orElse(s.decaySteps(), Math.min(decay, s.steps() - warmupSteps.getAsLong()))
                : OptionalLong.empty();
        return new Schedule(s.steps(), s.kind(), warmupSteps, decaySteps, s.finalRate());
    }

    private static Mixture mixture(Mixture m, long steps) {
        return m.withSettings(
                Policies.mode(m.policy(), m.mode()), settings(m, steps).values());
    }

    /**
     * The settings of its policy that a mixture means in a run of so many steps.
     * @throws IllegalArgumentException naming key, value and range, or a policy, mode or key that does not exist
     */
    public static PolicySettings settings(Mixture m, long steps) {
        return Policies.settings(m.policy(), m.mode(), steps).with(m.settings());
    }

    /**
     * A run file laid over a run that there is. What belongs to the run's policy alone (mode, settings, shares, stages, graph)
     * means nothing to another policy or mode, so it counts only where the changes name neither.
     * @param name stands for it in sentences
     * @param changes KEY=VALUE as on a command line
     * @throws RheostatException BAD_REQUEST as {@link RunFile#parse}
     */
    public static RunFile overlay(RunConfig run, String name, Map<String, String> changes) {
        Mixture m = run.mixture();
        String policy = changes.getOrDefault("mixture.policy", m.policy());
        boolean otherPolicy = !policy.equals(m.policy());
        boolean otherMode = changes.containsKey("mixture.mode")
                && !changes.get("mixture.mode").equals(m.mode());
        if (otherPolicy) m = m.withoutItsPolicy();
        else if (otherMode) m = m.withSettings("", Map.of());
        return RunFile.parse(name, RunFile.write(run.withMixture(m)), Path.of(""), changes);
    }

    private static OptionalLong orElse(OptionalLong set, long derived) {
        return set.isPresent() ? set : OptionalLong.of(derived);
    }
}
