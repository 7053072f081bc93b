package dev.rheostat.bench;

import dev.rheostat.config.RunConfig;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** bench compare: our steps and PyTorch's, in one run on one device. */
@Command(
        name = "compare",
        mixinStandardHelpOptions = true,
        description = "Run PyTorch's steps in turn with ours on the same device, and print the ratio.")
final class CompareCommand implements Callable<Integer> {
    @Mixin
    private StepOptions options;

    @Mixin
    private DeviceOptions device;

    @Mixin
    private JsonFile json;

    @Mixin
    private TimedSteps timed;

    @Option(
            names = "--rounds",
            converter = Counts.Positive.class,
            defaultValue = "3",
            paramLabel = "N",
            description = "Turns; default: 3.")
    private int rounds;

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() {
        RunConfig config = options.config(device.settings());
        String line = config.device().equals("cpu")
                ? CpuComparison.run(options, timed.warmUp(), timed.steps(), rounds)
                : GpuComparison.run(config, timed.warmUp(), timed.steps(), rounds);
        spec.commandLine().getOut().println(line);
        json.write(line);
        return 0;
    }
}
