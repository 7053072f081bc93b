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

    @Option(names = "--steps", defaultValue = "20", paramLabel = "N", description = "Timed steps; default: 20.")
    private int steps;

    @Option(names = "--warm-up", defaultValue = "10", paramLabel = "N", description = "Steps before them; default: 10.")
    private int warmUp;

    @Option(names = "--rounds", defaultValue = "3", paramLabel = "N", description = "Turns; default: 3.")
    private int rounds;

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() {
        RunConfig config = options.config(device.settings());
        String line = config.device().equals("cpu")
                ? CpuComparison.run(options, warmUp, steps, rounds)
                : GpuComparison.run(config, warmUp, steps, rounds);
        spec.commandLine().getOut().println(line);
        json.write(line);
        return 0;
    }
}
