package dev.rheostat.op.cuda;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.rheostat.cuda.sim.CudaSimulator;
import dev.rheostat.op.Backend;
import dev.rheostat.op.DeviceException;
import java.util.function.Consumer;

/**
 * The CUDA backend that tests of ops run on: a new machine of the simulator, or, where Maven's profile gpu sets
 * {@code rheostat.gpu}, the first GPU. Kernels are enqueued one by one, so that an error is one kernel's.
 */
final class CudaUnderTest implements AutoCloseable {
    private static final boolean GPU = Boolean.getBoolean("rheostat.gpu");

    /** Few enough that rows outnumber the blocks of a persistent kernel in small tests. */
    private static final int SIMULATED_MULTIPROCESSORS = 6;

    private static final long RANDOM_ORDER_SEED = 7;

    private final CudaBackend backend;

    private CudaUnderTest(CudaBackend backend) {
        this.backend = backend;
    }

    /** The test is listed as skipped, with the reason, where the simulator cannot be had; on a GPU nothing is skipped. */
    static CudaUnderTest open() {
        return open(false);
    }

    /** As {@link #open}; programs are graphs, as in a run. */
    static CudaUnderTest openWithGraphs() {
        return open(true);
    }

    private static CudaUnderTest open(boolean graph) {
        if (!GPU) {
            assumeTrue(CudaSimulator.available(), CudaSimulator::reason);
            assumeTrue(CudaSimulator.missingPtx() == null, CudaSimulator::missingPtx);
            CudaSimulator.reset();
            CudaSimulator.set("device.multiprocessors", SIMULATED_MULTIPROCESSORS);
        }
        return new CudaUnderTest(CudaBackend.open(new CudaBackend.Settings(0, CudaBackend.Binding.FFM, graph)));
    }

    Backend<DeviceTensor> backend() {
        return backend;
    }

    /** The backend's own, for launches that no op makes. */
    CudaOps ops() {
        return backend.ops();
    }

    /** Runs the action once in every order that the simulator knows for the threads of a block; once on a GPU. */
    void inEveryThreadOrder(Consumer<String> action) {
        if (GPU) {
            action.accept("of the device");
            return;
        }
        for (CudaSimulator.Order order : CudaSimulator.Order.values()) {
            CudaSimulator.order(order, RANDOM_ORDER_SEED);
            action.accept(order.name());
        }
    }

    /** With what the simulator found wrong with the kernel. */
    static DeviceException explained(DeviceException e) {
        if (!GPU) e.addSuppressed(new AssertionError(CudaSimulator.lastError()));
        return e;
    }

    @Override
    public void close() {
        backend.close();
    }
}
