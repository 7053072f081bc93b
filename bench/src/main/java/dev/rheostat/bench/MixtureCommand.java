package dev.rheostat.bench;

import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RheostatException.Kind;
import dev.rheostat.config.RunConfig;
import dev.rheostat.data.TokenDataset;
import dev.rheostat.data.Trees;
import dev.rheostat.op.Backend;
import dev.rheostat.train.Backends;
import dev.rheostat.train.RunFolder;
import dev.rheostat.train.RunSummary;
import dev.rheostat.train.StepReport;
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
import java.util.function.ToDoubleFunction;
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

    @Mixin
    private DeviceOptions device;

    @Mixin
    private JsonFile json;

    @Mixin
    private DomainsOption domains;

    @Option(
            names = "--blocks",
            converter = Counts.Positive.class,
            defaultValue = "20",
            paramLabel = "N",
            description = "Runs of each side; default: 20.")
    private int blocks;

    @Option(
            names = "--steps",
            converter = Counts.Positive.class,
            defaultValue = "60",
            paramLabel = "N",
            description = "Steps a run; default: 60.")
    private int steps;

    @Option(
            names = "--ring-depth",
            converter = Counts.Positive.class,
            paramLabel = "S",
            description = "runtime.ringDepth; default: 1 on the CPU, 4 on a GPU.")
    private Integer ringDepth;

    @Spec
    private CommandSpec spec;

    /**
     * One run's timed steps, seconds from record to record.
     * @param mean of all of them, the steps beside a refit included
     * @param waited median that a step waited for its batch; where the ring is ahead, that is mostly for the device
     * @param ringEmpty times that the device had nothing to do for want of a batch
     */
    private record Block(
            double median, double mean, double waited, int ringDepth, long ringEmpty, long lateRefits, String device) {}

    @Override
    public Integer call() throws IOException {
        if (steps <= WARM_UP_STEPS)
            throw new RheostatException(
                    Kind.BAD_REQUEST,
                    "--steps: " + steps + " is not above the " + WARM_UP_STEPS + " that are not timed");
        TokenDataset dataset = SyntheticDataset.of(domains.count());
        RunConfig base = options.config(device.settings());
        Backends.requireFits(base, Backends.plan(base, domains.count()), domains.count());
        Machine machine = new Machine();
        Path folder = Files.createTempDirectory("rheostat-bench-");
        double[] ofMedians = new double[blocks], ofMeans = new double[blocks];
        List<Block> allOn = new ArrayList<>(), allOff = new ArrayList<>();
        // Held open, so that a run does not make the device's context anew.
        try (Backend<?> _ = Backends.open(base)) {
            block(dataset, "ado", folder.resolve("run")); // compiles what both sides run
            for (int b = 0; b < blocks; b++) {
                boolean adoFirst = b % 2 == 0;
                Block first = block(dataset, adoFirst ? "ado" : "natural", folder.resolve("run"));
                Block second = block(dataset, adoFirst ? "natural" : "ado", folder.resolve("run"));
                Block on = adoFirst ? first : second, off = adoFirst ? second : first;
                ofMedians[b] = 100 * (on.median / off.median - 1);
                ofMeans[b] = 100 * (on.mean / off.mean - 1);
                allOn.add(on);
                allOff.add(off);
            }
        } finally {
            Trees.delete(folder);
        }
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("bench", "mixture");
        line.put("device", allOn.getFirst().device);
        line.put("domains", domains.count());
        line.put("blocks", blocks);
        line.put("steps", steps);
        line.put("ring_depth", allOn.getFirst().ringDepth);
        line.put("seconds_per_step", Machine.round(median(allOff, Block::median)));
        line.put("on_over_off_percent", Machine.round(Samples.mean(ofMedians)));
        line.put("half_interval_95_percent", Machine.round(Samples.halfInterval(ofMedians)));
        line.put("upper_end_95_percent", Machine.round(Samples.mean(ofMedians) + Samples.halfInterval(ofMedians)));
        line.put("mean_on_over_off_percent", Machine.round(Samples.mean(ofMeans)));
        line.put("mean_half_interval_95_percent", Machine.round(Samples.halfInterval(ofMeans)));
        if (allOn.getFirst().ringDepth == 1) {
            line.put("critical_path_percent", Machine.round(100 * median(allOn, on -> on.waited / on.median)));
        } else {
            line.put("ring_empty", allOn.stream().mapToLong(Block::ringEmpty).sum());
            line.put(
                    "ring_empty_off",
                    allOff.stream().mapToLong(Block::ringEmpty).sum());
            line.put("late_refits", allOn.stream().mapToLong(Block::lateRefits).sum());
        }
        String text = machine.line(line);
        spec.commandLine().getOut().println(text);
        json.write(text);
        return 0;
    }

    private static double median(List<Block> blocks, ToDoubleFunction<Block> figure) {
        return Samples.median(blocks.stream().mapToDouble(figure).toArray());
    }

    private Block block(TokenDataset dataset, String policy, Path out) throws IOException {
        Map<String, String> more = device.settings();
        more.put("schedule.steps", Integer.toString(steps));
        more.put("mixture.policy", policy);
        if (ringDepth != null) more.put("runtime.ringDepth", Integer.toString(ringDepth));
        more.put("evaluation.everySteps", "0");
        more.put("evaluation.windows", "1");
        if (policy.equals("ado")) {
            more.put("mixture.settings.startStep", "10");
            more.put("mixture.settings.ignoreSteps", "5");
            more.put("mixture.settings.refitEvery", "10");
        }
        RunConfig config = options.config(more);
        List<StepReport> reports = new ArrayList<>();
        TrainListener listener = new TrainListener() {
            @Override
            public void step(StepReport report) {
                if (report.step() >= WARM_UP_STEPS) reports.add(report);
            }
        };
        RunSummary summary;
        try (Backend<?> backend = Backends.open(config);
                RunFolder folder = RunFolder.create(out, "")) {
            summary = new Trainer<>(config, dataset, backend, folder, listener)
                    .unsaved()
                    .run();
        } finally {
            Trees.delete(out);
        }
        double[] seconds =
                reports.stream().mapToDouble(StepReport::totalSeconds).toArray();
        return new Block(
                Samples.median(seconds),
                Samples.mean(seconds),
                Samples.median(
                        reports.stream().mapToDouble(StepReport::dataSeconds).toArray()),
                config.runtime().ringDepth().orElseThrow(),
                summary.stalls().ringEmpty(),
                summary.stalls().lateRefits(),
                config.device().equals("cpu") ? "cpu" : Backends.choose(config).reason());
    }
}
