package dev.rheostat.bench;

import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RheostatException.Kind;
import dev.rheostat.config.RunConfig;
import dev.rheostat.data.TokenDataset;
import dev.rheostat.data.Trees;
import dev.rheostat.op.Backend;
import dev.rheostat.train.Backends;
import dev.rheostat.train.RunFolder;
import dev.rheostat.train.StepReport;
import dev.rheostat.train.StopRequest;
import dev.rheostat.train.TrainListener;
import dev.rheostat.train.Trainer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** bench mixture: what ADO costs a run, in whole runs with and without it, block by block in turn. */
@Command(
        name = "mixture",
        mixinStandardHelpOptions = true,
        description = "Time runs with ADO against runs with a fixed mixture, in interleaved blocks.")
final class MixtureCommand implements Callable<Integer> {
    /** Not timed: the JVM compiles, and ADO has no fit yet. */
    private static final int WARM_UP_STEPS = 20;

    @Mixin
    private StepOptions options;

    @Option(names = "--domains", defaultValue = "22", paramLabel = "K", description = "Default: 22.")
    private int domains;

    @Option(names = "--blocks", defaultValue = "20", paramLabel = "N", description = "Runs of each side; default: 20.")
    private int blocks;

    @Option(names = "--steps", defaultValue = "60", paramLabel = "N", description = "Steps a run; default: 60.")
    private int steps;

    @Option(
            names = "--ring-depth",
            defaultValue = "1",
            paramLabel = "S",
            description = "runtime.ringDepth; default: 1.")
    private int ringDepth;

    @Spec
    private CommandSpec spec;

    /** Medians of a run's steps, seconds. @param critical that a step waited for its batch: sampler and updater, if the ring is not ahead */
    private record Block(double step, double critical) {}

    @Override
    public Integer call() throws IOException {
        TokenDataset dataset = SyntheticDataset.of(domains);
        Machine machine = new Machine();
        Path folder = Files.createTempDirectory("rheostat-bench-");
        double[] difference = new double[blocks], criticalOn = new double[blocks], stepOff = new double[blocks];
        try {
            block(dataset, "ado", folder.resolve("warm-up")); // compiles what both sides run
            for (int b = 0; b < blocks; b++) {
                boolean adoFirst = b % 2 == 0;
                Block first = block(dataset, adoFirst ? "ado" : "natural", folder.resolve(b + "-1"));
                Block second = block(dataset, adoFirst ? "natural" : "ado", folder.resolve(b + "-2"));
                Block on = adoFirst ? first : second, off = adoFirst ? second : first;
                difference[b] = on.step / off.step - 1;
                criticalOn[b] = on.critical / on.step;
                stepOff[b] = off.step;
            }
        } finally {
            Trees.delete(folder);
        }
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("bench", "mixture");
        line.put("domains", domains);
        line.put("blocks", blocks);
        line.put("steps", steps);
        line.put("ring_depth", ringDepth);
        line.put("seconds_per_step", Machine.round(Samples.median(stepOff)));
        line.put("on_over_off_percent", Machine.round(100 * Samples.mean(difference)));
        line.put("half_interval_95_percent", Machine.round(100 * Samples.halfInterval(difference)));
        line.put("critical_path_percent", Machine.round(100 * Samples.median(criticalOn)));
        spec.commandLine().getOut().println(machine.line(line));
        return 0;
    }

    private Block block(TokenDataset dataset, String policy, Path out) {
        Map<String, String> more = new LinkedHashMap<>();
        more.put("schedule.steps", Integer.toString(steps));
        more.put("mixture.policy", policy);
        more.put("runtime.ringDepth", Integer.toString(ringDepth));
        more.put("evaluation.everySteps", "0");
        more.put("evaluation.windows", "1");
        more.put("checkpoint.everySteps", "0");
        if (policy.equals("ado")) {
            more.put("mixture.startStep", "10");
            more.put("mixture.ignoreSteps", "5");
            more.put("mixture.refitEvery", "10");
        }
        RunConfig config = options.config("fp32", more);
        List<StepReport> reports = new ArrayList<>();
        try (Backend<?> backend = Backends.open(config);
                RunFolder folder = RunFolder.create(out, "")) {
            TrainListener listener = new TrainListener() {
                @Override
                public void step(StepReport report) {
                    if (report.step() >= WARM_UP_STEPS) reports.add(report);
                }
            };
            Trainer.run(config, dataset, backend, folder, listener, new StopRequest());
        }
        if (reports.isEmpty())
            throw new RheostatException(
                    Kind.BAD_REQUEST,
                    "--steps: " + steps + " is not above the " + WARM_UP_STEPS + " that are not timed");
        return new Block(
                Samples.median(
                        reports.stream().mapToDouble(StepReport::totalSeconds).toArray()),
                Samples.median(
                        reports.stream().mapToDouble(StepReport::dataSeconds).toArray()));
    }
}
