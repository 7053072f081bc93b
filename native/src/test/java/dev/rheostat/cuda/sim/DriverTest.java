package dev.rheostat.cuda.sim;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.rheostat.cuda.sim.CudaSimulator.Delay;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.VarHandle;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The driver's side of the simulator: memory, streams, events, graphs, the log and faults. */
@Timeout(60) // of a test, without the build of the simulator
class DriverTest {
    private static final int NOT_READY = 600, INVALID_VALUE = 1, INVALID_HANDLE = 400;
    private static final VarHandle LONG = JAVA_LONG.varHandle();

    @BeforeAll
    static void build() {
        assumeTrue(CudaSimulator.available(), CudaSimulator::reason);
    }

    // ---- memory ----

    @Test
    void memoryIsCountedAndRunsOut() {
        try (Machine m = new Machine()) {
            CudaSimulator.set("device.bytes", 1 << 20);
            long before = free(m), a = m.alloc(100_000);
            assertTrue(before - free(m) >= 100_000);
            assertEquals(2, m.call("cuMemAlloc_v2", m.arena.allocate(8), 1L << 20));
            m.ok("cuMemFree_v2", a);
            assertEquals(before, free(m));
            CudaSimulator.set("device.limit", 1 << 18);
            assertEquals(2, m.call("cuMemAlloc_v2", m.arena.allocate(8), 1L << 19));
            assertEquals(0, CudaSimulator.counter("allocations"));
        }
    }

    private static long free(Machine m) {
        MemorySegment out = m.arena.allocate(16);
        m.ok("cuMemGetInfo_v2", out, out.asSlice(8));
        return out.get(JAVA_LONG, 0);
    }

    @Test
    void copiesAndFillsPastTheEndAreRefused() {
        try (Machine m = new Machine()) {
            long a = m.alloc(100);
            MemorySegment host = m.arena.allocate(200);
            assertEquals(INVALID_VALUE, m.call("cuMemcpyHtoD_v2", a, host, 101L));
            assertTrue(CudaSimulator.lastError().contains("#1 of 100 bytes"), CudaSimulator.lastError());
            assertEquals(INVALID_VALUE, m.call("cuMemsetD8_v2", a + 1, 0, 100L));
            assertEquals(INVALID_VALUE, m.call("cuMemFree_v2", a + 4));
            m.ok("cuMemFree_v2", a);
            assertEquals(INVALID_VALUE, m.call("cuMemcpyDtoH_v2", host, a, 100L));
            assertEquals(INVALID_VALUE, m.call("cuMemFree_v2", a));
        }
    }

    @Test
    void aLargeAllocationIsPoisonedWithoutBeingTouched() {
        try (Machine m = new Machine()) {
            long bytes = 1L << 30, a = m.alloc(bytes);
            assertEquals(-1, m.read(a + bytes - 4, 4).get(JAVA_INT, 0));
            m.ok("cuMemsetD8_v2", a + bytes - 4, 7, 4L);
            assertEquals(0x07070707, m.read(a + bytes - 4, 4).get(JAVA_INT, 0));
            m.ok("cuMemFree_v2", a);
        }
    }

    @Test
    void imagesOfOtherKindsAreRefused() {
        try (Machine m = new Machine()) {
            assertEquals(200, m.call("cuModuleLoadData", m.arena.allocate(8), m.text("#include <cuda.h>\n")));
            MemorySegment cubin = m.arena.allocate(64, 8);
            cubin.copyFrom(MemorySegment.ofArray(new byte[] {0x7f, 'E', 'L', 'F', 2, 1, 1}));
            assertEquals(209, m.call("cuModuleLoadData", m.arena.allocate(8), cubin));
            m.load("products");
            long module = m.loadImage(CudaSimulator.kernels(CudaSimulator.testKernel("products")));
            assertEquals(500, m.call("cuModuleGetFunction", m.arena.allocate(8), module, m.text("no_such_kernel")));
            m.ok("cuModuleUnload", module);
            assertEquals(INVALID_HANDLE, m.call("cuModuleGetFunction", m.arena.allocate(8), module, m.text("add_one")));
        }
    }

    @Test
    void sharedMemoryPast48KibMustBeAskedFor() {
        try (Machine m = new Machine().load("bugs")) {
            long in = m.floats(new float[128]), out = m.alloc(512);
            assertEquals(INVALID_VALUE, m.launch("inside", 1, 128, 60_000, Machine.LEGACY, out, in, 128));
            long f = m.kernel("inside");
            m.ok("cuFuncSetAttribute", f, 8, 60_000);
            assertEquals(0, m.launch("inside", 1, 128, 60_000, Machine.LEGACY, out, in, 128));
            assertEquals(INVALID_VALUE, m.call("cuFuncSetAttribute", f, 8, 232_449));
            assertEquals(400, m.getInt("cuFuncGetAttribute", 1, m.kernel("past_static_shared")));
            assertEquals(0, m.synchronize());
        }
    }

    // ---- streams and events ----

    @Test
    void workIsAsynchronousAndInOrder() {
        try (Machine m = new Machine().load("products")) {
            long stream = m.stream(), y = m.floats(new float[64]);
            MemorySegment host = m.pinned(256);
            CudaSimulator.stallForEver();
            for (int i = 0; i < 5; i++) assertEquals(0, m.launch("add_one", 2, 32, 0, stream, y, 64));
            m.ok("cuMemcpyDtoHAsync_v2", host, y, 256L, stream);
            assertEquals(NOT_READY, m.call("cuStreamQuery", stream));
            assertTrue(Float.isNaN(host.get(JAVA_FLOAT, 0)));
            CudaSimulator.stall(Duration.ZERO);
            m.ok("cuStreamSynchronize", stream);
            m.ok("cuStreamQuery", stream);
            assertEquals(5, host.get(JAVA_FLOAT, 0));
            assertEquals(5, CudaSimulator.counter("kernels"));
            assertEquals(256, CudaSimulator.counter("d2h.bytes"));
        }
    }

    @Test
    void pageableSourcesAreStagedAndPinnedOnesAreNot() {
        try (Machine m = new Machine()) {
            long stream = m.stream(), a = m.alloc(8), b = m.alloc(8);
            MemorySegment pageable = m.arena.allocateFrom(JAVA_LONG, 1), pinned = m.pinned(8);
            pinned.set(JAVA_LONG, 0, 1);
            CudaSimulator.stallForEver();
            m.ok("cuMemcpyHtoDAsync_v2", a, pageable, 8L, stream);
            m.ok("cuMemcpyHtoDAsync_v2", b, pinned, 8L, stream);
            pageable.set(JAVA_LONG, 0, 2);
            pinned.set(JAVA_LONG, 0, 2);
            CudaSimulator.stall(Duration.ZERO);
            assertEquals(0, m.synchronize());
            assertEquals(1, m.read(a, 8).get(JAVA_LONG, 0));
            assertEquals(2, m.read(b, 8).get(JAVA_LONG, 0), "the device reads pinned memory when it gets there");
        }
    }

    @Test
    void eventsOrderStreamsAndMeasureTime() {
        try (Machine m = new Machine().load("products")) {
            CudaSimulator.delay(Delay.FIXED, Duration.ofMillis(3), 1);
            long one = m.stream(), two = m.stream(), y = m.floats(new float[64]);
            long start = m.get("cuEventCreate", 0), end = m.get("cuEventCreate", 0);
            m.ok("cuEventRecord", start, one);
            for (int i = 0; i < 3; i++) assertEquals(0, m.launch("add_one", 2, 32, 0, one, y, 64));
            m.ok("cuEventRecord", end, one);
            assertEquals(NOT_READY, m.call("cuEventQuery", end));
            m.ok("cuStreamWaitEvent", two, end, 0);
            MemorySegment host = m.pinned(256);
            m.ok("cuMemcpyDtoHAsync_v2", host, y, 256L, two);
            m.ok("cuStreamSynchronize", two);
            assertEquals(3, host.get(JAVA_FLOAT, 0), "the second stream waited for the first");
            m.ok("cuEventSynchronize", end);
            MemorySegment millis = m.arena.allocate(4);
            m.ok("cuEventElapsedTime", millis, start, end);
            assertTrue(millis.get(JAVA_FLOAT, 0) >= 9, "three delays of 3 ms");
            long untimed = m.get("cuEventCreate", 2);
            m.ok("cuEventRecord", untimed, one);
            assertEquals(INVALID_HANDLE, m.call("cuEventElapsedTime", millis, start, untimed));
        }
    }

    @Test
    void aRecordIsSeenThroughMappedMemory() {
        try (Machine m = new Machine().load("products")) {
            CudaSimulator.delay(Delay.JITTER, Duration.ofMillis(2), 9);
            long stream = m.stream();
            MemorySegment record = m.pinned(16), slot = m.pinned(8);
            record.fill((byte) 0);
            for (long step = 1; step <= 20; step++) {
                slot.set(JAVA_LONG, 0, 100 + step);
                assertEquals(0, m.launch("echo", 1, 32, 0, stream, record.address(), slot.address(), step));
                while ((long) LONG.getAcquire(record, 0L) != step) Thread.onSpinWait();
                assertEquals(2 * (100 + step), record.get(JAVA_LONG, 8));
            }
            assertEquals(0, CudaSimulator.counter("h2d.bytes") + CudaSimulator.counter("d2h.bytes"));
            assertEquals(20 * 8, CudaSimulator.counter("kernel.host.read.bytes"));
            assertEquals(20 * 16, CudaSimulator.counter("kernel.host.written.bytes"));
        }
    }

    // ---- graphs ----

    @Test
    void aGraphIsRecordedOnceAndLaunchedOften() {
        try (Machine m = new Machine().load("products")) {
            long stream = m.stream(), y = m.floats(new float[64]), z = m.alloc(256);
            m.ready("add_one");
            m.ok("cuStreamBeginCapture_v2", stream, 1);
            assertEquals(0, m.launch("add_one", 2, 32, 0, stream, y, 64));
            assertEquals(0, m.launch("add_one", 2, 32, 0, stream, y, 64));
            m.ok("cuMemcpyDtoDAsync_v2", z, y, 256L, stream);
            MemorySegment status = m.arena.allocate(4);
            m.ok("cuStreamIsCapturing", stream, status);
            assertEquals(1, status.get(JAVA_INT, 0));
            long graph = endCapture(m, stream);
            assertEquals(0, CudaSimulator.counter("kernels"), "nothing ran yet");
            MemorySegment count = m.arena.allocate(8);
            m.ok("cuGraphGetNodes", graph, MemorySegment.NULL, count);
            assertEquals(3, count.get(JAVA_LONG, 0));
            long exec = m.get("cuGraphInstantiateWithFlags", graph, 0L);
            m.ok("cuGraphDestroy", graph);
            m.ok("cuGraphUpload", exec, stream);
            for (int i = 0; i < 10; i++) m.ok("cuGraphLaunch", exec, stream);
            m.ok("cuStreamSynchronize", stream);
            assertEquals(20, m.floats(z, 1)[0]);
            assertEquals(10, CudaSimulator.counter("graph.launches"));

            // other parameters, the same kinds of nodes
            m.ok("cuStreamBeginCapture_v2", stream, 1);
            for (int i = 0; i < 2; i++) assertEquals(0, m.launch("add_one", 1, 32, 0, stream, y, 1));
            m.ok("cuMemcpyDtoDAsync_v2", z, y, 256L, stream);
            long other = endCapture(m, stream);
            MemorySegment result = m.arena.allocate(24, 8);
            m.ok("cuGraphExecUpdate_v2", exec, other, result);
            m.ok("cuGraphLaunch", exec, stream);
            m.ok("cuStreamSynchronize", stream);
            assertArrayEquals(new float[] {22, 20}, m.floats(z, 2));

            m.ok("cuStreamBeginCapture_v2", stream, 1);
            m.ok("cuMemcpyDtoDAsync_v2", z, y, 256L, stream);
            long shorter = endCapture(m, stream);
            assertEquals(910, m.call("cuGraphExecUpdate_v2", exec, shorter, result));
            m.ok("cuGraphExecDestroy", exec);
            assertEquals(INVALID_HANDLE, m.call("cuGraphLaunch", exec, stream));
        }
    }

    private static long endCapture(Machine m, long stream) {
        MemorySegment graph = m.arena.allocate(8);
        m.ok("cuStreamEndCapture", stream, graph);
        return graph.get(JAVA_LONG, 0);
    }

    @Test
    void forkedStreamsMustJoin() {
        try (Machine m = new Machine().load("products")) {
            long one = m.stream(), two = m.stream(), y = m.floats(new float[64]);
            long fork = m.get("cuEventCreate", 2), join = m.get("cuEventCreate", 2);
            m.ready("add_one");
            for (boolean joins : new boolean[] {true, false}) {
                m.ok("cuStreamBeginCapture_v2", one, 1);
                m.ok("cuEventRecord", fork, one);
                m.ok("cuStreamWaitEvent", two, fork, 0);
                assertEquals(0, m.launch("add_one", 2, 32, 0, two, y, 64));
                m.ok("cuEventRecord", join, two);
                if (joins) m.ok("cuStreamWaitEvent", one, join, 0);
                MemorySegment graph = m.arena.allocate(8);
                assertEquals(joins ? 0 : 904, m.call("cuStreamEndCapture", one, graph));
            }
        }
    }

    @Test
    void whatWaitsAllocatesOrLoadsBreaksACapture() {
        try (Machine m = new Machine().load("products")) {
            long stream = m.stream(), a = m.alloc(64);
            MemorySegment out = m.arena.allocate(64);
            List<Runnable> forbidden = List.of(
                    () -> assertEquals(900, m.call("cuStreamSynchronize", stream)),
                    () -> assertEquals(900, m.call("cuStreamQuery", stream)),
                    () -> assertEquals(900, m.call("cuCtxSynchronize")),
                    () -> assertEquals(900, m.call("cuMemAlloc_v2", out, 64L)),
                    () -> assertEquals(900, m.call("cuModuleLoadData", out, out)),
                    () -> assertEquals(900, m.launch("add_one", 2, 32, 0, stream, a, 16)),
                    () -> assertEquals(906, m.call("cuMemcpyDtoH_v2", out, a, 64L)));
            for (Runnable call : forbidden) {
                m.ok("cuStreamBeginCapture_v2", stream, 1);
                call.run();
                assertEquals(901, m.call("cuMemsetD8Async", a, 0, 64L, stream));
                assertEquals(901, m.call("cuStreamEndCapture", stream, out));
                m.ok("cuMemsetD8Async", a, 0, 64L, stream);
            }
        }
    }

    // ---- the log and the counters ----

    private static List<String> loggedProgram() {
        try (Machine m = new Machine().load("products")) {
            CudaSimulator.startLog();
            long stream = m.stream(), y = m.alloc(256);
            m.ok("cuMemsetD8Async", y, 0, 256L, stream);
            assertEquals(0, m.launch("add_one", 2, 32, 0, stream, y, 64));
            m.ok("cuStreamSynchronize", stream);
            m.ok("cuMemFree_v2", y);
            CudaSimulator.stopLog();
            m.synchronize();
            return CudaSimulator.log();
        }
    }

    @Test
    void equalProgramsHaveEqualLogs() {
        List<String> log = loggedProgram();
        assertEquals(log, loggedProgram());
        assertEquals(
                List.of(
                        "t1 cuStreamCreate flags=1",
                        "t1 cuMemAlloc bytes=256",
                        "t1 cuMemsetD8Async to=#1 value=0 count=256 stream=1",
                        "t1 cuModuleGetFunction module=1 name=add_one",
                        "t1 cuLaunchKernel add_one grid=(2,1,1) block=(32,1,1) shared=0 stream=1",
                        "t1 cuStreamSynchronize stream=1",
                        "t1 cuMemFree #1"),
                log);
    }

    // ---- faults ----

    @Test
    void theNthCallFailsAsTold() {
        try (Machine m = new Machine()) {
            CudaSimulator.failCall("cuMemAlloc", 2, 2);
            m.alloc(64);
            assertEquals(2, m.call("cuMemAlloc_v2", m.arena.allocate(8), 64L));
            m.alloc(64);
            assertEquals(3, CudaSimulator.counter("cuMemAlloc"));
        }
    }

    @Test
    void aKernelFailsInsideAGraphAndTheErrorStays() {
        try (Machine m = new Machine().load("products")) {
            long stream = m.stream(), y = m.floats(new float[64]);
            m.ready("add_one");
            m.ok("cuStreamBeginCapture_v2", stream, 1);
            for (int i = 0; i < 3; i++) assertEquals(0, m.launch("add_one", 2, 32, 0, stream, y, 64));
            long exec = m.get("cuGraphInstantiateWithFlags", endCapture(m, stream), 0L);
            CudaSimulator.failKernel("add_one", 5, 719);
            m.ok("cuGraphLaunch", exec, stream);
            m.ok("cuStreamSynchronize", stream);
            assertEquals(3, m.floats(y, 1)[0]);
            m.ok("cuGraphLaunch", exec, stream);
            assertEquals(719, m.call("cuStreamSynchronize", stream));
            assertEquals(719, m.call("cuMemAlloc_v2", m.arena.allocate(8), 64L));
            assertEquals(719, m.call("cuGraphLaunch", exec, stream));
            assertEquals("kernel add_one failed by an injected fault", CudaSimulator.lastError());
        }
    }

    @Test
    void aLostDeviceAnswersNothing() {
        try (Machine m = new Machine().load("products")) {
            long stream = m.stream();
            CudaSimulator.stallForEver();
            assertEquals(0, m.launch("add_one", 1, 32, 0, stream, m.alloc(64), 1));
            Thread waiter = Thread.ofPlatform().start(() -> CudaSimulator.loseDevice(46));
            assertEquals(46, m.call("cuStreamSynchronize", stream), "who waits is woken");
            assertEquals(46, m.call("cuStreamQuery", stream));
            try {
                waiter.join();
            } catch (InterruptedException e) {
                throw new AssertionError(e);
            }
        }
    }

    @Test
    void aStallEndsByItself() {
        try (Machine m = new Machine()) {
            long stream = m.stream(), a = m.alloc(64), start = System.nanoTime();
            CudaSimulator.stall(Duration.ofMillis(30));
            m.ok("cuMemsetD8Async", a, 0, 64L, stream);
            m.ok("cuStreamSynchronize", stream);
            assertTrue(System.nanoTime() - start >= 25_000_000);
        }
    }

    @Test
    void aResetEndsEverythingAndOldHandlesAreRefused() {
        try (Machine m = new Machine().load("products")) {
            long stream = m.stream(), a = m.alloc(64);
            CudaSimulator.stallForEver();
            m.ok("cuMemsetD8Async", a, 0, 64L, stream);
            CudaSimulator.reset();
            assertEquals(3, m.call("cuMemFree_v2", a));
            m.ok("cuInit", 0);
            assertEquals(201, m.call("cuMemFree_v2", a));
            m.ok("cuCtxSetCurrent", m.get("cuDevicePrimaryCtxRetain", 0));
            assertEquals(INVALID_HANDLE, m.call("cuStreamSynchronize", stream));
            assertEquals(INVALID_VALUE, m.call("cuMemFree_v2", a));
            assertNotEquals(a, m.alloc(64), "no address is used twice");
        }
    }

    // ---- the device ----

    @Test
    void theDeviceIsWhatTheSettingsSay() {
        try (Machine m = new Machine()) {
            CudaSimulator.set("device.major", 8);
            CudaSimulator.set("driver.version", 12040);
            CudaSimulator.set("device.count", 2);
            CudaSimulator.deviceName("A simulated device");
            MemorySegment name = m.arena.allocate(100);
            m.ok("cuDeviceGetName", name, 100, 1);
            assertEquals("A simulated device", name.getString(0));
            assertEquals(8, m.getInt("cuDeviceGetAttribute", 75, 1));
            assertEquals(12040, m.getInt("cuDriverGetVersion"));
            assertEquals(2, m.getInt("cuDeviceGetCount"));
            assertEquals(101, m.call("cuDeviceGet", m.arena.allocate(4), 2));
        }
    }

    @Test
    void tensorMapsAreChecked() {
        try (Machine m = new Machine()) {
            long data = m.alloc(64 * 128 * 2);
            assertEquals(0, tensorMap(m, data, 128, 64));
            assertEquals(INVALID_VALUE, tensorMap(m, data + 8, 128, 64), "the tensor is not aligned");
            assertEquals(INVALID_VALUE, tensorMap(m, data, 120, 64), "a stride is no multiple of 16");
            assertEquals(INVALID_VALUE, tensorMap(m, data, 128, 128), "rows longer than the swizzle");
        }
    }

    /** bf16, two dimensions, a box of 8 rows, swizzle of 128 bytes. */
    private static int tensorMap(Machine m, long data, long rowBytes, int boxColumns) {
        return m.call(
                "cuTensorMapEncodeTiled",
                m.arena.allocate(128, 64),
                9,
                2,
                data,
                m.arena.allocateFrom(JAVA_LONG, 64, 128),
                m.arena.allocateFrom(JAVA_LONG, rowBytes),
                m.arena.allocateFrom(JAVA_INT, boxColumns, 8),
                m.arena.allocateFrom(JAVA_INT, 1, 1),
                0,
                3,
                0,
                0);
    }
}
