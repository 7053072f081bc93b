package dev.rheostat.cli;

import dev.rheostat.ado.testbed.Draw;
import dev.rheostat.ado.testbed.PolicyTable;
import dev.rheostat.ado.testbed.World;
import dev.rheostat.ado.testbed.Worlds;
import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RheostatException.Kind;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** testbed: policies where the best mixture is known. */
@Command(
        name = "testbed",
        mixinStandardHelpOptions = true,
        description = "Measure mixture policies where the best mixture is known.",
        subcommands = {TestbedCommand.PolicyBed.class, TestbedDataCommand.class})
final class TestbedCommand implements Runnable {
    @Spec
    private CommandSpec spec;

    @Override
    public void run() {
        spec.commandLine().usage(spec.commandLine().getOut());
    }

    /** Made before anything is measured, so that no figure is lost for want of a place. @throws RheostatException MACHINE */
    static void makeFolder(Path folder) {
        try {
            Files.createDirectories(folder);
        } catch (IOException e) {
            throw new RheostatException(Kind.MACHINE, "--out " + folder + ": no folder can be made there: " + e, e);
        }
    }

    /** @throws RheostatException MACHINE if it cannot be written */
    static void write(Path file, String text) {
        try {
            Files.writeString(file, text);
        } catch (IOException e) {
            throw new RheostatException(Kind.MACHINE, file + ": cannot be written: " + e, e);
        }
    }

    /** testbed policy: losses that follow laws, no model. */
    @Command(
            name = "policy",
            mixinStandardHelpOptions = true,
            description = {
                "Run policies on losses that follow known laws and print what each lost against the best mixture.",
                "",
                "Regrets are in units of 1e-4 nats of the target-weighted loss at the end. The same options print the same"
                        + " numbers. docs/testbed.md says what the settings are."
            })
    static final class PolicyBed implements Callable<Integer> {
        @Option(
                names = "--policy",
                split = ",",
                paramLabel = "NAME[/MODE][:KEY=VALUE]...",
                description =
                        "One or more policies, a KEY being a setting; default: all. The fits of ado/reference take nearly all of the time.")
        private List<String> policies = List.of();

        @Option(
                names = "--setting",
                split = ",",
                paramLabel = "NAME",
                description =
                        "One or more settings, such as 'B hub'; A or B alone means the independent one. Default: all.")
        private List<String> settings = List.of();

        @Option(
                names = "--seeds",
                paramLabel = "N",
                defaultValue = "5",
                description = "Runs with noise of each policy in each setting; default: ${DEFAULT-VALUE}.")
        private int seeds;

        @Option(
                names = "--seeds-of",
                split = ",",
                paramLabel = "NAME[/MODE]=N",
                description = "The same for one policy or more.")
        private Map<String, Integer> seedsOf = Map.of();

        @Option(
                names = "--noise",
                paramLabel = "NATS",
                defaultValue = "0.45",
                description = "Standard deviation of one sequence's loss in those runs; default: ${DEFAULT-VALUE}.")
        private double noiseNats;

        @Option(
                names = "--steps",
                paramLabel = "T",
                defaultValue = "" + Worlds.STEPS,
                description = "Length of a run; default: ${DEFAULT-VALUE}.")
        private long steps;

        @Option(
                names = "--sequences",
                paramLabel = "B",
                defaultValue = "" + Worlds.SEQUENCES,
                description = "Sequences a step; default: ${DEFAULT-VALUE}.")
        private int sequences;

        @Option(
                names = "--draw",
                paramLabel = "HOW",
                defaultValue = "error-feedback",
                description = "error-feedback or multinomial; default: ${DEFAULT-VALUE}.")
        private String draw;

        @Option(
                names = "--out",
                paramLabel = "DIR",
                description = "Folder for policy.md, the tables, and policy.jsonl, every run.")
        private Path out;

        @Spec
        private CommandSpec spec;

        @Override
        public Integer call() {
            PolicyTable.Plan plan = plan();
            if (out != null) makeFolder(out);
            PolicyTable table;
            try (ExecutorService cores = Executors.newFixedThreadPool(
                    Runtime.getRuntime().availableProcessors(),
                    Thread.ofPlatform().name("testbed-", 0).daemon().factory())) {
                table = PolicyTable.measure(plan, cores);
            }
            String text = PolicyTable.optima(plan.worlds()) + "\n" + table.markdown();
            PrintWriter print = spec.commandLine().getOut();
            print.print(text);
            print.flush();
            if (out == null) return 0;
            write(out.resolve("policy.md"), text);
            write(out.resolve("policy.jsonl"), String.join("\n", table.jsonLines()) + "\n");
            print.println("tables: " + out.resolve("policy.md") + ", runs: " + out.resolve("policy.jsonl"));
            return 0;
        }

        private PolicyTable.Plan plan() {
            if (steps < 1 || steps > 10_000_000 || sequences < 1)
                throw new RheostatException(
                        Kind.BAD_REQUEST,
                        "steps must be in [1, 10000000], sequences 1 or more: " + steps + ", " + sequences);
            List<World> worlds = Worlds.all(sequences, steps);
            try {
                return new PolicyTable.Plan(
                        policies.isEmpty() ? PolicyTable.everyPolicy() : policies,
                        settings.isEmpty() ? worlds : Worlds.named(worlds, settings),
                        seeds,
                        seedsOf,
                        noiseNats,
                        Draw.of(draw));
            } catch (IllegalArgumentException e) {
                throw new RheostatException(Kind.BAD_REQUEST, e.getMessage(), e);
            }
        }
    }
}
