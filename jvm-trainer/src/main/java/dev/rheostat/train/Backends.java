package dev.rheostat.train;

import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RheostatException.Kind;
import dev.rheostat.config.RunConfig;
import dev.rheostat.config.RunConfig.Precision;
import dev.rheostat.op.Backend;
import dev.rheostat.op.DType;
import dev.rheostat.op.HostTensor;
import dev.rheostat.op.cpu.CpuBackend;
import dev.rheostat.op.cpu.CpuGemms;

/** The one place where a device is chosen. */
public final class Backends {
    private Backends() {}

    /** The threads that a run computes with. */
    public static int threads(RunConfig config) {
        return config.runtime().threads() > 0
                ? config.runtime().threads()
                : Runtime.getRuntime().availableProcessors();
    }

    /**
     * @throws RheostatException MACHINE in one sentence, when the machine has not what is asked for; BAD_REQUEST for a device
     *     that nobody knows
     */
    public static Backend<HostTensor> open(RunConfig config) {
        String device = config.device();
        if (device.matches("cuda(:\\d+)?"))
            throw new RheostatException(
                    Kind.MACHINE, "device: " + device + ": this build has no CUDA backend; use device: cpu, or auto");
        if (!device.equals("cpu") && !device.equals("auto"))
            throw new RheostatException(Kind.BAD_REQUEST, "device: " + device + " is none of auto, cpu, cuda, cuda:N");
        try {
            return CpuBackend.open(settings(config));
        } catch (UnsupportedOperationException e) {
            throw new RheostatException(Kind.MACHINE, e.getMessage(), e);
        }
    }

    private static CpuBackend.Settings settings(RunConfig config) {
        return new CpuBackend.Settings(
                threads(config),
                config.precision() == Precision.BF16,
                CpuGemms.Choice.valueOf(config.runtime().gemm().name()));
    }

    /** What the run takes, without taking it. @param config resolved @param domains K */
    public static ModelPlan plan(RunConfig config, int domains) {
        return ModelPlan.of(
                () -> CpuBackend.plan(settings(config)),
                config.model(),
                Trainer.slotLayout(config),
                domains,
                config.runtime().ringDepth());
    }

    /** Most sequences a step that fit into the memory that is free now, micro-batches as they are; 0 when one does not. */
    public static int largestBatch(RunConfig config, int domains) {
        return config.batch().microBatches()
                * ModelPlan.largestMicroBatch(
                        () -> CpuBackend.plan(settings(config)),
                        config.model(),
                        Trainer.slotLayout(config),
                        domains,
                        config.runtime().ringDepth(),
                        CpuBackend.freeBytes());
    }

    /**
     * What this machine's GEMM does on a large square, in FLOP/s: the best of as many as fit into half a second, so that a
     * busy moment does not count. Small squares go before, until the JVM has compiled what is ours around the library.
     */
    public static double measurePeakFlops(RunConfig config) {
        double flops = 0;
        try (Backend<HostTensor> backend = open(config)) {
            for (int n : new int[] {64, 256, 1024}) {
                HostTensor c_MN = backend.allocate("peak", DType.F32, n, n),
                        a_MK = backend.allocate("peak", DType.F32, n, n),
                        b_KN = backend.allocate("peak", DType.F32, n, n);
                double least = Double.POSITIVE_INFINITY;
                long endNanos = System.nanoTime() + 500_000_000L;
                for (long startNanos = System.nanoTime(); startNanos < endNanos; startNanos = System.nanoTime()) {
                    backend.gemm().nn(c_MN, a_MK, b_KN, false);
                    least = Math.min(least, (System.nanoTime() - startNanos) * 1e-9);
                }
                flops = 2.0 * n * n * n / least;
            }
        }
        return flops;
    }
}
