package dev.rheostat.cuda;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.rheostat.ffi.CudaDevices;
import dev.rheostat.ffi.CudaGraphs;
import dev.rheostat.ffi.CudaLibrary;
import dev.rheostat.ffi.CudaMemory;
import dev.rheostat.ffi.CudaModules;
import dev.rheostat.ffi.CudaStreams;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.ref.Reference;

/**
 * The driver through the JDK's Foreign Function and Memory API. Without state: any number of threads may share one.
 * The calls of a running step (launches, stream and event queries) allocate nothing.
 */
final class FfmCuda implements CudaApi {
    private static final int HOST_ALLOC_PORTABLE = 1, HOST_ALLOC_MAPPED = 2;
    private static final int STREAM_NON_BLOCKING = 1;
    private static final int EVENT_DISABLE_TIMING = 2;
    private static final int CAPTURE_THREAD_LOCAL = 1;

    /** @throws CudaException naming every place where a driver was looked for */
    FfmCuda() {
        if (!CudaLibrary.DRIVER.status().available())
            throw CudaException.noDriver(CudaLibrary.DRIVER.status().detail());
    }

    private static void check(int status, String call) {
        if (status != 0) throw new CudaException(status, call);
    }

    @Override
    public String binding() {
        return "FFM";
    }

    @Override
    public void init() {
        check(CudaDevices.init(0), "cuInit");
    }

    @Override
    public int driverVersion() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment version = arena.allocate(JAVA_INT);
            check(CudaDevices.driverVersion(version), "cuDriverGetVersion");
            return version.get(JAVA_INT, 0);
        }
    }

    @Override
    public int deviceCount() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment count = arena.allocate(JAVA_INT);
            check(CudaDevices.count(count), "cuDeviceGetCount");
            return count.get(JAVA_INT, 0);
        }
    }

    @Override
    public int device(int ordinal) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment device = arena.allocate(JAVA_INT);
            check(CudaDevices.get(device, ordinal), "cuDeviceGet ordinal=" + ordinal);
            return device.get(JAVA_INT, 0);
        }
    }

    @Override
    public String deviceName(int device) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment name = arena.allocate(256);
            check(CudaDevices.name(name, 256, device), "cuDeviceGetName device=" + device);
            return name.getString(0);
        }
    }

    @Override
    public int deviceAttribute(int attribute, int device) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment value = arena.allocate(JAVA_INT);
            check(
                    CudaDevices.attribute(value, attribute, device),
                    "cuDeviceGetAttribute attribute=" + attribute + " device=" + device);
            return value.get(JAVA_INT, 0);
        }
    }

    @Override
    public long deviceTotalBytes(int device) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment bytes = arena.allocate(JAVA_LONG);
            check(CudaDevices.totalBytes(bytes, device), "cuDeviceTotalMem_v2 device=" + device);
            return bytes.get(JAVA_LONG, 0);
        }
    }

    @Override
    public long primaryContextRetain(int device) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment context = arena.allocate(JAVA_LONG);
            check(CudaDevices.primaryContextRetain(context, device), "cuDevicePrimaryCtxRetain device=" + device);
            return context.get(JAVA_LONG, 0);
        }
    }

    @Override
    public void primaryContextRelease(int device) {
        check(CudaDevices.primaryContextRelease(device), "cuDevicePrimaryCtxRelease_v2 device=" + device);
    }

    @Override
    public void contextSetCurrent(long context) {
        check(CudaDevices.contextSetCurrent(context), "cuCtxSetCurrent");
    }

    @Override
    public int contextDevice() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment device = arena.allocate(JAVA_INT);
            check(CudaDevices.contextDevice(device), "cuCtxGetDevice");
            return device.get(JAVA_INT, 0);
        }
    }

    @Override
    public long[] memoryInfo() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment free = arena.allocate(JAVA_LONG), total = arena.allocate(JAVA_LONG);
            check(CudaMemory.info(free, total), "cuMemGetInfo_v2");
            return new long[] {free.get(JAVA_LONG, 0), total.get(JAVA_LONG, 0)};
        }
    }

    @Override
    public long memAlloc(long bytes) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment address = arena.allocate(JAVA_LONG);
            check(CudaMemory.alloc(address, bytes), "cuMemAlloc_v2 bytes=" + bytes);
            return address.get(JAVA_LONG, 0);
        }
    }

    @Override
    public void memFree(long address) {
        check(CudaMemory.free(address), "cuMemFree_v2");
    }

    @Override
    public long hostAlloc(long bytes) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment address = arena.allocate(JAVA_LONG);
            check(
                    CudaMemory.hostAlloc(address, bytes, HOST_ALLOC_PORTABLE | HOST_ALLOC_MAPPED),
                    "cuMemHostAlloc bytes=" + bytes);
            return address.get(JAVA_LONG, 0);
        }
    }

    @Override
    public void hostFree(long hostAddress) {
        check(CudaMemory.hostFree(hostAddress), "cuMemFreeHost");
    }

    @Override
    public long hostDevicePointer(long hostAddress) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment address = arena.allocate(JAVA_LONG);
            check(CudaMemory.hostDevicePointer(address, hostAddress, 0), "cuMemHostGetDevicePointer_v2");
            return address.get(JAVA_LONG, 0);
        }
    }

    @Override
    public void copyToDevice(long destination, long hostSource, long bytes, long stream) {
        int status = CudaMemory.copyToDevice(destination, hostSource, bytes, stream);
        if (status != 0) throw new CudaException(status, "cuMemcpyHtoDAsync_v2 bytes=" + bytes);
    }

    @Override
    public void copyToHost(long hostDestination, long source, long bytes, long stream) {
        int status = CudaMemory.copyToHost(hostDestination, source, bytes, stream);
        if (status != 0) throw new CudaException(status, "cuMemcpyDtoHAsync_v2 bytes=" + bytes);
    }

    @Override
    public void copyOnDevice(long destination, long source, long bytes, long stream) {
        int status = CudaMemory.copyOnDevice(destination, source, bytes, stream);
        if (status != 0) throw new CudaException(status, "cuMemcpyDtoDAsync_v2 bytes=" + bytes);
    }

    @Override
    public void memset8(long destination, byte value, long bytes, long stream) {
        int status = CudaMemory.memset8(destination, value, bytes, stream);
        if (status != 0) throw new CudaException(status, "cuMemsetD8Async bytes=" + bytes);
    }

    @Override
    public long streamCreate() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment stream = arena.allocate(JAVA_LONG);
            check(CudaStreams.create(stream, STREAM_NON_BLOCKING), "cuStreamCreate");
            return stream.get(JAVA_LONG, 0);
        }
    }

    @Override
    public void streamDestroy(long stream) {
        check(CudaStreams.destroy(stream), "cuStreamDestroy_v2");
    }

    @Override
    public void streamSynchronize(long stream) {
        check(CudaStreams.synchronize(stream), "cuStreamSynchronize");
    }

    @Override
    public boolean streamQuery(long stream) {
        int status = CudaStreams.query(stream);
        if (status == CudaErrors.NOT_READY) return false;
        check(status, "cuStreamQuery");
        return true;
    }

    @Override
    public long eventCreate(boolean timing) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment event = arena.allocate(JAVA_LONG);
            check(CudaStreams.eventCreate(event, timing ? 0 : EVENT_DISABLE_TIMING), "cuEventCreate");
            return event.get(JAVA_LONG, 0);
        }
    }

    @Override
    public void eventDestroy(long event) {
        check(CudaStreams.eventDestroy(event), "cuEventDestroy_v2");
    }

    @Override
    public void eventRecord(long event, long stream) {
        check(CudaStreams.eventRecord(event, stream), "cuEventRecord");
    }

    @Override
    public void eventSynchronize(long event) {
        check(CudaStreams.eventSynchronize(event), "cuEventSynchronize");
    }

    @Override
    public boolean eventQuery(long event) {
        int status = CudaStreams.eventQuery(event);
        if (status == CudaErrors.NOT_READY) return false;
        check(status, "cuEventQuery");
        return true;
    }

    @Override
    public float eventElapsedMillis(long start, long end) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment millis = arena.allocate(JAVA_FLOAT);
            check(CudaStreams.eventElapsedTime(millis, start, end), "cuEventElapsedTime");
            return millis.get(JAVA_FLOAT, 0);
        }
    }

    @Override
    public void streamWaitEvent(long stream, long event) {
        check(CudaStreams.waitEvent(stream, event, 0), "cuStreamWaitEvent");
    }

    @Override
    public long moduleLoad(MemorySegment image) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment module = arena.allocate(JAVA_LONG);
            check(CudaModules.load(module, image), "cuModuleLoadData bytes=" + image.byteSize());
            return module.get(JAVA_LONG, 0);
        }
    }

    @Override
    public void moduleUnload(long module) {
        check(CudaModules.unload(module), "cuModuleUnload");
    }

    @Override
    public long moduleGetFunction(long module, String kernel) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment function = arena.allocate(JAVA_LONG);
            check(
                    CudaModules.function(function, module, arena.allocateFrom(kernel)),
                    "cuModuleGetFunction name=" + kernel);
            return function.get(JAVA_LONG, 0);
        }
    }

    @Override
    public int functionAttribute(int attribute, long function) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment value = arena.allocate(JAVA_INT);
            check(
                    CudaModules.functionAttribute(value, attribute, function),
                    "cuFuncGetAttribute attribute=" + attribute);
            return value.get(JAVA_INT, 0);
        }
    }

    @Override
    public void functionSetAttribute(long function, int attribute, int value) {
        check(
                CudaModules.functionSetAttribute(function, attribute, value),
                "cuFuncSetAttribute attribute=" + attribute + " value=" + value);
    }

    @Override
    public void launchKernel(
            long function,
            int gridX,
            int gridY,
            int gridZ,
            int blockX,
            int blockY,
            int blockZ,
            int sharedBytes,
            long stream,
            MemorySegment parameters) {
        int status = CudaModules.launch(
                function, gridX, gridY, gridZ, blockX, blockY, blockZ, sharedBytes, stream, parameters.address(), 0);
        Reference.reachabilityFence(parameters);
        if (status != 0)
            throw new CudaException(
                    status,
                    "cuLaunchKernel grid=(" + gridX + "," + gridY + "," + gridZ + ") block=(" + blockX + "," + blockY
                            + "," + blockZ + ") sharedBytes=" + sharedBytes);
    }

    @Override
    public void streamBeginCapture(long stream) {
        check(CudaGraphs.beginCapture(stream, CAPTURE_THREAD_LOCAL), "cuStreamBeginCapture_v2");
    }

    @Override
    public long streamEndCapture(long stream) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment graph = arena.allocate(JAVA_LONG);
            check(CudaGraphs.endCapture(stream, graph), "cuStreamEndCapture");
            return graph.get(JAVA_LONG, 0);
        }
    }

    @Override
    public long graphNodeCount(long graph) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment count = arena.allocate(JAVA_LONG);
            check(CudaGraphs.nodes(graph, 0, count), "cuGraphGetNodes");
            return count.get(JAVA_LONG, 0);
        }
    }

    @Override
    public long graphInstantiate(long graph) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment executable = arena.allocate(JAVA_LONG);
            check(CudaGraphs.instantiate(executable, graph, 0), "cuGraphInstantiateWithFlags");
            return executable.get(JAVA_LONG, 0);
        }
    }

    @Override
    public void graphUpload(long executable, long stream) {
        check(CudaGraphs.upload(executable, stream), "cuGraphUpload");
    }

    @Override
    public boolean graphUpdate(long executable, long graph) {
        try (Arena arena = Arena.ofConfined()) {
            // CUgraphExecUpdateResultInfo { int result; CUgraphNode errorNode, errorFromNode; }
            int status = CudaGraphs.update(executable, graph, arena.allocate(24, 8));
            if (status == CudaErrors.GRAPH_EXEC_UPDATE_FAILURE) return false;
            check(status, "cuGraphExecUpdate_v2");
            return true;
        }
    }

    @Override
    public void graphLaunch(long executable, long stream) {
        check(CudaGraphs.launch(executable, stream), "cuGraphLaunch");
    }

    @Override
    public void graphDestroy(long graph) {
        check(CudaGraphs.destroy(graph), "cuGraphDestroy");
    }

    @Override
    public void graphExecDestroy(long executable) {
        check(CudaGraphs.execDestroy(executable), "cuGraphExecDestroy");
    }

    @Override
    public void profilerStart() {
        check(CudaDevices.profilerStart(), "cuProfilerStart");
    }

    @Override
    public void profilerStop() {
        check(CudaDevices.profilerStop(), "cuProfilerStop");
    }
}
