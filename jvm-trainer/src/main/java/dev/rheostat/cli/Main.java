package dev.rheostat.cli;

import dev.rheostat.train.Backends;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.util.Properties;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.IVersionProvider;
import picocli.CommandLine.Mixin;

/** The {@code rheostat} command. What went wrong is one line and an exit code, listed in docs/exit-codes.md. */
@Command(
        name = "rheostat",
        description = "Pre-trains language models on many domains and turns the mixture during the run.",
        mixinStandardHelpOptions = true,
        versionProvider = Main.Version.class,
        subcommands = {
            PrepareCommand.class,
            InspectCommand.class,
            TrainCommand.class,
            ResumeCommand.class,
            SteerCommand.class,
            DoremiCommand.class,
            ReportCommand.class,
            GenerateCommand.class,
            EvalCommand.class,
            ReplayCommand.class,
            TestbedCommand.class,
            CompareCommand.class,
            DoctorCommand.class
        },
        usageHelpAutoWidth = true,
        footer = {"", "Start with: rheostat train", "rheostat COMMAND --help says more of one."})
public final class Main implements Runnable {
    @Mixin
    private final Failures failures = new Failures();

    @CommandLine.Spec
    private CommandLine.Model.CommandSpec spec;

    private Main() {}

    public static void main(String[] arguments) {
        PrintWriter out = new PrintWriter(System.out, true, StandardCharsets.UTF_8);
        PrintWriter err = new PrintWriter(System.err, true, StandardCharsets.UTF_8);
        Backends.endProcess(execute(out, err, arguments));
    }

    /** Runs one command line and returns its exit code; nothing is thrown. */
    public static int execute(PrintWriter out, PrintWriter err, String... arguments) {
        Main main = new Main();
        return main.failures.execute(main, out, err, arguments);
    }

    @Override
    public void run() {
        spec.commandLine().usage(spec.commandLine().getOut());
    }

    /** The version that Maven wrote into the jar, and what it runs on. */
    static final class Version implements IVersionProvider {
        @Override
        public String[] getVersion() throws IOException {
            Properties maven = new Properties();
            try (InputStream in =
                    Main.class.getResourceAsStream("/META-INF/maven/dev.rheostat/rheostat-trainer/pom.properties")) {
                if (in != null) maven.load(in);
            }
            return new String[] {
                "rheostat " + maven.getProperty("version", "(not from a jar)"),
                "Java " + Runtime.version() + ", " + System.getProperty("os.name") + " " + System.getProperty("os.arch")
            };
        }
    }
}
