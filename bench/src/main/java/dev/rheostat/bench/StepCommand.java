package dev.rheostat.bench;

import dev.rheostat.config.RunConfig;
import dev.rheostat.op.cpu.CpuGemms;
import dev.rheostat.train.Backends;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** bench step: whole training steps. */
@Command(
        name = "step",
        mixinStandardHelpOptions = true,
        description = "Time whole training steps: forward, backward, clip, AdamW, on one random batch.")
final class StepCommand implements Callable<Integer> {
    @Mixin
    private StepOptions options;

    @Mixin
    private DeviceOptions device;

    @Mixin
    private JsonFile json;

    @Mixin
    private TimedSteps timed;

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() {
        RunConfig config = options.config(device.settings());
        Machine machine = new Machine();
        StepBench.Result result = StepBench.run(config, timed.warmUp(), timed.steps());
        double peakGflops = result.device() == null
                ? libraryGflops(config)
                : config.runtime().peakGflops().orElseGet(() -> Backends.measurePeakFlops(config) * 1e-9);
        Map<String, Object> figures = StepBench.figures(config, result, peakGflops);
        String line = machine.line(figures);
        spec.commandLine().getOut().println(line);
        json.write(line);
        return 0;
    }

    private double libraryGflops(RunConfig config) {
        List<GemmBench.Product> products = GemmBench.products(config.model(), options.batch() * options.tokens());
        boolean bf16 = config.precision() == RunConfig.Precision.BF16 && CpuGemms.processorHasBf16();
        return GemmBench.overall(GemmBench.rates(products, bf16, Backends.threads(config)));
    }
}
