package dev.rheostat.op.cuda;

import dev.rheostat.op.Backend;
import java.util.function.Consumer;
import org.opentest4j.TestAbortedException;

/** The CUDA backend that tests of ops run on. */
final class CudaUnderTest implements AutoCloseable {
    private final Backend<DeviceTensor> backend;
    private final CudaOps ops;

    private CudaUnderTest(Backend<DeviceTensor> backend, CudaOps ops) {
        this.backend = backend;
        this.ops = ops;
    }

    /** @throws TestAbortedException saying why there is none: the test is listed as skipped */
    static CudaUnderTest open() {
        throw new TestAbortedException("this build has no CUDA backend");
    }

    Backend<DeviceTensor> backend() {
        return backend;
    }

    /** The backend's own, for launches that no op makes. */
    CudaOps ops() {
        return ops;
    }

    /** Runs the action once in every order that the simulator knows for the threads of a block; once on a GPU. */
    void inEveryThreadOrder(Consumer<String> action) {
        action.accept("of the device");
    }

    @Override
    public void close() {
        backend.close();
    }
}
