package dev.rheostat.train;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.rheostat.cuda.sim.CudaSimulator;
import dev.rheostat.op.cuda.CudaBackend;
import dev.rheostat.op.cuda.CudaBackend.Binding;
import dev.rheostat.op.cuda.CudaBackend.Settings;
import dev.rheostat.op.cuda.ProductChoices;
import java.time.Duration;

/**
 * The device that tests of whole steps and runs are for: a new machine of the simulator, or, where Maven's profile gpu sets
 * {@code rheostat.gpu}, the first GPU.
 */
public final class CudaUnderTest {
    /** So few that a launch of a persistent kernel is short. */
    private static final int SIMULATED_MULTIPROCESSORS = 4;

    private CudaUnderTest() {}

    /** Whether the tests run on a real driver. */
    public static boolean gpu() {
        return Boolean.getBoolean("rheostat.gpu");
    }

    /** The test is listed as skipped, with the reason, where the simulator cannot be had; on a GPU nothing is skipped. */
    public static void newDevice() {
        if (gpu()) return;
        assumeTrue(CudaSimulator.available(), CudaSimulator::reason);
        assumeTrue(CudaSimulator.missingPtx() == null, CudaSimulator::missingPtx);
        CudaSimulator.reset();
        CudaSimulator.set("device.multiprocessors", SIMULATED_MULTIPROCESSORS);
        // The tests of single ops check every access of the same kernels; here runs are long.
        CudaSimulator.checks(false);
    }

    /** For what only the simulator can do: delays, faults, a log of calls. */
    public static void newSimulator() {
        assumeTrue(!gpu(), "a real device is not steered");
        newDevice();
    }

    /** One graph a step, called through FFM. */
    static CudaBackend open() {
        return open(Binding.FFM, true);
    }

    /** With so much patience for copies. */
    static CudaBackend open(Duration patience) {
        return CudaBackend.open(new Settings(0, Binding.FFM, true, ProductChoices.FIRST, patience));
    }

    static CudaBackend open(Binding binding, boolean graph) {
        return CudaBackend.open(new Settings(0, binding, graph));
    }
}
