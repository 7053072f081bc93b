package dev.rheostat.compare;

import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RunConfig;
import dev.rheostat.config.RunFile;
import dev.rheostat.config.RunFile.Layer;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;

/**
 * A plan: policies x seeds over one run file. Each run of it is an ordinary one, so that whatever a run file refuses a plan
 * refuses, with file and line.
 *
 * @param name of the plan's file, for sentences
 * @param base keys that all runs share
 * @param policies the keys that each lays over the base, by name, in the plan's order
 * @param baseline the policy that the others are compared with
 * @param out holds a run folder for each policy and seed
 * @param devices that runs are spread over; empty: the one that the runs ask for
 */
public record Plan(
        String name,
        Layer base,
        Map<String, Layer> policies,
        List<Long> seeds,
        String baseline,
        Path out,
        List<String> devices) {
    /** What all runs of a plan must share for their losses to be compared. */
    private static final Map<String, Function<RunConfig, Object>> BUDGET = new LinkedHashMap<>();

    static {
        BUDGET.put("data.dataset", config -> config.data().dataset());
        BUDGET.put("model.context", config -> config.model().context());
        BUDGET.put("batch.sequences", config -> config.batch().sequences());
        BUDGET.put("schedule.steps", config -> config.schedule().steps());
        BUDGET.put("evaluation.everySteps", config -> config.evaluation().everySteps());
        BUDGET.put("evaluation.windows", config -> config.evaluation().windows());
    }

    /**
     * @throws RheostatException BAD_REQUEST with key, file and line for a key, a value or a run that cannot be meant, and for
     *     runs that do not share dataset and budget
     */
    public static Plan read(Path file) {
        Plan plan = PlanReader.read(file);
        plan.check();
        return plan;
    }

    /** The run of a policy with a seed, and with other changes, KEY to VALUE, on top. */
    RunFile run(String policy, long seed, Map<String, String> changes) {
        Map<String, String> overrides = new LinkedHashMap<>(changes);
        overrides.put("seed", Long.toString(seed));
        overrides.put("out", folder(policy, seed).toString());
        return RunFile.of(name, List.of(base, policies.get(policy)), overrides);
    }

    /** The dataset of every run, as {@code data.dataset} names it. */
    public String dataset() {
        return run(baseline, seeds.getFirst(), Map.of()).config().data().dataset();
    }

    Path folder(String policy, long seed) {
        return out.resolve(policy + "-seed" + seed);
    }

    private void check() {
        RunConfig first = run(baseline, seeds.getFirst(), Map.of()).config();
        for (String policy : policies.keySet()) {
            RunFile run = run(policy, seeds.getFirst(), Map.of());
            BUDGET.forEach((key, of) -> {
                Object itsOwn = of.apply(run.config()), baselines = of.apply(first);
                if (!itsOwn.equals(baselines))
                    throw run.refuse(
                            key,
                            "policy " + policy + " has " + itsOwn + ", " + baseline + " " + baselines
                                    + ": the runs of a plan share dataset and budget; write it in base");
            });
            if (!devices.isEmpty() && !run.config().device().equals("auto"))
                throw run.refuse("device", "the plan says devices; leave it out here");
        }
    }
}
