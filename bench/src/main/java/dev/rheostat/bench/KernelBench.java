package dev.rheostat.bench;

import dev.rheostat.op.DType;
import dev.rheostat.op.cpu.PlainBackend;
import dev.rheostat.op.cuda.CudaBackend;
import dev.rheostat.op.cuda.DeviceTensor;
import dev.rheostat.op.cuda.ProductChoices;
import dev.rheostat.train.ProductPeak;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;

/** Times ops of the CUDA backend, one by one, after their answers were looked at. */
final class KernelBench {
    /**
     * Of an answer against the definition's, root mean square: bf16 keeps 8 bits, so a rounding is at most 2^-9 off, and no op rounds
     * more than four times in a row (attention: probabilities, score gradients, its output; products: the output).
     */
    static final double TOLERANCE = 1.0 / 128;

    private static final double LOW = 0.1, HIGH = 0.9;

    /** Rates that ops are held against, measured on this device in this run. @param productSize M = N = K */
    record Ceilings(double bytesPerSecond, double productFlops, long copyBytes, int productSize) {
        /** Of what limits the op; NaN for the bus, which has none. */
        double share(OpCost cost, double seconds) {
            return switch (cost.limit()) {
                case MEMORY -> cost.rate(seconds) / bytesPerSecond;
                case PRODUCT, ATTENTION_FORWARD, ATTENTION_BACKWARD_BY_HEADS, ATTENTION_BACKWARD_BY_TILES ->
                    cost.rate(seconds) / productFlops;
                case LINK -> Double.NaN;
            };
        }
    }

    /** One op's time: median of the repeats, and the tenth and ninetieth hundredth of them. @param error as KernelCase has it */
    record Timing(KernelCase of, double seconds, double lowSeconds, double highSeconds, double error) {}

    private final CudaBackend.Settings settings;
    private final int repeats;

    /** @param repeats of each op */
    KernelBench(int ordinal, int repeats) {
        this(ordinal, repeats, ProductChoices.FIRST);
    }

    /** @param products which algorithms they take */
    KernelBench(int ordinal, int repeats, ProductChoices products) {
        // Op by op: a graph is what a step is, and this is not one.
        this.settings = new CudaBackend.Settings(ordinal, CudaBackend.Binding.FFM, false, products);
        this.repeats = repeats;
    }

    /** Keeps the device's context while families come and go. */
    CudaBackend open() {
        return CudaBackend.open(settings);
    }

    Ceilings ceilings(KernelShape shape) {
        long copyBytes = shape.copyBytes();
        try (CudaBackend gpu = open();
                DeviceMeter meter = new DeviceMeter(gpu)) {
            DeviceTensor from = gpu.allocate("ceiling", DType.F32, copyBytes / 4),
                    to = gpu.allocate("ceiling", DType.F32, copyBytes / 4);
            gpu.copy(to, from);
            double copySeconds = Samples.median(meter.seconds(repeats, () -> gpu.copy(to, from)));
            int n = shape.peakSize();
            return new Ceilings(2 * copyBytes / copySeconds, new ProductPeak<>(gpu, n).flops(), copyBytes, n);
        }
    }

    /** While large products keep the device busy. */
    Map<String, Double> clocks(KernelShape shape) {
        try (CudaBackend gpu = open()) {
            ProductPeak<DeviceTensor> product = new ProductPeak<>(gpu, shape.peakSize());
            return Clocks.during(() -> product.run(1), gpu.device());
        }
    }

    /**
     * The ops of a family, in turn.
     * @throws IllegalStateException naming the op whose answer is wrong; nothing is timed then
     */
    void run(String family, KernelShape shape, Consumer<Timing> timings) {
        try (CudaBackend gpu = open();
                PlainBackend cpu = PlainBackend.open();
                DeviceMeter meter = new DeviceMeter(gpu)) {
            List<KernelCase> cases = KernelCases.FAMILIES.get(family).apply(new KernelCases(gpu, cpu, shape));
            for (KernelCase op : cases) timings.accept(timing(op, meter));
        }
    }

    Timing timing(KernelCase op, DeviceMeter meter) {
        op.prepare().run();
        op.run().run();
        double error = op.error().getAsDouble();
        if (!(error <= TOLERANCE))
            throw new IllegalStateException(op.cost().op() + " " + op.sizes() + " gives a wrong answer: " + op.checked()
                    + ", relative error " + error + "; not timed");
        double[] seconds = meter.seconds(repeats, op.run());
        Arrays.sort(seconds);
        return new Timing(
                op,
                Samples.median(seconds),
                seconds[(int) (LOW * (repeats - 1))],
                seconds[(int) Math.ceil(HIGH * (repeats - 1))],
                error);
    }
}
