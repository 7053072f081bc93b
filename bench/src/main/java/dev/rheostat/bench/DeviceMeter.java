package dev.rheostat.bench;

import dev.rheostat.cuda.CudaEvent;
import dev.rheostat.op.DType;
import dev.rheostat.op.cuda.CudaBackend;
import dev.rheostat.op.cuda.DeviceTensor;

/** Device time of ops by events on their stream, L2 emptied before each. */
final class DeviceMeter implements AutoCloseable {
    private final CudaBackend backend;
    private final CudaEvent start, end;
    /** Twice L2: what lay there has made room when it is filled. */
    private final DeviceTensor flush;

    DeviceMeter(CudaBackend backend) {
        this.backend = backend;
        start = CudaEvent.ofTime(backend.stream().api());
        end = CudaEvent.ofTime(backend.stream().api());
        flush = backend.allocate("L2 flush", DType.F32, 2L * backend.device().l2Bytes() / DType.F32.bytes());
    }

    /**
     * Seconds of each of so many runs. The fill of L2's memory takes longer than the host needs to enqueue a few launches, so
     * the device does not wait for the host between them.
     */
    double[] seconds(int repeats, Runnable ops) {
        double[] seconds = new double[repeats];
        for (int i = 0; i < repeats; i++) {
            backend.zero(flush);
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
