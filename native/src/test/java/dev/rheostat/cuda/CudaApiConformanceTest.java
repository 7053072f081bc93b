package dev.rheostat.cuda;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.VarHandle;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.Parameter;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.EnumSource;

/** What {@link CudaApi} promises, of each binding, on the simulator or (with -Pgpu) on the machine's driver. */
@ParameterizedClass
@EnumSource(Binding.class)
@Timeout(60)
class CudaApiConformanceTest {
    private static final VarHandle NUMBER = JAVA_LONG.varHandle();
    private static final int N = 1000; // not a multiple of a block

    @Parameter
    private Binding binding;

    private CudaDevice device;
    private CudaStream stream;
    private CudaModule module;
    private CudaKernel axpy;
    private CudaApi api;
    private final Arena arena = Arena.ofConfined();

    @BeforeEach
    void open() throws Exception {
        api = binding.open();
        device = CudaDevice.open(api, 0);
        stream = new CudaStream(api);
        module = new CudaModule(api, TestKernels.image());
        axpy = module.kernel("conformance_axpy");
        axpy.registers(); // loads it: captures are no place for that
    }

    @AfterEach
    void close() {
        arena.close();
        if (module != null) module.close();
        if (stream != null) stream.close();
        if (device != null) device.close();
    }

    private DeviceBuffer floats(float first, float step) {
        MemorySegment host = arena.allocate(JAVA_FLOAT, N);
        for (int i = 0; i < N; i++) host.setAtIndex(JAVA_FLOAT, i, first + i * step);
        DeviceBuffer buffer = new DeviceBuffer(api, 4L * N, "floats");
        buffer.write(0, host, stream);
        stream.synchronize();
        return buffer;
    }

    private float[] read(DeviceBuffer buffer) {
        MemorySegment host = arena.allocate(JAVA_FLOAT, N);
        buffer.read(0, host, stream);
        stream.synchronize();
        return host.toArray(JAVA_FLOAT);
    }

    private void axpy(KernelArgs args, DeviceBuffer y, DeviceBuffer x, float a) {
        axpy.launch(
                stream,
                LaunchShape.of((N + 127) / 128, 128),
                args.reset().ptr(y.address()).ptr(x.address()).f32(a).i64(N));
    }

    @Test
    void theDeviceTellsWhatItIs() {
        assertTrue(device.name().length() > 2, device.name());
        assertTrue(device.computeCapability() >= 80 && device.computeCapability() < 200, device::toString);
        assertTrue(device.multiprocessors() > 0 && device.l2Bytes() > 0, device::toString);
        assertTrue(device.sharedBytesPerBlock() >= 99 << 10, "least of compute capability 8.x");
        assertTrue(device.freeBytes() > 0 && device.freeBytes() <= device.totalBytes());
        assertTrue(api.driverVersion() >= 12_000, "driver " + api.driverVersion());
        assertTrue(device.toString().contains(api.binding()));
        String busId = device.pciBusId();
        assertTrue(busId.matches("[0-9A-F]{8}:[0-9A-F]{2}:[0-9A-F]{2}\\.0"), busId);
        if (!Boolean.getBoolean("rheostat.gpu")) assertEquals("00000000:01:00.0", busId);
    }

    @Test
    void theBindingsSeeOneDevice() {
        CudaApi ffm = Cuda.ffm();
        assertEquals(ffm.driverVersion(), api.driverVersion());
        assertEquals(ffm.deviceCount(), api.deviceCount());
        assertEquals(ffm.deviceName(ffm.device(0)), device.name());
        assertEquals(api.device(0), api.contextDevice());
        assertEquals(ffm.deviceTotalBytes(ffm.device(0)), device.totalBytes());
        assertEquals(
                ffm.deviceAttribute(DeviceAttribute.SHARED_BYTES_PER_BLOCK_OPTIN, ffm.device(0)),
                device.sharedBytesPerBlock());
    }

    @Test
    void bytesTravelToTheDeviceAndBack() {
        byte[] sent = "0123456789abcdef".getBytes(StandardCharsets.US_ASCII);
        try (DeviceBuffer one = new DeviceBuffer(api, 16, "one");
                DeviceBuffer two = new DeviceBuffer(api, 32, "two")) {
            one.write(0, arena.allocateFrom(JAVA_BYTE, sent), stream);
            two.fill((byte) '.', stream);
            api.copyOnDevice(two.address() + 8, one.address() + 4, 12, stream.handle());
            MemorySegment back = arena.allocate(32);
            two.read(0, back, stream);
            stream.synchronize();
            assertEquals(
                    "........456789abcdef............", new String(back.toArray(JAVA_BYTE), StandardCharsets.US_ASCII));
            assertThrows(IllegalArgumentException.class, () -> two.read(8, back, stream));
            assertThrows(IllegalArgumentException.class, () -> two.write(0, MemorySegment.ofArray(sent), stream));
        }
    }

    @Test
    void memoryThatIsNotThereIsRefusedWithWhatWasFree() {
        long total = device.totalBytes();
        CudaException e = assertThrows(CudaException.class, () -> new DeviceBuffer(api, total * 4, "activations"));
        assertTrue(e.outOfMemory() && !e.sticky());
        assertEquals("CUDA_ERROR_OUT_OF_MEMORY", e.errorName());
        for (String part : new String[] {
            "cuMemAlloc_v2 bytes=" + total * 4, "for activations", "of " + total + " bytes free", "micro-batch"
        }) assertTrue(e.getMessage().contains(part), e.getMessage());
    }

    @Test
    void parametersOfAllKindsArrive() {
        MemorySegment mixed = arena.allocate(24, 8); // struct { float; double; int16_t; }
        mixed.set(JAVA_FLOAT, 0, 3.5f);
        mixed.set(JAVA_DOUBLE, 8, -4.25);
        mixed.set(JAVA_SHORT, 16, (short) -5);
        try (DeviceBuffer out = new DeviceBuffer(api, 56, "out");
                KernelArgs args = new KernelArgs()) {
            args.i32(-1)
                    .ptr(out.address())
                    .f32(2.5f)
                    .i64(1L << 40)
                    .struct(mixed, 8)
                    .f64(Math.PI);
            module.kernel("conformance_parameters").launch(stream, LaunchShape.of(1, 32), args);
            MemorySegment back = arena.allocate(56, 8);
            out.read(0, back, stream);
            stream.synchronize();
            assertArrayEquals(new double[] {-1, 2.5, 1L << 40, 3.5, -4.25, -5, Math.PI}, back.toArray(JAVA_DOUBLE));
        }
    }

    @Test
    void gridAndBlockHaveTheShapeThatWasAskedFor() {
        try (DeviceBuffer where = new DeviceBuffer(api, 2 * 24 * 4, "where");
                KernelArgs args = new KernelArgs()) {
            module.kernel("conformance_shape")
                    .launch(stream, new LaunchShape(4, 3, 2, 32, 2, 0), args.ptr(where.address()));
            MemorySegment back = arena.allocate(2 * 24 * 4, 4);
            where.read(0, back, stream);
            stream.synchronize();
            for (int block = 0; block < 24; block++)
                for (int y = 0; y < 2; y++)
                    assertEquals(
                            block % 4 + 100 * (block / 4 % 3) + 10000 * (block / 12) + 1000000 * y,
                            back.getAtIndex(JAVA_INT, 2 * block + y));
        }
    }

    @Test
    void aKernelTellsItsResources() {
        CudaKernel kernel = module.kernel("conformance_axpy");
        assertTrue(kernel.maxThreads() >= 128 && kernel.maxThreads() <= 1024, "threads " + kernel.maxThreads());
        assertTrue(kernel.registers() >= 0 && kernel.registers() <= 255, "registers " + kernel.registers());
        assertEquals(0, kernel.localBytes());
        assertEquals(0, kernel.staticSharedBytes());
    }

    @Test
    void sharedMemoryPast48KiBMustBeAllowed() {
        int count = 64 << 8; // floats, 64 KiB
        CudaKernel kernel = module.kernel("conformance_shared");
        LaunchShape shape = LaunchShape.of(1, 64).withSharedBytes(4 * count);
        try (DeviceBuffer out = new DeviceBuffer(api, 4, "out");
                KernelArgs args = new KernelArgs()) {
            args.ptr(out.address()).i32(count);
            CudaException refused = assertThrows(CudaException.class, () -> kernel.launch(stream, shape, args));
            assertEquals("CUDA_ERROR_INVALID_VALUE", refused.errorName());
            assertTrue(refused.getMessage().contains("kernel conformance_shared"), refused.getMessage());
            assertTrue(refused.getMessage().contains("sharedBytes=" + 4 * count), refused.getMessage());
            kernel.allowSharedBytes(4 * count);
            kernel.launch(stream, shape, args);
            MemorySegment back = arena.allocate(4, 4);
            out.read(0, back, stream);
            stream.synchronize();
            float sum = 0;
            for (int i = 0; i < count; i++) sum += i % 7;
            assertEquals(sum, back.get(JAVA_FLOAT, 0));
            int tooMuch = device.sharedBytesPerBlock() + 1;
            CudaException e = assertThrows(CudaException.class, () -> kernel.allowSharedBytes(tooMuch));
            assertTrue(e.getMessage().contains("value=" + tooMuch), e.getMessage());
        }
    }

    @Test
    void whatAKernelPublishesInMappedMemoryReachesTheJvm() {
        try (MappedMemory record = new MappedMemory(api, 4096);
                DeviceBuffer payload = floats(42, 0);
                KernelArgs args = new KernelArgs()) {
            assertEquals(0, record.host().get(JAVA_LONG, 0));
            assertEquals(4096, record.host().byteSize());
            for (long number = 1; number <= 3; number++) {
                args.reset().ptr(record.deviceAddress()).ptr(payload.address()).i64(number);
                module.kernel("conformance_publish").launch(stream, LaunchShape.of(1, 32), args);
                while ((long) NUMBER.getAcquire(record.host(), 0L) != number) Thread.onSpinWait();
                assertEquals(42, record.host().get(JAVA_LONG, 8));
            }
            stream.synchronize();
        }
    }

    @Test
    void mappedMemoryIsReadByKernelsInPlace() {
        try (MappedMemory x = new MappedMemory(api, 4L * N);
                DeviceBuffer y = floats(1, 0);
                KernelArgs args = new KernelArgs()) {
            for (int i = 0; i < N; i++) x.host().setAtIndex(JAVA_FLOAT, i, i);
            args.ptr(y.address()).ptr(x.deviceAddress()).f32(2).i64(N);
            module.kernel("conformance_axpy").launch(stream, LaunchShape.of(8, 128), args);
            assertEquals(1 + 2 * 999f, read(y)[999]);
        }
    }

    @Test
    void aStreamWaitsForAnEventOfAnother() {
        try (CudaStream other = new CudaStream(api);
                CudaEvent start = CudaEvent.ofTime(api);
                CudaEvent end = CudaEvent.ofTime(api);
                CudaEvent ready = CudaEvent.ofOrder(api);
                DeviceBuffer x = floats(1, 1);
                DeviceBuffer y = floats(0, 0);
                KernelArgs args = new KernelArgs()) {
            start.record(stream);
            for (int i = 0; i < 8; i++) axpy(args, y, x, 1);
            ready.record(stream);
            end.record(stream);
            other.waitFor(ready);
            MemorySegment seen = arena.allocate(4L * N, 4);
            y.read(0, seen, other);
            other.synchronize();
            assertTrue(ready.done());
            assertEquals(8 * 1000f, seen.getAtIndex(JAVA_FLOAT, N - 1));
            end.synchronize();
            assertTrue(end.done());
            assertTrue(end.secondsSince(start) >= 0 && end.secondsSince(start) < 60);
            while (!stream.idle()) Thread.onSpinWait();
        }
    }

    @Test
    void aCapturedGraphRunsWhenItIsLaunchedAndNotBefore() {
        try (DeviceBuffer x = floats(1, 1);
                DeviceBuffer y = floats(0, 0);
                DeviceBuffer z = floats(7, 0);
                KernelArgs args = new KernelArgs()) {
            CudaGraphExec step;
            try (CudaGraph graph = CudaGraph.capture(stream, () -> {
                axpy(args, y, x, 3);
                api.memset8(z.address(), (byte) 0, 4, stream.handle());
                api.copyOnDevice(z.address() + 4, y.address() + 4, 4, stream.handle());
            })) {
                assertEquals(3, graph.nodeCount());
                step = graph.instantiate();
            }
            assertEquals(0f, read(y)[5], "a capture runs nothing");
            args.reset(); // parameters were read when they were captured
            step.upload(stream);
            step.launch(stream);
            step.launch(stream);
            assertEquals(2 * 3 * 6f, read(y)[5]);
            assertArrayEquals(new float[] {0, 12, 7}, new float[] {read(z)[0], read(z)[1], read(z)[2]});
            step.close();
            step.close();
        }
    }

    @Test
    void anExecutableGraphTakesOtherParametersButNoOtherForm() {
        try (DeviceBuffer x = floats(1, 0);
                DeviceBuffer y = floats(0, 0);
                KernelArgs args = new KernelArgs();
                CudaGraph one = CudaGraph.capture(stream, () -> axpy(args, y, x, 1));
                CudaGraph ten = CudaGraph.capture(stream, () -> axpy(args, y, x, 10));
                CudaGraph two = CudaGraph.capture(stream, () -> {
                    axpy(args, y, x, 100);
                    axpy(args, y, x, 100);
                });
                CudaGraphExec exec = one.instantiate()) {
            exec.launch(stream);
            assertTrue(exec.update(ten));
            exec.launch(stream);
            assertFalse(exec.update(two));
            exec.launch(stream);
            assertEquals(21f, read(y)[0]);
        }
    }

    @Test
    void aCaptureThatFailsLeavesTheStreamUsable() {
        IllegalStateException e = assertThrows(
                IllegalStateException.class,
                () -> CudaGraph.capture(stream, () -> {
                    throw new IllegalStateException("the work failed");
                }));
        assertEquals("the work failed", e.getMessage());
        try (DeviceBuffer y = floats(3, 0)) {
            assertEquals(3f, read(y)[0]);
        }
    }

    @Test
    void waitingInsideACaptureIsRefused() {
        CudaException e =
                assertThrows(CudaException.class, () -> CudaGraph.capture(stream, () -> stream.synchronize()));
        assertTrue(e.errorName().startsWith("CUDA_ERROR_STREAM_CAPTURE"), e.getMessage());
        assertFalse(e.sticky());
        stream.synchronize();
    }

    @Test
    void aKernelThatIsNotThereIsNamed() {
        CudaException e = assertThrows(CudaException.class, () -> module.kernel("no_such_kernel"));
        assertEquals("CUDA_ERROR_NOT_FOUND", e.errorName());
        assertTrue(e.getMessage().contains("cuModuleGetFunction name=no_such_kernel"), e.getMessage());
    }

    @Test
    void anImageThatIsNoneIsRefused() {
        byte[] text = "this is no kernel image".getBytes(StandardCharsets.US_ASCII);
        CudaException e = assertThrows(CudaException.class, () -> new CudaModule(api, text));
        assertTrue(
                e.errorName().equals("CUDA_ERROR_INVALID_IMAGE")
                        || e.errorName().equals("CUDA_ERROR_INVALID_PTX"),
                e.getMessage());
        assertTrue(e.getMessage().contains("bytes=" + (text.length + 8)), e.getMessage());
        assertTrue(e.cure().contains("kernel images"), e.getMessage());
    }

    @Test
    void aDeviceThatIsNotThereIsRefusedByNumber() {
        CudaException e = assertThrows(CudaException.class, () -> CudaDevice.open(api, 64));
        assertEquals("CUDA_ERROR_INVALID_DEVICE", e.errorName());
        assertTrue(e.getMessage().contains("ordinal=64"), e.getMessage());
    }

    @Test
    void aDriverOlderThanTheImageIsRefusedByNumber() {
        int driver = api.driverVersion();
        CudaDevice.requireDriver(api, driver);
        CudaDevice.requireDriver(api, driver / 1000 * 1000 + 990); // minor versions are compatible
        CudaException e = assertThrows(CudaException.class, () -> CudaDevice.requireDriver(api, driver + 1000));
        assertTrue(e.code() < 0 && e.getMessage().contains(CudaDevice.version(driver)), e.getMessage());
        assertTrue(e.getMessage().contains("580"), e.getMessage());
    }

    @Test
    void anotherThreadBindsTheDevice() throws Exception {
        try (DeviceBuffer y = floats(5, 0)) {
            float[][] seen = new float[1][];
            Thread thread = Thread.ofPlatform().start(() -> {
                device.bind();
                try (Arena local = Arena.ofConfined();
                        CudaStream own = new CudaStream(api)) {
                    MemorySegment host = local.allocate(4, 4);
                    y.read(0, host, own);
                    own.synchronize();
                    seen[0] = host.toArray(JAVA_FLOAT);
                }
            });
            thread.join();
            assertArrayEquals(new float[] {5}, seen[0]);
        }
    }

    @Test
    void closingTwiceIsHarmless() {
        DeviceBuffer buffer = new DeviceBuffer(api, 256, "buffer");
        MappedMemory mapped = new MappedMemory(api, 256);
        CudaEvent event = CudaEvent.ofOrder(api);
        CudaStream second = new CudaStream(api);
        KernelArgs args = new KernelArgs();
        for (AutoCloseable resource :
                new AutoCloseable[] {buffer, mapped, event, second, args, module, stream, device}) {
            for (int i = 0; i < 2; i++) {
                try {
                    resource.close();
                } catch (Exception e) {
                    throw new AssertionError(resource + " closed " + (i + 1) + " times", e);
                }
            }
        }
    }

    @Test
    void theProfilersRangeIsMarked() {
        api.profilerStart();
        api.profilerStop();
    }
}
