package dev.rheostat.compare;

import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RheostatException.Kind;
import dev.rheostat.config.RunConfig;
import dev.rheostat.config.RunFile;
import dev.rheostat.report.JsonLines;
import dev.rheostat.report.JsonLines.Line;
import dev.rheostat.report.RecordedDomains;
import dev.rheostat.report.RunHistory;
import dev.rheostat.train.RunMixture;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Reads the run folders of a plan. Nothing but them is needed: no dataset, no device. */
final class Results {
    private final Plan plan;
    private final List<String> notes = new ArrayList<>();

    private Results(Plan plan) {
        this.plan = plan;
    }

    /**
     * What there is of a plan.
     * @throws RheostatException BAD_REQUEST if no run of the baseline is done, DAMAGED for a folder's file that cannot be read
     */
    static Comparison read(Plan plan) {
        return new Results(plan).read();
    }

    private Comparison read() {
        Map<Long, RunResult> baselines = runs(plan.baseline());
        if (baselines.isEmpty())
            throw new RheostatException(
                    Kind.BAD_REQUEST,
                    plan.out() + ": no run of the baseline " + plan.baseline()
                            + " is done, so there is nothing to compare" + " with");
        List<String> domains = baselines.values().iterator().next().domains();
        Map<String, Map<Long, RunResult>> all = new LinkedHashMap<>();
        for (String policy : plan.policies().keySet()) {
            Map<Long, RunResult> runs = policy.equals(plan.baseline()) ? baselines : runs(policy);
            for (Map.Entry<Long, RunResult> run : runs.entrySet())
                if (!run.getValue().domains().equals(domains))
                    throw new RheostatException(
                            Kind.DAMAGED,
                            plan.folder(policy, run.getKey()) + " has the domains "
                                    + run.getValue().domains() + ", the baseline has " + domains);
            runs.keySet().retainAll(baselines.keySet());
            if (!runs.isEmpty()) all.put(policy, runs);
        }
        if (all.values().stream().anyMatch(runs -> !runs.keySet().equals(baselines.keySet())))
            notes.add("policies have different seeds here, so their losses are means over different runs: compare"
                    + " the differences, which are paired");
        return new Comparison(
                plan.baseline(), target_K(baselines.keySet().iterator().next()), all, notes);
    }

    private Map<Long, RunResult> runs(String policy) {
        Map<Long, RunResult> runs = new LinkedHashMap<>();
        for (long seed : plan.seeds()) run(policy, seed).ifPresent(run -> runs.put(seed, run));
        return runs;
    }

    private Optional<RunResult> run(String policy, long seed) {
        Path folder = plan.folder(policy, seed);
        Path validation = folder.resolve("validation.jsonl");
        long[] validated = {-1};
        if (Files.exists(validation)) JsonLines.read(validation, line -> validated[0] = line.count("step"));
        if (validated[0] < 0) {
            notes.add(folder.getFileName() + " is not begun and not counted");
            return Optional.empty();
        }
        RunConfig config = RunFile.load(folder.resolve("run.yaml"), Map.of());
        long steps = config.schedule().steps();
        if (validated[0] < steps) {
            notes.add(folder.getFileName() + " is not done, last validated after " + validated[0] + " of " + steps
                    + " steps, and not counted");
            return Optional.empty();
        }
        if (Files.exists(folder.resolve("steering.jsonl")))
            notes.add(folder.getFileName() + " was steered by an operator, so it is not the plan's policy alone");
        return Optional.of(RunResult.of(RunHistory.read(folder), config));
    }

    /** What the baseline's run says that the user cares about, sums to 1. */
    private double[] target_K(long seed) {
        Path folder = plan.folder(plan.baseline(), seed);
        RunConfig config = RunFile.load(folder.resolve("run.yaml"), Map.of());
        Line[] first = new Line[1];
        JsonLines.read(folder.resolve("metrics.jsonl"), line -> {
            if (first[0] == null) first[0] = line;
        });
        RecordedDomains domains = RecordedDomains.of(first[0]);
        double[] prior_K = domains.prior_K(first[0])
                .orElseThrow(() -> first[0].missing("domains.*.prior", "a number for every domain"));
        return RunMixture.create(
                        config.mixture(),
                        new RunMixture.Run(
                                domains.names_K(),
                                prior_K,
                                domains.windows_K(first[0]),
                                config.batch().sequences(),
                                config.schedule().steps(),
                                config.runtime().ringDepth().orElse(1)))
                .target_K();
    }
}
