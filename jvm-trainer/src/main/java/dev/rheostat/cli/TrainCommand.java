package dev.rheostat.cli;

import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RheostatException.Kind;
import dev.rheostat.config.RunConfig;
import dev.rheostat.config.RunConfigs;
import dev.rheostat.config.RunFile;
import dev.rheostat.data.DatasetFolder;
import dev.rheostat.data.TokenDataset;
import dev.rheostat.train.Backends;
import dev.rheostat.train.CaptureRange;
import dev.rheostat.train.RunFolder;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
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

/** train [RUN.yaml]: one run, from its file. */
@Command(
        name = "train",
        mixinStandardHelpOptions = true,
        description = {
            "Train one model from one run file.",
            "",
            "Without a run file it is examples/embedded.yaml: a small model on text that every JDK carries. The keys of a"
                    + " run file are explained in docs/run-file.md."
        })
final class TrainCommand implements Callable<Integer> {
    private static final String EMBEDDED = "embedded.yaml";

    @Parameters(arity = "0..1", paramLabel = "RUN.yaml", description = "Model, data, mixture, schedule, seed.")
    private Path runFile;

    @Option(names = "--set", paramLabel = "KEY=VALUE", description = "Override one key of the run file.")
    private Map<String, String> overrides = new LinkedHashMap<>();

    @Option(
            names = "--out",
            paramLabel = "RUNDIR",
            description = "Where the run is kept; default: the file's out, else runs/ and the file's name, numbered.")
    private Path out;

    @Option(
            names = "--profile",
            paramLabel = "FIRST:END",
            description = "Steps that an attached profiler captures, such as 20:25 (docs/profiling.md).")
    private String profile;

    @Option(
            names = "--plan",
            description = "Print parameters, FLOPs, bytes by kind and the largest batch that fits; train nothing.")
    private boolean plan;

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() {
        PrintWriter console = spec.commandLine().getOut();
        RunFile file = read();
        try (DatasetFolder folder = Datasets.open(file.config().data().dataset(), console::println)) {
            TokenDataset dataset = folder.tokens();
            file.checkDomains(dataset.names());
            RunConfig asked =
                    RunConfigs.resolve(file.config(), dataset.tokenizer().vocabulary());
            Backends.Choice choice = Backends.choose(asked);
            RunConfig config = choice.resolve(asked);
            if (plan) {
                console.print(PlanText.of(config, dataset.domains().size()));
                return 0;
            }
            Path run = runFolder(file.config());
            Training.run(
                    config,
                    choice.reason(),
                    dataset,
                    () -> RunFolder.create(run, RunFile.write(config)),
                    console,
                    captured());
            return 0;
        }
    }

    private CaptureRange captured() {
        try {
            return profile == null ? CaptureRange.NONE : CaptureRange.parse(profile);
        } catch (IllegalArgumentException e) {
            throw new RheostatException(Kind.BAD_REQUEST, "--profile: " + e.getMessage(), e);
        }
    }

    private RunFile read() {
        if (runFile != null) return RunFile.read(runFile, overrides);
        try (InputStream in = TrainCommand.class.getResourceAsStream(EMBEDDED)) {
            String text = new String(in.readAllBytes(), StandardCharsets.UTF_8);
            return RunFile.parse("examples/" + EMBEDDED, text, Path.of(""), overrides);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private Path runFolder(RunConfig config) {
        if (out != null) return out;
        if (!config.out().isEmpty()) return Path.of(config.out());
        String name = runFile == null ? EMBEDDED : runFile.getFileName().toString();
        String base = name.replaceFirst("\\.ya?ml$", "");
        Path free = Path.of("runs", base);
        for (int n = 2; Files.exists(free.resolve("run.yaml")); n++) free = Path.of("runs", base + "-" + n);
        return free;
    }
}
