package dev.rheostat.train;

import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RheostatException.Kind;
import dev.rheostat.config.RunConfig;
import dev.rheostat.config.RunConfig.Precision;
import dev.rheostat.op.Backend;
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
            return CpuBackend.open(new CpuBackend.Settings(
                    threads(config),
                    config.precision() == Precision.BF16,
                    CpuGemms.Choice.valueOf(config.runtime().gemm().name())));
        } catch (UnsupportedOperationException e) {
            throw new RheostatException(Kind.MACHINE, e.getMessage(), e);
        }
    }
}
