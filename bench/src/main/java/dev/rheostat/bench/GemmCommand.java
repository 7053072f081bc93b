package dev.rheostat.bench;

import dev.rheostat.config.RunConfig;
import dev.rheostat.op.cpu.CpuGemms;
import dev.rheostat.train.Backends;
import java.io.PrintWriter;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** bench gemm: the GEMM library on a model's shapes. */
@Command(
        name = "gemm",
        mixinStandardHelpOptions = true,
        description = "Rates of the GEMM library on the products of one training step, fp32 and bf16.")
final class GemmCommand implements Callable<Integer> {
    @Mixin
    private StepOptions options;

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() {
        RunConfig config = options.config(Map.of("device", "cpu"));
        List<GemmBench.Product> products = GemmBench.products(config.model(), options.batch() * options.tokens());
        for (boolean bf16 : CpuGemms.processorHasBf16() ? new boolean[] {false, true} : new boolean[] {false})
            print(products, bf16, Backends.threads(config));
        return 0;
    }

    private void print(List<GemmBench.Product> products, boolean bf16, int threads) {
        PrintWriter out = spec.commandLine().getOut();
        Machine machine = new Machine();
        List<GemmBench.Rate> rates = GemmBench.rates(products, bf16, threads);
        for (GemmBench.Rate rate : rates) {
            Map<String, Object> line = new LinkedHashMap<>();
            line.put("bench", "gemm");
            line.put("product", rate.product().name());
            line.put("M", rate.product().M());
            line.put("N", rate.product().N());
            line.put("K", rate.product().K());
            line.put("precision", bf16 ? "bf16" : "fp32");
            line.put("threads", threads);
            line.put("gflops", Machine.round(rate.gflops()));
            out.println(machine.line(line));
        }
        Map<String, Object> all = new LinkedHashMap<>();
        all.put("bench", "gemm");
        all.put("product", "all, as often as in a step");
        all.put("precision", bf16 ? "bf16" : "fp32");
        all.put("threads", threads);
        all.put("gflops", Machine.round(GemmBench.overall(rates)));
        out.println(machine.line(all));
    }
}
