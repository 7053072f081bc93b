package dev.rheostat.cli;

import dev.rheostat.config.Names;
import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RheostatException.Kind;
import dev.rheostat.op.OutOfMemoryException;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.util.Properties;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.IVersionProvider;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.UnmatchedArgumentException;

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
            ReportCommand.class,
            GenerateCommand.class,
            EvalCommand.class,
            ReplayCommand.class
        },
        usageHelpAutoWidth = true,
        footer = {"", "Start with: rheostat train", "rheostat COMMAND --help says more of one."})
public final class Main implements Runnable {
    /** Exit code of what is nobody's fault but ours. */
    private static final int OUR_BUG = 1;

    @Option(
            names = "--debug",
            scope = ScopeType.INHERIT,
            description = "Print the stack trace of a failure after its line.")
    private boolean debug;

    @CommandLine.Spec
    private CommandLine.Model.CommandSpec spec;

    private Main() {}

    public static void main(String[] arguments) {
        PrintWriter out = new PrintWriter(System.out, true, StandardCharsets.UTF_8);
        PrintWriter err = new PrintWriter(System.err, true, StandardCharsets.UTF_8);
        System.exit(execute(out, err, arguments));
    }

    /** Runs one command line and returns its exit code; nothing is thrown. */
    public static int execute(PrintWriter out, PrintWriter err, String... arguments) {
        Main main = new Main();
        CommandLine line = new CommandLine(main)
                .setOut(out)
                .setErr(err)
                .setCaseInsensitiveEnumValuesAllowed(true)
                .setParameterExceptionHandler((e, rejected) -> usage(err, e))
                .setExecutionExceptionHandler((e, ran, parsed) -> main.failure(err, e));
        try {
            return line.execute(arguments);
        } catch (Throwable error) { // picocli hands on exceptions alone; an error is a failure with a sentence too
            return main.failure(err, error);
        } finally {
            out.flush();
            err.flush();
        }
    }

    @Override
    public void run() {
        spec.commandLine().usage(spec.commandLine().getOut());
    }

    private int failure(PrintWriter err, Throwable failure) {
        int code = OUR_BUG;
        switch (failure) {
            case RheostatException known -> {
                say(err, known.getMessage());
                code = known.kind().exitCode();
            }
            case OutOfMemoryException memory -> {
                say(err, memory.getMessage());
                code = Kind.MACHINE.exitCode();
            }
            case OutOfMemoryError heap -> {
                long mebibytes = Runtime.getRuntime().maxMemory() >> 20;
                say(err, "the Java heap of " + mebibytes + " MiB is full: give it more with RHEOSTAT_JAVA_OPTS=-Xmx8g");
                code = Kind.MACHINE.exitCode();
            }
            default -> say(err, "a bug of Rheostat, please report it with this line and what --debug adds: " + failure);
        }
        if (debug) failure.printStackTrace(err);
        return code;
    }

    private static int usage(PrintWriter err, ParameterException wrong) {
        CommandLine command = wrong.getCommandLine();
        String sentence = wrong.getMessage();
        if (wrong instanceof UnmatchedArgumentException unmatched) {
            String written = unmatched.getUnmatched().getFirst();
            boolean option = written.startsWith("-");
            boolean subcommand = !option && !command.getSubcommands().isEmpty();
            String what = option ? "option" : subcommand ? "command" : "argument";
            sentence = command.getCommandSpec().qualifiedName() + " has no " + what + " " + written;
            if (option)
                sentence += Names.hint(
                        written, command.getCommandSpec().optionsMap().keySet());
            if (subcommand)
                sentence += Names.hint(written, command.getSubcommands().keySet());
        }
        say(err, sentence + " (" + command.getCommandSpec().qualifiedName() + " --help says more)");
        return Kind.BAD_REQUEST.exitCode();
    }

    /** One line, whatever a message from elsewhere holds. */
    private static void say(PrintWriter err, String sentence) {
        err.println("rheostat: " + sentence.strip().replaceAll("\\s*\\R\\s*", "; "));
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
