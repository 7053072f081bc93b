package dev.rheostat.bench;

import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RheostatException.Kind;
import dev.rheostat.op.cuda.CudaBackend;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
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

/** bench products: whether cuBLASLt's first choice is its best, and a file of the best for runs. */
@Command(
        name = "products",
        mixinStandardHelpOptions = true,
        description =
                "Time the algorithms that cuBLASLt offers for a model's products on a GPU, and keep the best for runs"
                        + " (runtime.products).")
final class ProductsCommand implements Callable<Integer> {
    @Option(
            names = "--offers",
            converter = Counts.Positive.class,
            defaultValue = "8",
            paramLabel = "N",
            description = "Of each product; default: 8.")
    private int offers;

    @Option(
            names = "--repeats",
            converter = Counts.Positive.class,
            defaultValue = "20",
            paramLabel = "N",
            description = "Of each offer; default: 20.")
    private int repeats;

    @Option(names = "--out", paramLabel = "FILE", description = "Where the best are kept, for runtime.products.")
    private Path file;

    @Mixin
    private ShapeOptions on;

    @Mixin
    private JsonFile json;

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() {
        List<KernelShape> all = on.shapes();
        List<ProductRanks.Product> products = new ArrayList<>();
        String device;
        KernelBench bench = new KernelBench(on.ordinal(), repeats);
        try (CudaBackend kept = bench.open()) {
            device = kept.device().name();
            for (KernelShape shape : all) products.addAll(measure(bench, shape, device));
        }
        if (file != null) keep(products, device);
        return 0;
    }

    private List<ProductRanks.Product> measure(KernelBench bench, KernelShape shape, String device) {
        PrintWriter out = spec.commandLine().getOut();
        Machine machine = new Machine();
        Map<String, Double> clocks = bench.clocks(shape);
        TextTable table = new TextTable(
                "product", "sizes", "a step", "offers", "first us", "TFLOP/s", "best us", "TFLOP/s", "rank", "gain");
        double firstSeconds = 0, bestSeconds = 0;
        List<ProductRanks.Product> products = ProductRanks.measure(on.ordinal(), repeats, shape, offers);
        for (ProductRanks.Product p : products) {
            ProductRanks.Offer first = p.first(), best = p.best();
            firstSeconds += p.count() * first.seconds();
            bestSeconds += p.count() * best.seconds();
            table.row(
                    p.name(),
                    p.sizes(),
                    Integer.toString(p.count()),
                    Integer.toString(p.offers().size()),
                    number(first.seconds() * 1e6, 1),
                    number(p.flops() / first.seconds() * 1e-12, 1),
                    number(best.seconds() * 1e6, 1),
                    number(p.flops() / best.seconds() * 1e-12, 1),
                    Integer.toString(best.rank()),
                    number(100 * (1 - best.seconds() / first.seconds()), 1) + " %");
            json.write(machine.line(figures(p, shape, device, clocks)));
        }
        out.println(shape.name() + " on " + device);
        out.print(table);
        out.printf(
                Locale.ROOT,
                "products of a step: %.2f ms as cuBLASLt prefers, %.2f ms by the best of %d offers%n%n",
                firstSeconds * 1e3,
                bestSeconds * 1e3,
                offers);
        return products;
    }

    private void keep(List<ProductRanks.Product> products, String device) {
        try {
            ProductRanks.choices(products).write(file, "made by bench products on " + device);
        } catch (IOException e) {
            throw new RheostatException(Kind.MACHINE, "--out " + file + " cannot be written: " + e.getMessage(), e);
        }
        spec.commandLine().getOut().println("kept in " + file + "; a run takes it by runtime.products: " + file);
    }

    private static String number(double value, int digits) {
        return String.format(Locale.ROOT, "%,." + digits + "f", value);
    }

    private static Map<String, Object> figures(
            ProductRanks.Product p, KernelShape shape, String device, Map<String, Double> clocks) {
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("bench", "products");
        line.put("product", p.name());
        line.put("shape", shape.name());
        line.put("matmul", p.shape());
        line.put("device", device);
        line.putAll(clocks);
        line.put("count", p.count());
        line.put("flops", p.flops());
        line.put("offers", p.offers().size());
        line.put("first_seconds", Machine.round(p.first().seconds()));
        line.put("best_seconds", Machine.round(p.best().seconds()));
        line.put("best_rank", p.best().rank());
        line.put("algorithm", p.best().algorithm());
        return line;
    }
}
