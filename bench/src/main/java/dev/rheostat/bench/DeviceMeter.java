package dev.rheostat.bench;

import dev.rheostat.cuda.CudaEvent;
import dev.rheostat.op.DType;
import dev.rheostat.op.cuda.CudaBackend;
import dev.rheostat.op.cuda.DeviceTensor;

/** Device time of ops by events on their stream, L2 emptied before each. */
final class DeviceMeter implements AutoCloseable {
    /** Columns of what is read: as many blocks as keep a GPU's memory busy. */
    private static final int WIDTH = 2048;

    private final CudaBackend backend;
    private final CudaEvent start, end;
    /** Twice L2: what lay there has made room when it is read. */
    private final DeviceTensor flush_RO;

    private final DeviceTensor sums_O;

    DeviceMeter(CudaBackend backend) {
        this.backend = backend;
        start = CudaEvent.ofTime(backend.stream().api());
        end = CudaEvent.ofTime(backend.stream().api());
        long rows = Math.ceilDiv(2L * backend.device().l2Bytes(), WIDTH * DType.BF16.bytes());
        flush_RO = backend.allocate("L2 flush", DType.BF16, rows, WIDTH);
        sums_O = backend.allocate("L2 flush", DType.F32, WIDTH);
    }

    /**
     * Seconds of each of so many runs. L2's memory is read, not filled: a fill leaves L2 dirty, and the op would pay for writing that
     * back, some 10 us; of these sums half a megabyte stays. They take longer than the host needs to enqueue a few launches, so the
     * device does not wait for the host between them.
     */
    double[] seconds(int repeats, Runnable ops) {
        double[] seconds = new double[repeats];
        for (int i = 0; i < repeats; i++) {
            backend.gemm().biasBackward(sums_O, flush_RO);
            start.record(backend.stream());
            ops.run();
            end.record(backend.stream());
            end.synchronize();
            seconds[i] = end.secondsSince(start);
        }
        return seconds;
    }

    @Override
    public void close() {
        end.close();
        start.close();
    }
}
