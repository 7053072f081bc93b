package dev.rheostat.cuda;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.rheostat.cuda.sim.CudaSimulator;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.Parameter;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.EnumSource;

/** What goes wrong with a GPU, made to happen on the simulator: what is thrown says it, and nothing hides it. */
@ParameterizedClass
@EnumSource(Binding.class)
@Timeout(60)
class FaultTest {
    private static final int N = 256;

    @Parameter
    private Binding binding;

    private CudaApi api;

    @BeforeEach
    void open() {
        assumeTrue(TestKernels.simulated(), "faults are injected into the simulator alone");
        api = binding.open();
    }

    @AfterEach
    void repair() {
        if (TestKernels.simulated() && CudaSimulator.available()) CudaSimulator.reset();
    }

    private CudaException refused(Runnable work) {
        return assertThrows(CudaException.class, work::run);
    }

    private static void says(CudaException e, String... parts) {
        for (String part : parts)
            assertTrue(e.getMessage().contains(part), () -> part + " is not in " + e.getMessage());
        assertEquals(1, e.getMessage().lines().count(), e.getMessage());
    }

    @Test
    void aMachineWithoutADeviceSaysSo() {
        CudaSimulator.set("device.count", 0);
        says(refused(() -> CudaDevice.open(api, 0)), "CUDA_ERROR_NO_DEVICE", "CUDA_VISIBLE_DEVICES", "device: cpu");
    }

    @Test
    void anOldDriverIsRefusedByNumber() {
        CudaSimulator.set("driver.version", 12_040);
        try (CudaDevice device = CudaDevice.open(api, 0)) {
            CudaDevice.requireDriver(api, 12_090);
            CudaException e = refused(() -> CudaDevice.requireDriver(device.api(), 13_000));
            says(e, "serves CUDA 12.4", "CUDA 13.0 is needed", "580");
        }
        CudaSimulator.set("driver.version", 11_080);
        says(refused(() -> CudaDevice.open(api, 0)), "serves CUDA 11.8", "CUDA 12.0 is needed", "525");
    }

    @Test
    void aBusyDeviceIsRefusedAndCanBeAskedAgain() {
        CudaSimulator.failCall("cuDevicePrimaryCtxRetain", 1, 46);
        CudaException e = refused(() -> CudaDevice.open(api, 0));
        says(e, "CUDA_ERROR_DEVICE_UNAVAILABLE", "exclusive mode", "device=0");
        assertFalse(e.sticky());
        CudaDevice.open(api, 0).close();
    }

    @Test
    void aDeviceThatCannotBeMadeCurrentIsNotHeld() {
        CudaSimulator.failCall("cuCtxSetCurrent", 1, 2);
        refused(() -> CudaDevice.open(api, 0));
        assertEquals(
                CudaSimulator.counter("cuDevicePrimaryCtxRetain"), CudaSimulator.counter("cuDevicePrimaryCtxRelease"));
    }

    @Test
    void memoryThatOthersHoldIsNamedWithWhatIsFree() {
        CudaSimulator.set("device.limit", 1 << 20);
        try (CudaDevice device = CudaDevice.open(api, 0);
                DeviceBuffer half = new DeviceBuffer(api, 600_000, "weights")) {
            long free = device.freeBytes();
            CudaException e = refused(() -> new DeviceBuffer(api, 600_000, "activations of 4 micro-batches"));
            says(e, "bytes=600000", "for activations of 4 micro-batches", free + " of", "nvidia-smi");
            assertTrue(e.outOfMemory());
            new DeviceBuffer(api, 100_000, "what still fits").close();
            assertEquals(600_000, half.bytes());
        }
    }

    @Test
    void mappedMemoryThatTheDeviceCannotSeeIsGivenBack() {
        try (CudaDevice device = CudaDevice.open(api, 0)) {
            long before = CudaSimulator.counter("allocations");
            CudaSimulator.failCall("cuMemHostGetDevicePointer", 1, 801);
            refused(() -> new MappedMemory(api, 4096));
            assertEquals(before, CudaSimulator.counter("allocations"));
            CudaSimulator.failCall("cuMemHostAlloc", 1, 2);
            assertTrue(refused(() -> new MappedMemory(device.api(), 4096)).outOfMemory());
        }
    }

    /** A device with two buffers and a kernel, closed as a program would. */
    private void onDevice(Work work) throws Exception {
        try (CudaDevice device = CudaDevice.open(api, 0);
                CudaStream stream = new CudaStream(device.api());
                CudaModule module = new CudaModule(api, TestKernels.image());
                DeviceBuffer x = new DeviceBuffer(api, 4 * N, "x");
                DeviceBuffer y = new DeviceBuffer(api, 4 * N, "y");
                MappedMemory record = new MappedMemory(api, 64);
                CudaEvent event = CudaEvent.ofOrder(api);
                KernelArgs args = new KernelArgs()) {
            x.fill((byte) 0, stream);
            y.fill((byte) 0, stream);
            args.ptr(y.address()).ptr(x.address()).f32(1).i64(N);
            CudaKernel kernel = module.kernel("conformance_axpy");
            kernel.registers(); // loads it
            event.record(stream);
            work.run(stream, () -> kernel.launch(stream, LaunchShape.of(N / 128, 128), args));
            assertEquals(64, record.bytes());
        }
    }

    private interface Work {
        void run(CudaStream stream, Runnable launch);
    }

    @Test
    void aKernelThatFailsKillsTheContextAndClosingHidesNothing() throws Exception {
        onDevice((stream, launch) -> {
            CudaSimulator.failKernel("conformance_axpy", 2, 719);
            launch.run();
            launch.run();
            CudaException e = refused(stream::synchronize);
            assertTrue(e.sticky());
            says(e, "cuStreamSynchronize", "CUDA_ERROR_LAUNCH_FAILED", "last checkpoint", "compute-sanitizer");
            assertEquals(719, refused(stream::idle).code());
            assertEquals(719, refused(launch).code());
            says(refused(launch), "kernel conformance_axpy");
            assertEquals(719, refused(() -> new DeviceBuffer(api, 64, "more")).code());
        });
    }

    @Test
    void whoAsksAStreamWhetherItIsIdleLearnsOfTheFailure() throws Exception {
        onDevice((stream, launch) -> {
            CudaSimulator.failKernel("", 1, 700);
            launch.run();
            CudaException e = refused(() -> {
                while (!stream.idle()) Thread.onSpinWait();
            });
            says(e, "cuStreamQuery", "CUDA_ERROR_ILLEGAL_ADDRESS");
        });
    }

    @Test
    void aStrayAccessIsAnIllegalAddress() throws Exception {
        try (CudaDevice device = CudaDevice.open(api, 0);
                CudaStream stream = new CudaStream(device.api());
                CudaModule module = new CudaModule(api, TestKernels.image());
                DeviceBuffer x = new DeviceBuffer(api, 4 * N, "x");
                DeviceBuffer y = new DeviceBuffer(api, 4 * N, "y");
                KernelArgs args = new KernelArgs()) {
            x.fill((byte) 0, stream);
            y.fill((byte) 0, stream);
            args.ptr(y.address()).ptr(x.address()).f32(1).i64(N + 1);
            module.kernel("conformance_axpy").launch(stream, LaunchShape.of(N / 128 + 1, 128), args);
            CudaException e = refused(stream::synchronize);
            assertEquals("CUDA_ERROR_ILLEGAL_ADDRESS", e.errorName());
            assertTrue(CudaSimulator.lastError().contains("conformance_axpy"), CudaSimulator.lastError());
        }
    }

    @Test
    void aLostDeviceAnswersEveryCallAndIsClosedQuietly() throws Exception {
        onDevice((stream, launch) -> {
            launch.run();
            stream.synchronize();
            CudaSimulator.loseDevice(999);
            CudaException e = refused(launch);
            assertTrue(e.sticky());
            says(e, "CUDA_ERROR_UNKNOWN", "Xid", "device: cuda:N", "last checkpoint");
            assertEquals(999, refused(stream::idle).code());
        });
    }

    @Test
    void aStreamThatIsStuckIsNotIdleAndNotFailed() throws Exception {
        onDevice((stream, launch) -> {
            stream.synchronize();
            CudaSimulator.stallForEver();
            launch.run();
            for (int i = 0; i < 100; i++) assertFalse(stream.idle());
            CudaSimulator.stall(Duration.ZERO);
            stream.synchronize();
            assertTrue(stream.idle());
        });
    }

    @Test
    void aFailureInsideACaptureLeavesNoGraph() throws Exception {
        onDevice((stream, launch) -> {
            CudaSimulator.failCall("cuLaunchKernel", 1, 701);
            says(
                    refused(() -> CudaGraph.capture(stream, launch)),
                    "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES",
                    "kernel conformance_axpy");
            try (CudaGraph graph = CudaGraph.capture(stream, launch)) {
                assertEquals(1, graph.nodeCount());
            }
        });
    }

    /** Work for a capture, whose kernel is loaded before it. */
    private static Runnable recorded(CudaModule module, Runnable work) {
        assertTrue(module.kernel("conformance_axpy").registers() > 0);
        return work;
    }

    @Test
    void aKernelIsLoadedBeforeACaptureAndNotWithinIt() throws Exception {
        CudaApi api = binding.open();
        try (CudaDevice device = CudaDevice.open(api, 0);
                CudaStream stream = new CudaStream(api);
                CudaModule module = new CudaModule(api, TestKernels.image());
                DeviceBuffer y = new DeviceBuffer(api, 4 * N, "y");
                KernelArgs args = new KernelArgs()) {
            CudaKernel kernel = module.kernel("conformance_axpy");
            args.ptr(y.address()).ptr(y.address()).f32(1).i64(N);
            Runnable launch = () -> kernel.launch(stream, LaunchShape.of(2, 128), args);
            CudaException e = refused(() -> CudaGraph.capture(stream, launch));
            assertEquals("CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", e.errorName());
            assertEquals("kernel conformance_axpy is loaded while a stream records", CudaSimulator.lastError());
            assertTrue(kernel.registers() > 0 && device.freeBytes() > 0);
            CudaGraph.capture(stream, launch).close();
        }
    }

    /** A program that uses most functions; @return its calls, as the simulator logged them. */
    private static List<String> calls(Binding binding) throws Exception {
        CudaApi api = binding.open();
        CudaSimulator.startLog();
        try (Arena arena = Arena.ofConfined();
                CudaDevice device = CudaDevice.open(api, 0);
                CudaStream stream = new CudaStream(api);
                CudaModule module = new CudaModule(api, TestKernels.image());
                DeviceBuffer y = new DeviceBuffer(api, 4 * N, "y");
                MappedMemory x = new MappedMemory(api, 4 * N);
                KernelArgs args = new KernelArgs();
                CudaGraph graph = CudaGraph.capture(stream, recorded(module, () -> {
                    y.fill((byte) 0, stream);
                    args.ptr(y.address()).ptr(x.deviceAddress()).f32(1).i64(N);
                    module.kernel("conformance_axpy").launch(stream, LaunchShape.of(2, 128), args);
                }));
                CudaGraphExec exec = graph.instantiate()) {
            exec.upload(stream);
            for (int i = 0; i < 3; i++) exec.launch(stream);
            MemorySegment host = arena.allocate(JAVA_FLOAT, N);
            y.read(0, host, stream);
            stream.synchronize();
            assertTrue(device.freeBytes() > 0);
        }
        List<String> log = new ArrayList<>(CudaSimulator.log());
        // two names of one call
        log.replaceAll(line -> line.replace("cuModuleLoadDataEx options=0", "cuModuleLoadData"));
        return log;
    }

    @Test
    void bothBindingsMakeTheSameCallsAndAGraphLaunchIsOne() throws Exception {
        List<String> calls = calls(binding);
        List<String> launches =
                calls.stream().filter(line -> line.contains("Launch")).toList();
        assertEquals(4, launches.size(), launches::toString); // one kernel into the capture, three graphs
        int first = calls.indexOf(launches.get(1));
        for (int i = 0; i < 3; i++) assertTrue(calls.get(first + i).contains("cuGraphLaunch"), calls::toString);
        assertEquals(calls(Binding.FFM), calls);
    }
}
