package dev.rheostat.bench;

import dev.rheostat.config.RunConfig;
import dev.rheostat.op.cpu.CpuGemms;
import dev.rheostat.train.Backends;
import java.io.PrintWriter;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** bench step: whole training steps, alone or beside PyTorch. */
@Command(
        name = "step",
        mixinStandardHelpOptions = true,
        description = "Time whole training steps: forward, backward, clip, AdamW, on one random batch.")
final class StepCommand implements Callable<Integer> {
    @Mixin
    private StepOptions options;

    @Option(
            names = "--precision",
            defaultValue = "fp32",
            paramLabel = "NAME",
            description = "fp32 or bf16; default: fp32.")
    private String precision;

    @Option(names = "--steps", defaultValue = "20", paramLabel = "N", description = "Timed steps; default: 20.")
    private int steps;

    @Option(names = "--warm-up", defaultValue = "10", paramLabel = "N", description = "Steps before them; default: 10.")
    private int warmUp;

    @Option(names = "--compare", description = "Run PyTorch's steps in turn with ours and print the ratios.")
    private boolean compare;

    @Option(names = "--rounds", defaultValue = "3", paramLabel = "N", description = "Turns of --compare; default: 3.")
    private int rounds;

    @Option(names = "--json", description = "One line of JSON; this is what is printed anyway.")
    private boolean json;

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() {
        PrintWriter out = spec.commandLine().getOut();
        if (compare) {
            Comparison.run(options, warmUp, steps, rounds, out);
            return 0;
        }
        RunConfig config = options.config(precision, Map.of());
        Machine machine = new Machine();
        StepBench.Result result = StepBench.run(config, warmUp, steps);
        out.println(machine.line(StepBench.figures(config, result, libraryGflops(config))));
        return 0;
    }

    private double libraryGflops(RunConfig config) {
        List<GemmBench.Product> products = GemmBench.products(config.model(), options.batch() * options.tokens());
        boolean bf16 = config.precision() == RunConfig.Precision.BF16 && CpuGemms.processorHasBf16();
        return GemmBench.overall(GemmBench.rates(products, bf16, Backends.threads(config)));
    }
}
