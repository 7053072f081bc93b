package dev.rheostat.cli;

import dev.rheostat.config.Names;
import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RheostatException.Kind;
import dev.rheostat.op.DeviceException;
import dev.rheostat.op.OutOfMemoryException;
import java.io.PrintWriter;
import picocli.CommandLine;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.UnmatchedArgumentException;

/** How every command of the project fails: one line, an exit code, and the stack trace if it is asked for. */
public final class Failures {
    /** Exit code of what is nobody's fault but ours. */
    private static final int OUR_BUG = 1;

    @Option(
            names = "--debug",
            scope = ScopeType.INHERIT,
            description = "Print the stack trace of a failure after its line.")
    private boolean debug;

    /** Runs one command line and returns its exit code; nothing is thrown. @param command that mixes this object in */
    public int execute(Object command, PrintWriter out, PrintWriter err, String... arguments) {
        CommandLine line = new CommandLine(command)
                .setOut(out)
                .setErr(err)
                .setCaseInsensitiveEnumValuesAllowed(true)
                .setParameterExceptionHandler((e, rejected) -> usage(err, e))
                .setExecutionExceptionHandler((e, ran, parsed) -> failure(err, e));
        try {
            return line.execute(arguments);
        } catch (Throwable error) { // picocli hands on exceptions alone; an error is a failure with a sentence too
            return failure(err, error);
        } finally {
            out.flush();
            err.flush();
        }
    }

    private int failure(PrintWriter err, Throwable failure) {
        int code = OUR_BUG;
        switch (failure) {
            case RheostatException known -> {
                say(err, known.getMessage());
                code = known.kind().exitCode();
            }
            case DeviceException device -> {
                say(err, device.getMessage());
                code = Kind.MACHINE.exitCode();
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
}
