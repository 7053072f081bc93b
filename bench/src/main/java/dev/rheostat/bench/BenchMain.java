package dev.rheostat.bench;

import dev.rheostat.cli.Failures;
import dev.rheostat.train.Backends;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import picocli.CommandLine;
import picocli.CommandLine.Command;

/** The {@code rheostat bench} command: each benchmark prints one JSON line a figure, with what it was measured on. */
@Command(
        name = "rheostat bench",
        mixinStandardHelpOptions = true,
        description = "Measure training steps, products, the mixture's cost and the scaling-law fit.",
        subcommands = {
            StepCommand.class,
            CompareCommand.class,
            LaunchCommand.class,
            KernelsCommand.class,
            ProductsCommand.class,
            BudgetCommand.class,
            GemmCommand.class,
            MixtureCommand.class,
            PoliciesCommand.class,
            FitCommand.class
        })
public final class BenchMain implements Runnable {
    @CommandLine.Mixin
    private final Failures failures = new Failures();

    @CommandLine.Spec
    private CommandLine.Model.CommandSpec spec;

    private BenchMain() {}

    public static void main(String[] arguments) {
        PrintWriter out = new PrintWriter(System.out, true, StandardCharsets.UTF_8);
        PrintWriter err = new PrintWriter(System.err, true, StandardCharsets.UTF_8);
        Backends.endProcess(execute(out, err, arguments));
    }

    /** Failures are told as by every other command. */
    static int execute(PrintWriter out, PrintWriter err, String... arguments) {
        BenchMain bench = new BenchMain();
        return bench.failures.execute(bench, out, err, arguments);
    }

    @Override
    public void run() {
        spec.commandLine().usage(spec.commandLine().getOut());
    }
}
