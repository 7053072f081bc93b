package dev.rheostat.cli;

import dev.rheostat.ado.Policies;
import dev.rheostat.config.Names;
import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RheostatException.Kind;
import dev.rheostat.config.RunConfigs;
import dev.rheostat.config.RunFile;
import dev.rheostat.report.PolicyPaths;
import dev.rheostat.train.Steering;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
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
            "Show what a mixture policy would have done with the losses of a recorded run, or two side by side.",
            "",
            "A run.yaml beside the metrics gives the settings and the number of steps; without one they are the defaults"
                    + " for as many steps as there are lines. The prior is mixture.prior if it is set, else the prior that"
                    + " the metrics name, else uniform. The formats are in docs/metrics.md."
        })
final class ReplayCommand implements Callable<Integer> {
    @Parameters(
            paramLabel = "METRICS.jsonl",
            description = "One line a step, as training writes it; or the run folder that holds it.")
    private Path metrics;

    @Option(
            names = "--policy",
            paramLabel = "NAME[/MODE]",
            description = "Any policy of docs/policies; default: the policy of the run.")
    private String policy;

    @Option(names = "--set", paramLabel = "KEY=VALUE", description = "Override one key of the run file.")
    private Map<String, String> overrides = new LinkedHashMap<>();

    @Option(names = "--against", paramLabel = "NAME[/MODE]", description = "A second policy, shown the same losses.")
    private String against;

    @Option(names = "--against-set", paramLabel = "KEY=VALUE", description = "Override one key for the second policy.")
    private Map<String, String> againstOverrides = new LinkedHashMap<>();

    @Option(
            names = "--out",
            paramLabel = "MIXTURE.jsonl",
            description = "Where to write the mixture held after each step.")
    private Path out;

    @Option(names = "--html", paramLabel = "PAGE.html", description = "Where to draw the mixtures over the steps.")
    private Path html;

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() {
        if (out == null && html == null)
            throw new RheostatException(
                    Kind.BAD_REQUEST, "nothing to write: give --out MIXTURE.jsonl, --html PAGE.html or both");
        if (against == null && !againstOverrides.isEmpty())
            throw new RheostatException(Kind.BAD_REQUEST, "--against-set changes the policy of --against: name one");
        if (Files.isDirectory(metrics)) metrics = metrics.resolve("metrics.jsonl");
        long lines = Replay.countSteps(metrics);
        spareTheRecord("--out", out);
        spareTheRecord("--html", html);
        List<Steering.Change> changes = changes();
        List<RunFile> policies = new ArrayList<>();
        policies.add(settings("--policy", policy, overrides, lines));
        if (against != null) policies.add(settings("--against", against, againstOverrides, lines));
        List<Replay.Asked> asked = new ArrayList<>();
        for (RunFile file : policies) asked.add(new Replay.Asked(file, asked.isEmpty() ? changes : List.of()));
        Paths paths = new Paths();
        try (ReplayFile file = out == null ? null : new ReplayFile(out)) {
            Replay.run(metrics, asked, new Replay.Listener() {
                @Override
                public void domains(List<String> names_K) {
                    paths.domains = names_K;
                    if (file != null) file.domains(names_K);
                }

                @Override
                public void row(Replay.Row row) {
                    paths.add(row);
                    if (file != null) file.row(row);
                }
            });
            if (file != null) file.end();
        }
        if (!changes.isEmpty())
            spec.commandLine()
                    .getOut()
                    .println("steered: what an operator changed is done again, " + changes.size()
                            + (changes.size() == 1 ? " change" : " changes"));
        say(paths.of(names(policies)), lines);
        return 0;
    }

    /** What an operator changed in the run belongs to the run's own policy, not to one that is asked about. */
    private List<Steering.Change> changes() {
        return policy == null && overrides.isEmpty()
                ? Steering.changes(metrics.toAbsolutePath().getParent())
                : List.of();
    }

    /** What a run wrote down of itself cannot be made again, so nothing is written over it. */
    private void spareTheRecord(String option, Path written) {
        if (written == null || !Files.exists(written)) return;
        for (String file : List.of(metrics.getFileName().toString(), "validation.jsonl", "run.yaml")) {
            Path read = metrics.toAbsolutePath().resolveSibling(file);
            try {
                if (Files.exists(read) && Files.isSameFile(read, written))
                    throw new RheostatException(
                            Kind.BAD_REQUEST, option + " " + written + " is what the replay reads: give another file");
            } catch (IOException e) {
                throw new RheostatException(Kind.MACHINE, written + ": cannot be looked at: " + e.getMessage(), e);
            }
        }
    }

    /** What the page and the sentence are made of. */
    private static final class Paths {
        private List<String> domains = List.of();
        private final List<Long> steps = new ArrayList<>();
        private final List<List<double[]>> paths = new ArrayList<>();

        void add(Replay.Row row) {
            steps.add(row.step());
            for (int p = 0; p < row.mixture_PK().size(); p++) {
                if (paths.size() == p) paths.add(new ArrayList<>());
                paths.get(p).add(row.mixture_PK().get(p));
            }
        }

        PolicyPaths of(List<String> names) {
            return new PolicyPaths(domains, names, steps, paths);
        }
    }

    /** Each policy's name; two of the same are told apart by their place. */
    private static List<String> names(List<RunFile> policies) {
        List<String> names =
                policies.stream().map(file -> file.config().mixture().spelled()).toList();
        return names.stream().distinct().count() == names.size()
                ? names
                : List.of(names.get(0) + " (first)", names.get(1) + " (second)");
    }

    private void say(PolicyPaths paths, long lines) {
        PrintWriter print = spec.commandLine().getOut();
        if (out != null) print.println("mixture: " + out + " (" + lines + " steps)");
        if (paths.names().size() > 1) print.println(paths.difference(0, 1));
        if (html == null) return;
        paths.write("Replay of " + metrics.getFileName(), html);
        print.println("page: " + html);
    }

    /** The run's own settings if it lies beside its metrics. @param name as NAME or NAME/MODE; null for the run's */
    private RunFile settings(String option, String name, Map<String, String> changes, long lines) {
        Map<String, String> set = new LinkedHashMap<>();
        Optional.ofNullable(name).ifPresent(written -> {
            String[] parts = written.split("/", 2);
            if (!Policies.NAMES.contains(parts[0]))
                throw new RheostatException(
                        Kind.BAD_REQUEST,
                        option + ": there is no policy " + parts[0] + Names.hint(parts[0], Policies.NAMES));
            set.put("mixture.policy", parts[0]);
            if (parts.length == 2) set.put("mixture.mode", parts[1]);
        });
        set.putAll(changes);
        Path beside = metrics.toAbsolutePath().resolveSibling("run.yaml");
        if (Files.exists(beside)) return RunConfigs.overlay(RunFile.load(beside, Map.of()), beside.toString(), set);
        set.putIfAbsent("schedule.steps", Long.toString(lines));
        return RunFile.parse(metrics.toString(), "", Path.of(""), set);
    }
}
