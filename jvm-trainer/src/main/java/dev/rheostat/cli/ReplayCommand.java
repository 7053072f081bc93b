package dev.rheostat.cli;

import dev.rheostat.config.RunConfigs;
import dev.rheostat.config.RunFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** replay METRICS.jsonl: what a policy would have done with the losses of a recorded run. */
@Command(
        name = "replay",
        mixinStandardHelpOptions = true,
        description = {
            "Show what a mixture policy would have done with the losses of a recorded run.",
            "",
            "A run.yaml beside the metrics gives the settings and the number of steps; without one they are the defaults"
                    + " for as many steps as there are lines. The prior is mixture.prior if it is set, else the prior that"
                    + " the metrics name, else uniform. The formats are in docs/metrics.md."
        })
final class ReplayCommand implements Callable<Integer> {
    @Parameters(paramLabel = "METRICS.jsonl", description = "One line a step, as training writes it.")
    private Path metrics;

    @Option(
            names = "--policy",
            paramLabel = "NAME",
            description = "Any policy of docs/policies; default: the policy of the run.")
    private String policy;

    @Option(names = "--set", paramLabel = "KEY=VALUE", description = "Override one key of the run file.")
    private Map<String, String> overrides = new LinkedHashMap<>();

    @Option(
            names = "--out",
            required = true,
            paramLabel = "MIXTURE.jsonl",
            description = "Where to write the mixture held after each step.")
    private Path out;

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() {
        Map<String, String> set = new LinkedHashMap<>(overrides);
        if (policy != null) set.put("mixture.policy", policy);
        long lines = Replay.countSteps(metrics);
        Replay.run(metrics, settings(set, lines), out);
        spec.commandLine().getOut().println("mixture: " + out + " (" + lines + " steps)");
        return 0;
    }

    /** The run's own settings if it lies beside its metrics. */
    private RunFile settings(Map<String, String> set, long lines) {
        Path beside = metrics.toAbsolutePath().resolveSibling("run.yaml");
        if (Files.exists(beside)) return RunConfigs.overlay(RunFile.load(beside, Map.of()), beside.toString(), set);
        set.putIfAbsent("schedule.steps", Long.toString(lines));
        return RunFile.parse(metrics.toString(), "", Path.of(""), set);
    }
}
