package dev.rheostat.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The calls of a running step leave nothing on the heap: not even for the collector's young generation. */
@Timeout(60)
class HotCallsTest extends OnDevice {
    private static final int ROUNDS = 5, CALLS = 200;

    /** Bytes that a call leaves, in the best of a few rounds: in the others the JVM has specialised a method handle. */
    private static double bytesOf(Runnable call) {
        ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        long least = Long.MAX_VALUE;
        for (int round = 0; round < ROUNDS; round++) {
            long before = threads.getCurrentThreadAllocatedBytes();
            for (int i = 0; i < CALLS; i++) call.run();
            least = Math.min(least, threads.getCurrentThreadAllocatedBytes() - before);
        }
        return least / (double) CALLS;
    }

    @Test
    void launchesAndQueriesAllocateNothing() {
        try (DeviceBuffer y = new DeviceBuffer(api, 8, "y");
                CudaEvent event = CudaEvent.ofOrder(api);
                KernelArgs args = new KernelArgs()) {
            CudaKernel kernel = module.kernel("conformance_shape");
            LaunchShape shape = LaunchShape.of(1, 32);
            y.fill((byte) 0, stream);
            stream.synchronize();
            // an object has 16 bytes at least; asking what was allocated allocates itself, once a round
            assertEquals(0, bytesOf(stream::idle), 1, "stream query");
            assertEquals(0, bytesOf(() -> event.record(stream)), 1, "event record");
            assertEquals(0, bytesOf(event::done), 1, "event query");
            assertEquals(0, bytesOf(() -> y.fill((byte) 1, stream)), 1, "memset");
            assertEquals(
                    0, bytesOf(() -> kernel.launch(stream, shape, args.reset().ptr(y.address()))), 1, "kernel launch");
            try (CudaGraph graph = CudaGraph.capture(stream, () -> y.fill((byte) 0, stream));
                    CudaGraphExec exec = graph.instantiate()) {
                assertEquals(0, bytesOf(() -> exec.launch(stream)), 1, "graph launch");
            }
            stream.synchronize();
            assertTrue(stream.idle());
        }
    }

    @Test
    void aProductAllocatesNothing() {
        MatmulShape shape =
                new MatmulShape(false, false, 8, 8, 8, 8, 8, 8, MatmulShape.Type.BF16, MatmulShape.Type.F32, false);
        try (CublasLt lt = new CublasLt();
                DeviceBuffer x = new DeviceBuffer(api, 256, "x")) {
            x.fill((byte) 0, stream);
            Matmul matmul = lt.matmul(shape, 0);
            long at = x.address();
            assertEquals(0, bytesOf(() -> matmul.run(at, at, at, at, 1, 1, 0, 0, stream)), 1, "product");
            stream.synchronize();
        }
    }
}
