package dev.rheostat.bench;

import dev.rheostat.config.Names;
import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RheostatException.Kind;
import dev.rheostat.op.cuda.CudaBackend;
import java.io.PrintWriter;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** bench kernels: every op of the CUDA backend at a model's shapes, against what the device could do. */
@Command(
        name = "kernels",
        mixinStandardHelpOptions = true,
        description = "Time every op on a GPU, its answer checked and L2 emptied, against the device's own rates.")
final class KernelsCommand implements Callable<Integer> {
    @Option(
            names = "--op",
            split = ",",
            paramLabel = "NAME",
            description =
                    "Only these: embedding, norm, layer-norm, rotary, attention, swiglu, gelu, products, loss, adamw,"
                            + " elements, step-io.")
    private List<String> ops = List.of();

    @Option(
            names = "--repeats",
            converter = Counts.Positive.class,
            defaultValue = "30",
            paramLabel = "N",
            description = "Of each op; default: 30.")
    private int repeats;

    @Mixin
    private ShapeOptions on;

    @Mixin
    private JsonFile json;

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() {
        List<KernelShape> all = on.shapes();
        for (String op : ops)
            if (!KernelCases.FAMILIES.containsKey(op))
                throw new RheostatException(
                        Kind.BAD_REQUEST, "--op: there is no " + op + Names.hint(op, KernelCases.FAMILIES.keySet()));
        KernelBench bench = new KernelBench(on.ordinal(), repeats);
        try (CudaBackend device = bench.open()) {
            String name = device.device().name();
            for (KernelShape shape : all) run(bench, shape, name);
        }
        return 0;
    }

    private void run(KernelBench bench, KernelShape shape, String device) {
        PrintWriter out = spec.commandLine().getOut();
        Machine machine = new Machine();
        Map<String, Double> clocks = bench.clocks(shape);
        KernelBench.Ceilings ceilings = bench.ceilings(shape);
        out.printf(
                Locale.ROOT,
                "%s on %s; copy %,.0f GB/s, product %,.1f TFLOP/s (%d cubed)%n",
                shape.name(),
                device,
                ceilings.bytesPerSecond() * 1e-9,
                ceilings.productFlops() * 1e-12,
                ceilings.productSize());
        TextTable table =
                new TextTable("op", "sizes", "us", "10 %", "90 %", "GB/s", "TFLOP/s", "share", "H200 us", "error");
        for (String family : KernelCases.FAMILIES.keySet()) {
            if (!ops.isEmpty() && !ops.contains(family)) continue;
            bench.run(family, shape, timing -> {
                table.row(cells(timing, ceilings));
                json.write(machine.line(figures(timing, ceilings, shape, device, clocks)));
            });
        }
        out.println(table);
    }

    private static String[] cells(KernelBench.Timing t, KernelBench.Ceilings ceilings) {
        OpCost cost = t.of().cost();
        double share = ceilings.share(cost, t.seconds());
        boolean memory = cost.limit().ofMemory();
        return new String[] {
            cost.op(),
            t.of().sizes(),
            number(t.seconds() * 1e6, 1),
            number(t.lowSeconds() * 1e6, 1),
            number(t.highSeconds() * 1e6, 1),
            memory ? number(cost.rate(t.seconds()) * 1e-9, 0) : "",
            memory ? "" : number(cost.rate(t.seconds()) * 1e-12, 1),
            Double.isNaN(share) ? "" : number(100 * share, 0) + " %",
            number(t.of().predictedSeconds() * 1e6, 1),
            String.format(Locale.ROOT, "%.1e", t.error())
        };
    }

    private static String number(double value, int digits) {
        return String.format(Locale.ROOT, "%,." + digits + "f", value);
    }

    private static Map<String, Object> figures(
            KernelBench.Timing t,
            KernelBench.Ceilings ceilings,
            KernelShape shape,
            String device,
            Map<String, Double> clocks) {
        OpCost cost = t.of().cost();
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("bench", "kernels");
        line.put("op", cost.op());
        line.put("shape", shape.name());
        line.put("sizes", t.of().sizes());
        line.put("device", device);
        line.putAll(clocks);
        line.put("seconds", Machine.round(t.seconds()));
        line.put("low_seconds", Machine.round(t.lowSeconds()));
        line.put("high_seconds", Machine.round(t.highSeconds()));
        line.put("bytes", cost.bytes());
        line.put("flops", cost.flops());
        line.put("limit", cost.limit().name().toLowerCase(Locale.ROOT));
        line.put(
                cost.limit().ofMemory() ? "gb_per_second" : "tflops",
                Machine.round(cost.rate(t.seconds()) * (cost.limit().ofMemory() ? 1e-9 : 1e-12)));
        double share = ceilings.share(cost, t.seconds());
        if (!Double.isNaN(share)) line.put("share_of_ceiling", Machine.round(share));
        line.put("copy_gb_per_second", Machine.round(ceilings.bytesPerSecond() * 1e-9));
        line.put("product_tflops", Machine.round(ceilings.productFlops() * 1e-12));
        line.put("product_size", ceilings.productSize());
        line.put("predicted_h200_seconds", Machine.round(t.of().predictedSeconds()));
        line.put("checked", t.of().checked());
        line.put("relative_error", Machine.round(t.error()));
        return line;
    }
}
