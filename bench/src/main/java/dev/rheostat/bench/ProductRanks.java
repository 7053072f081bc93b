package dev.rheostat.bench;

import dev.rheostat.cuda.CudaException;
import dev.rheostat.op.DeviceException;
import dev.rheostat.op.cpu.PlainBackend;
import dev.rheostat.op.cuda.CudaBackend;
import dev.rheostat.op.cuda.ProductChoices;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** The products of a model by each of the algorithms that cuBLASLt offers for them, its answer looked at before it is timed. */
final class ProductRanks {
    /** cublasStatus_t: it has no algorithm at that rank. */
    private static final int NOT_SUPPORTED = 15;

    /** What another one must be faster by, or the first stays: times of one algorithm differ by as much from run to run. */
    private static final double LEAST_GAIN = 0.02;

    /** @param seconds median */
    record Offer(int rank, String algorithm, double seconds) {}

    /**
     * @param shape as {@link CudaBackend#algorithms} names it
     * @param count of it in a step
     * @param offers by rank, the first is what cuBLASLt prefers
     */
    record Product(String name, String sizes, String shape, int count, double flops, List<Offer> offers) {
        Offer first() {
            return offers.getFirst();
        }

        /** The fastest, or the first where that gains too little. */
        Offer best() {
            Offer fastest = offers.stream()
                    .min(Comparator.comparingDouble(Offer::seconds))
                    .orElseThrow();
            return fastest.seconds() < (1 - LEAST_GAIN) * first().seconds() ? fastest : first();
        }
    }

    private ProductRanks() {}

    /** @param most ranks of each product @throws IllegalStateException naming a product whose answer is wrong */
    static List<Product> measure(int ordinal, int repeats, KernelShape shape, int most) {
        Map<String, Product> products = new LinkedHashMap<>();
        Map<String, Integer> counts = new LinkedHashMap<>();
        int rows = Math.toIntExact(shape.rows()), chunk = (int) StepBudget.chunkRows(shape.model(), rows);
        for (GemmBench.Product p : GemmBench.products(shape.model(), rows))
            counts.put(p.name(), p.name().startsWith("head") ? (rows + chunk - 1) / chunk : p.count());
        for (int rank = 0; rank < most; rank++) {
            KernelBench bench = new KernelBench(ordinal, repeats, new ProductChoices(Map.of(), rank));
            try (CudaBackend gpu = bench.open();
                    PlainBackend cpu = PlainBackend.open();
                    DeviceMeter meter = new DeviceMeter(gpu)) {
                for (KernelCase op : TensorCoreCases.products(new KernelCases(gpu, cpu, shape))) {
                    Map<String, String> before = gpu.algorithms();
                    KernelBench.Timing timing = offered(bench, op, meter, rank);
                    Map<String, String> made = new TreeMap<>(gpu.algorithms());
                    made.keySet().removeAll(before.keySet());
                    if (timing == null || made.isEmpty()) continue; // not offered, or timed under another name
                    Map.Entry<String, String> one = made.entrySet().iterator().next();
                    products.computeIfAbsent(
                                    one.getKey(),
                                    key -> new Product(
                                            op.cost().op(),
                                            op.sizes(),
                                            key,
                                            counts.get(op.cost().op()),
                                            op.cost().flops(),
                                            new ArrayList<>()))
                            .offers()
                            .add(new Offer(rank, one.getValue(), timing.seconds()));
                }
            }
        }
        return List.copyOf(products.values());
    }

    /** Null if there is no algorithm of that rank. */
    private static KernelBench.Timing offered(KernelBench bench, KernelCase op, DeviceMeter meter, int rank) {
        try {
            return bench.timing(op, meter);
        } catch (DeviceException e) {
            if (rank > 0 && e.getCause() instanceof CudaException cause && cause.code() == NOT_SUPPORTED) return null;
            throw e;
        }
    }

    /** Those of the products that gain by it. */
    static ProductChoices choices(List<Product> products) {
        Map<String, ProductChoices.Choice> choices = new TreeMap<>();
        for (Product p : products)
            if (p.best().rank() > 0)
                choices.put(
                        p.shape(),
                        new ProductChoices.Choice(p.best().rank(), p.best().algorithm()));
        return new ProductChoices(choices, 0);
    }
}
