package dev.rheostat.cli;

import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RheostatException.Kind;
import dev.rheostat.config.RunConfig;
import dev.rheostat.config.RunFile;
import dev.rheostat.data.DatasetFolder;
import dev.rheostat.train.Backends;
import dev.rheostat.train.CaptureRange;
import dev.rheostat.train.RunFolder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** resume RUNDIR: goes on where the newest good checkpoint is, with the same bits as if it had never stopped. */
@Command(
        name = "resume",
        mixinStandardHelpOptions = true,
        description = "Go on with a run that was stopped or killed, from its newest good checkpoint.")
final class ResumeCommand implements Callable<Integer> {
    @Parameters(paramLabel = "RUNDIR", description = "The folder that train printed as its run.")
    private Path run;

    @Option(
            names = "--device",
            paramLabel = "DEVICE",
            description =
                    "Go on with another device: cpu, cuda, cuda:N or auto; default: the run's. The last bits may differ.")
    private String device;

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() {
        Path file = run.resolve("run.yaml");
        if (!Files.exists(file))
            throw new RheostatException(Kind.BAD_REQUEST, run + " is no run folder: it has no run.yaml");
        Map<String, String> elsewhere = device == null ? Map.of() : Map.of("device", device, "precision", "auto");
        RunConfig asked = RunFile.load(file, elsewhere);
        Backends.Choice choice = Backends.choose(asked);
        RunConfig config = choice.resolve(asked);
        try (DatasetFolder dataset =
                Datasets.open(config.data().dataset(), spec.commandLine().getOut()::println)) {
            Training.run(
                    config,
                    choice.reason(),
                    dataset.tokens(),
                    () -> RunFolder.open(run),
                    spec.commandLine().getOut(),
                    CaptureRange.NONE);
        }
        return 0;
    }
}
