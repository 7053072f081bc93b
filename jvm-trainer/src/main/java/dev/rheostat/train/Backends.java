package dev.rheostat.train;

import dev.rheostat.config.ModelConfig;
import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RheostatException.Kind;
import dev.rheostat.config.RunConfig;
import dev.rheostat.config.RunConfig.Precision;
import dev.rheostat.op.AttentionShape;
import dev.rheostat.op.Backend;
import dev.rheostat.op.DeviceException;
import dev.rheostat.op.Tensor;
import dev.rheostat.op.cpu.CpuBackend;
import dev.rheostat.op.cpu.CpuGemms;
import dev.rheostat.op.cuda.CudaBackend;
import dev.rheostat.op.cuda.CudaReport;
import dev.rheostat.op.cuda.ProductChoices;
import java.io.IOException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;

/** The one place where a device is chosen. */
public final class Backends {
    /** The paper's loop: the device of a CPU run is this process, which waits for nothing. */
    private static final int CPU_RING_DEPTH = 1;

    /** So that a device always has a step to do while the mixture is updated. */
    private static final int GPU_RING_DEPTH = 4;

    private Backends() {}

    /**
     * A device, and why.
     * @param gpu its ordinal, -1 for the CPU
     */
    public record Choice(int gpu, String reason) {
        public boolean onGpu() {
            return gpu >= 0;
        }

        /** As a run file spells it. */
        public String device() {
            return onGpu() ? "cuda:" + gpu : "cpu";
        }

        /** The config with what it leaves to the device filled in: device, precision, ring depth. */
        public RunConfig resolve(RunConfig config) {
            return onGpu()
                    ? config.onDevice(device(), Precision.BF16, GPU_RING_DEPTH)
                    : config.onDevice(device(), Precision.FP32, CPU_RING_DEPTH);
        }
    }

    /**
     * What {@code device} means on this machine. {@code auto} takes the first GPU that can be used, else the CPU; a GPU that is
     * asked for is never replaced.
     * @throws RheostatException MACHINE in one sentence, when the machine has not what is asked for; BAD_REQUEST for a device
     *     that nobody knows
     */
    public static Choice choose(RunConfig config) {
        String device = config.device();
        if (device.equals("cpu")) return new Choice(-1, "the run asks for the CPU");
        if (device.equals("auto")) {
            if (config.precision() == Precision.FP32) return new Choice(-1, "precision fp32 is the CPU's");
            CudaBackend.Availability gpu = CudaBackend.availability(0);
            if (!gpu.usable()) return new Choice(-1, gpu.detail());
            Optional<String> refusal = refusal(config);
            if (refusal.isEmpty()) return new Choice(0, gpu.detail());
            CudaBackend.letGo(0);
            return new Choice(-1, refusal.get());
        }
        if (!device.matches("cuda(:\\d{1,3})?"))
            throw new RheostatException(Kind.BAD_REQUEST, "device: " + device + " is none of auto, cpu, cuda, cuda:N");
        int ordinal = device.equals("cuda") ? 0 : Integer.parseInt(device.substring("cuda:".length()));
        if (config.precision() == Precision.FP32)
            throw new RheostatException(
                    Kind.BAD_REQUEST,
                    "precision: fp32 is the CPU's, and the run asks for device " + device
                            + ", which computes in bf16 with fp32 masters: leave precision out");
        CudaBackend.Availability gpu = CudaBackend.availability(ordinal);
        if (!gpu.usable()) throw new RheostatException(Kind.MACHINE, "device: " + device + ": " + gpu.detail());
        refusal(config).ifPresent(reason -> {
            throw new RheostatException(Kind.BAD_REQUEST, "device: " + device + ": " + reason);
        });
        return new Choice(ordinal, gpu.detail());
    }

    private static Optional<String> refusal(RunConfig config) {
        return refusal(config.model())
                .or(() -> reference(config)
                        .flatMap(Backends::refusal)
                        .map(reason -> "of the model of mixture.referenceRun: " + reason));
    }

    /** The model that the run's losses are compared with. @throws RheostatException BAD_REQUEST if there is no such run */
    private static Optional<ModelConfig> reference(RunConfig config) {
        String run = config.mixture().referenceRun();
        if (run.isEmpty()) return Optional.empty();
        try {
            return Optional.of(SavedModel.config(Path.of(run), Map.of()).model());
        } catch (RheostatException e) {
            throw new RheostatException(e.kind(), "mixture.referenceRun: " + e.getMessage(), e);
        }
    }

    /** Why a GPU cannot train this model. A model that is not resolved yet is not judged. */
    private static Optional<String> refusal(ModelConfig model) {
        if (model.kvHeads() == 0 || model.mlpWidth() == 0) return Optional.empty();
        AttentionShape shape =
                new AttentionShape(1, model.context(), model.heads(), model.kvHeads(), model.headWidth());
        return CudaBackend.refusal(shape, model.width(), model.mlpWidth());
    }

    /** For the device that is chosen: {@link Choice#resolve}. @throws RheostatException as {@link #choose} */
    public static RunConfig resolve(RunConfig config) {
        return choose(config).resolve(config);
    }

    /** What this machine has of what runs are computed with: a subject and a line each, "" for a subject that goes on. */
    public static List<Map.Entry<String, String>> machine() {
        List<Map.Entry<String, String>> lines = new ArrayList<>();
        lines.add(Map.entry("CPU", CpuBackend.machine()));
        for (CudaReport.Line line : CudaReport.lines()) lines.add(Map.entry(line.subject(), line.detail()));
        return lines;
    }

    /** The threads that a run computes with. */
    public static int threads(RunConfig config) {
        return config.runtime().threads() > 0
                ? config.runtime().threads()
                : Runtime.getRuntime().availableProcessors();
    }

    /** @throws RheostatException as {@link #choose}, and MACHINE when the device cannot be opened */
    public static Backend<?> open(RunConfig config) {
        Choice choice = choose(config);
        try {
            return choice.onGpu() ? CudaBackend.open(gpu(config, choice)) : CpuBackend.open(cpu(config));
        } catch (UnsupportedOperationException | DeviceException e) {
            throw new RheostatException(Kind.MACHINE, e.getMessage(), e);
        }
    }

    private static CpuBackend.Settings cpu(RunConfig config) {
        return new CpuBackend.Settings(
                threads(config),
                config.precision() == Precision.BF16,
                CpuGemms.Choice.valueOf(config.runtime().gemm().name()));
    }

    private static CudaBackend.Settings gpu(RunConfig config, Choice choice) {
        return new CudaBackend.Settings(
                choice.gpu(),
                CudaBackend.Binding.valueOf(config.runtime().cudaBinding().name()),
                config.runtime().graph(),
                products(config.runtime().products()));
    }

    /** @throws RheostatException BAD_REQUEST when the file cannot be read */
    private static ProductChoices products(String file) {
        if (file.isEmpty()) return ProductChoices.FIRST;
        try {
            return ProductChoices.read(Path.of(file));
        } catch (IOException e) {
            String reason = e instanceof NoSuchFileException ? "there is no file " + file : e.getMessage();
            throw new RheostatException(Kind.BAD_REQUEST, "runtime.products: " + reason, e);
        }
    }

    /** Ends the process, also one whose device hangs. What it has printed must be flushed. */
    public static void endProcess(int code) {
        CudaBackend.endProcess(code);
    }

    /** What the run takes, without taking it. @param config resolved for its device @param domains K */
    public static ModelPlan plan(RunConfig config, int domains) {
        Choice choice = choose(config);
        return choice.onGpu()
                ? plan(() -> CudaBackend.plan(gpu(config, choice)), config, domains)
                : plan(() -> CpuBackend.plan(cpu(config)), config, domains);
    }

    private static <X extends Tensor> ModelPlan plan(
            Supplier<? extends Backend<X>> planning, RunConfig config, int domains) {
        return ModelPlan.of(
                planning,
                config.model(),
                reference(config),
                Trainer.slotLayout(config),
                domains,
                config.runtime().ringDepth().orElseThrow());
    }

    /** Memory that the run's device could still give. @throws RheostatException as {@link #choose} */
    public static long freeBytes(RunConfig config) {
        Choice choice = choose(config);
        return choice.onGpu() ? CudaBackend.freeBytes(choice.gpu()) : CpuBackend.freeBytes();
    }

    /** Most sequences a step that fit into the memory that is free now, micro-batches as they are; 0 when one does not. */
    public static int largestBatch(RunConfig config, int domains) {
        Choice choice = choose(config);
        long freeBytes = freeBytes(config);
        return choice.onGpu()
                ? largestBatch(() -> CudaBackend.plan(gpu(config, choice)), config, domains, freeBytes)
                : largestBatch(() -> CpuBackend.plan(cpu(config)), config, domains, freeBytes);
    }

    private static <X extends Tensor> int largestBatch(
            Supplier<? extends Backend<X>> planning, RunConfig config, int domains, long freeBytes) {
        return config.batch().microBatches()
                * ModelPlan.largestMicroBatch(
                        planning,
                        config.model(),
                        reference(config),
                        Trainer.slotLayout(config),
                        domains,
                        config.runtime().ringDepth().orElseThrow(),
                        freeBytes);
    }

    /** Takes nothing. @throws RheostatException MACHINE naming what is too large and what would fit */
    public static void requireFits(RunConfig config, ModelPlan plan, int domains) {
        long freeBytes = freeBytes(config);
        if (plan.totalBytes() <= freeBytes) return;
        Map.Entry<String, Long> most = plan.bytes().entrySet().stream()
                .max(Map.Entry.comparingByValue())
                .orElseThrow();
        int largest = largestBatch(config, domains),
                microBatches = config.batch().microBatches();
        throw new RheostatException(
                Kind.MACHINE,
                String.format(
                        Locale.ROOT,
                        "the run needs %,d MiB on %s, most of it %,d MiB of %s, and %,d MiB are free: %s",
                        plan.totalBytes() >> 20,
                        config.device(),
                        most.getValue() >> 20,
                        most.getKey(),
                        freeBytes >> 20,
                        largest == 0
                                ? "not even micro-batches of one sequence fit; take a smaller model.context or model"
                                : "micro-batches of " + largest / microBatches + " sequences fit; raise"
                                        + " batch.microBatches or lower batch.sequences"));
    }

    /**
     * What this machine's GEMM does on a large square, in FLOP/s: {@link ProductPeak}. On the CPU smaller squares go before, until the
     * JVM has compiled what is ours around the library.
     */
    public static double measurePeakFlops(RunConfig config) {
        int[] sizes = choose(config).onGpu() ? new int[] {ProductPeak.GPU_SIZE} : new int[] {64, 256, 1024};
        try (Backend<?> backend = open(config)) {
            double flops = 0;
            for (int n : sizes) flops = new ProductPeak<>(backend, n).flops();
            return flops;
        }
    }
}
