package dev.rheostat.cuda.jcuda;

import dev.rheostat.cuda.Cuda;
import dev.rheostat.cuda.CudaApi;
import dev.rheostat.cuda.CudaException;
import java.lang.foreign.MemorySegment;
import java.lang.ref.Reference;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Optional;
import jcuda.NativePointerObject;
import jcuda.Pointer;
import jcuda.RheostatHandles;
import jcuda.driver.CUcontext;
import jcuda.driver.CUdevice;
import jcuda.driver.CUdeviceptr;
import jcuda.driver.CUevent;
import jcuda.driver.CUfunction;
import jcuda.driver.CUgraph;
import jcuda.driver.CUgraphExec;
import jcuda.driver.CUgraphNode;
import jcuda.driver.CUmodule;
import jcuda.driver.CUstream;
import jcuda.driver.JCudaDriver;

/**
 * The driver through JCuda 12.6, which also runs under a driver of CUDA 13. Its handles are objects, so each call makes one or
 * two that die at once. What it lacks goes through FFM: {@link #MISSING}.
 */
public final class JCudaApi implements CudaApi {
    /** Functions that Rheostat uses and JCuda 12.6 does not have, or only throws from. */
    public static final List<String> MISSING = List.of(
            "cuGraphExecUpdate_v2",
            "cuLaunchKernelEx",
            "cuTensorMapEncodeTiled",
            "cuGraphConditionalHandleCreate",
            "cuGraphAddNode_v2");

    private static final int HOST_ALLOC_PORTABLE = 1, HOST_ALLOC_MAPPED = 2;
    private static final int STREAM_NON_BLOCKING = 1;
    private static final int EVENT_DISABLE_TIMING = 2;
    private static final int CAPTURE_THREAD_LOCAL = 1;
    private static final int NOT_READY = 600;

    private final CudaApi ffm;

    private JCudaApi(CudaApi ffm) {
        this.ffm = ffm;
    }

    /**
     * The driver through JCuda, initialised. FFM opens libcuda first, where people have it; JCuda's library then binds to the
     * open one by its soname.
     * @throws CudaException no driver, or why JCuda cannot be used
     */
    public static CudaApi open() {
        CudaApi ffm = Cuda.ffm();
        unavailable().ifPresent(reason -> {
            throw CudaException.noLibrary(reason);
        });
        JCudaDriver.setExceptionsEnabled(false); // statuses are checked here, as FFM's are
        CudaApi api = new JCudaApi(ffm);
        api.init();
        return api;
    }

    /** Why JCuda's binding cannot be used; empty if it can. Asked after libcuda was opened. */
    public static Optional<String> unavailable() {
        return JCudaNatives.refusal("JCudaDriver", "jcuda.driver.JCudaDriver");
    }

    private static void check(int status, String call) {
        if (status != 0) throw new CudaException(status, call);
    }

    private static CUstream stream(long handle) {
        return RheostatHandles.set(new CUstream(), handle);
    }

    private static CUevent event(long handle) {
        return RheostatHandles.set(new CUevent(), handle);
    }

    private static CUdevice deviceOf(int device) {
        return RheostatHandles.set(new CUdevice(), device);
    }

    private static CUdeviceptr deviceptr(long address) {
        return RheostatHandles.set(new CUdeviceptr(), address);
    }

    private static CUfunction functionOf(long handle) {
        return RheostatHandles.set(new CUfunction(), handle);
    }

    private static CUgraph graph(long handle) {
        return RheostatHandles.set(new CUgraph(), handle);
    }

    private static CUgraphExec executable(long handle) {
        return RheostatHandles.set(new CUgraphExec(), handle);
    }

    private static long handle(NativePointerObject made) {
        return RheostatHandles.get(made);
    }

    @Override
    public String binding() {
        return "JCuda";
    }

    @Override
    public void init() {
        check(JCudaDriver.cuInit(0), "cuInit");
    }

    @Override
    public int driverVersion() {
        int[] version = new int[1];
        check(JCudaDriver.cuDriverGetVersion(version), "cuDriverGetVersion");
        return version[0];
    }

    @Override
    public int deviceCount() {
        int[] count = new int[1];
        check(JCudaDriver.cuDeviceGetCount(count), "cuDeviceGetCount");
        return count[0];
    }

    @Override
    public int device(int ordinal) {
        CUdevice device = new CUdevice();
        check(JCudaDriver.cuDeviceGet(device, ordinal), "cuDeviceGet ordinal=" + ordinal);
        return (int) handle(device);
    }

    @Override
    public String deviceName(int device) {
        byte[] name = new byte[256];
        check(JCudaDriver.cuDeviceGetName(name, name.length, deviceOf(device)), "cuDeviceGetName device=" + device);
        int length = 0;
        while (length < name.length && name[length] != 0) length++;
        return new String(name, 0, length, StandardCharsets.UTF_8);
    }

    @Override
    public int deviceAttribute(int attribute, int device) {
        int[] value = new int[1];
        check(
                JCudaDriver.cuDeviceGetAttribute(value, attribute, deviceOf(device)),
                "cuDeviceGetAttribute attribute=" + attribute + " device=" + device);
        return value[0];
    }

    @Override
    public long deviceTotalBytes(int device) {
        long[] bytes = new long[1];
        check(JCudaDriver.cuDeviceTotalMem(bytes, deviceOf(device)), "cuDeviceTotalMem_v2 device=" + device);
        return bytes[0];
    }

    @Override
    public long primaryContextRetain(int device) {
        CUcontext context = new CUcontext();
        check(
                JCudaDriver.cuDevicePrimaryCtxRetain(context, deviceOf(device)),
                "cuDevicePrimaryCtxRetain device=" + device);
        return handle(context);
    }

    @Override
    public void primaryContextRelease(int device) {
        check(JCudaDriver.cuDevicePrimaryCtxRelease(deviceOf(device)), "cuDevicePrimaryCtxRelease_v2 device=" + device);
    }

    @Override
    public void contextSetCurrent(long context) {
        check(JCudaDriver.cuCtxSetCurrent(RheostatHandles.set(new CUcontext(), context)), "cuCtxSetCurrent");
    }

    @Override
    public int contextDevice() {
        CUdevice device = new CUdevice();
        check(JCudaDriver.cuCtxGetDevice(device), "cuCtxGetDevice");
        return (int) handle(device);
    }

    @Override
    public long[] memoryInfo() {
        long[] free = new long[1], total = new long[1];
        check(JCudaDriver.cuMemGetInfo(free, total), "cuMemGetInfo_v2");
        return new long[] {free[0], total[0]};
    }

    @Override
    public long memAlloc(long bytes) {
        CUdeviceptr address = new CUdeviceptr();
        check(JCudaDriver.cuMemAlloc(address, bytes), "cuMemAlloc_v2 bytes=" + bytes);
        return handle(address);
    }

    @Override
    public void memFree(long address) {
        check(JCudaDriver.cuMemFree(deviceptr(address)), "cuMemFree_v2");
    }

    @Override
    public long hostAlloc(long bytes) {
        Pointer address = new Pointer();
        check(
                JCudaDriver.cuMemHostAlloc(address, bytes, HOST_ALLOC_PORTABLE | HOST_ALLOC_MAPPED),
                "cuMemHostAlloc bytes=" + bytes);
        return handle(address);
    }

    @Override
    public void hostFree(long hostAddress) {
        check(JCudaDriver.cuMemFreeHost(RheostatHandles.pointer(hostAddress)), "cuMemFreeHost");
    }

    @Override
    public long hostDevicePointer(long hostAddress) {
        CUdeviceptr address = new CUdeviceptr();
        check(
                JCudaDriver.cuMemHostGetDevicePointer(address, RheostatHandles.pointer(hostAddress), 0),
                "cuMemHostGetDevicePointer_v2");
        return handle(address);
    }

    @Override
    public void copyToDevice(long destination, long hostSource, long bytes, long stream) {
        int status = JCudaDriver.cuMemcpyHtoDAsync(
                deviceptr(destination), RheostatHandles.pointer(hostSource), bytes, stream(stream));
        if (status != 0) throw new CudaException(status, "cuMemcpyHtoDAsync_v2 bytes=" + bytes);
    }

    @Override
    public void copyToHost(long hostDestination, long source, long bytes, long stream) {
        int status = JCudaDriver.cuMemcpyDtoHAsync(
                RheostatHandles.pointer(hostDestination), deviceptr(source), bytes, stream(stream));
        if (status != 0) throw new CudaException(status, "cuMemcpyDtoHAsync_v2 bytes=" + bytes);
    }

    @Override
    public void copyOnDevice(long destination, long source, long bytes, long stream) {
        int status = JCudaDriver.cuMemcpyDtoDAsync(deviceptr(destination), deviceptr(source), bytes, stream(stream));
        if (status != 0) throw new CudaException(status, "cuMemcpyDtoDAsync_v2 bytes=" + bytes);
    }

    @Override
    public void memset8(long destination, byte value, long bytes, long stream) {
        int status = JCudaDriver.cuMemsetD8Async(deviceptr(destination), value, bytes, stream(stream));
        if (status != 0) throw new CudaException(status, "cuMemsetD8Async bytes=" + bytes);
    }

    @Override
    public long streamCreate() {
        CUstream stream = new CUstream();
        check(JCudaDriver.cuStreamCreate(stream, STREAM_NON_BLOCKING), "cuStreamCreate");
        return handle(stream);
    }

    @Override
    public void streamDestroy(long stream) {
        check(JCudaDriver.cuStreamDestroy(stream(stream)), "cuStreamDestroy_v2");
    }

    @Override
    public void streamSynchronize(long stream) {
        check(JCudaDriver.cuStreamSynchronize(stream(stream)), "cuStreamSynchronize");
    }

    @Override
    public boolean streamQuery(long stream) {
        int status = JCudaDriver.cuStreamQuery(stream(stream));
        if (status == NOT_READY) return false;
        check(status, "cuStreamQuery");
        return true;
    }

    @Override
    public long eventCreate(boolean timing) {
        CUevent event = new CUevent();
        check(JCudaDriver.cuEventCreate(event, timing ? 0 : EVENT_DISABLE_TIMING), "cuEventCreate");
        return handle(event);
    }

    @Override
    public void eventDestroy(long event) {
        check(JCudaDriver.cuEventDestroy(event(event)), "cuEventDestroy_v2");
    }

    @Override
    public void eventRecord(long event, long stream) {
        check(JCudaDriver.cuEventRecord(event(event), stream(stream)), "cuEventRecord");
    }

    @Override
    public void eventSynchronize(long event) {
        check(JCudaDriver.cuEventSynchronize(event(event)), "cuEventSynchronize");
    }

    @Override
    public boolean eventQuery(long event) {
        int status = JCudaDriver.cuEventQuery(event(event));
        if (status == NOT_READY) return false;
        check(status, "cuEventQuery");
        return true;
    }

    @Override
    public float eventElapsedMillis(long start, long end) {
        float[] millis = new float[1];
        check(JCudaDriver.cuEventElapsedTime(millis, event(start), event(end)), "cuEventElapsedTime");
        return millis[0];
    }

    @Override
    public void streamWaitEvent(long stream, long event) {
        check(JCudaDriver.cuStreamWaitEvent(stream(stream), event(event), 0), "cuStreamWaitEvent");
    }

    @Override
    public long moduleLoad(MemorySegment image) {
        if (!image.isNative()) throw new IllegalArgumentException("a kernel image must lie in native memory");
        CUmodule module = new CUmodule();
        int status = JCudaDriver.cuModuleLoadDataEx(
                module, RheostatHandles.pointer(image.address()), 0, new int[0], Pointer.to(new int[0]));
        Reference.reachabilityFence(image);
        check(status, "cuModuleLoadDataEx bytes=" + image.byteSize());
        return handle(module);
    }

    @Override
    public void moduleUnload(long module) {
        check(JCudaDriver.cuModuleUnload(RheostatHandles.set(new CUmodule(), module)), "cuModuleUnload");
    }

    @Override
    public long moduleGetFunction(long module, String kernel) {
        CUfunction function = new CUfunction();
        CUmodule in = RheostatHandles.set(new CUmodule(), module);
        check(JCudaDriver.cuModuleGetFunction(function, in, kernel), "cuModuleGetFunction name=" + kernel);
        return handle(function);
    }

    @Override
    public int functionAttribute(int attribute, long function) {
        int[] value = new int[1];
        check(
                JCudaDriver.cuFuncGetAttribute(value, attribute, functionOf(function)),
                "cuFuncGetAttribute attribute=" + attribute);
        return value[0];
    }

    @Override
    public void functionSetAttribute(long function, int attribute, int value) {
        check(
                JCudaDriver.cuFuncSetAttribute(functionOf(function), attribute, value),
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
        int status = JCudaDriver.cuLaunchKernel(
                functionOf(function),
                gridX,
                gridY,
                gridZ,
                blockX,
                blockY,
                blockZ,
                sharedBytes,
                stream(stream),
                RheostatHandles.pointer(parameters.address()),
                null);
        Reference.reachabilityFence(parameters);
        if (status != 0)
            throw new CudaException(
                    status,
                    "cuLaunchKernel grid=(" + gridX + "," + gridY + "," + gridZ + ") block=(" + blockX + "," + blockY
                            + "," + blockZ + ") sharedBytes=" + sharedBytes);
    }

    @Override
    public void streamBeginCapture(long stream) {
        check(JCudaDriver.cuStreamBeginCapture(stream(stream), CAPTURE_THREAD_LOCAL), "cuStreamBeginCapture_v2");
    }

    @Override
    public long streamEndCapture(long stream) {
        CUgraph graph = new CUgraph();
        check(JCudaDriver.cuStreamEndCapture(stream(stream), graph), "cuStreamEndCapture");
        return handle(graph);
    }

    @Override
    public long graphNodeCount(long graph) {
        long[] count = new long[1];
        CUgraphNode[] countAlone = null;
        check(JCudaDriver.cuGraphGetNodes(graph(graph), countAlone, count), "cuGraphGetNodes");
        return count[0];
    }

    @Override
    public long graphInstantiate(long graph) {
        CUgraphExec executable = new CUgraphExec();
        check(JCudaDriver.cuGraphInstantiate(executable, graph(graph), 0), "cuGraphInstantiateWithFlags");
        return handle(executable);
    }

    @Override
    public void graphUpload(long executable, long stream) {
        check(JCudaDriver.cuGraphUpload(executable(executable), stream(stream)), "cuGraphUpload");
    }

    @Override
    public boolean graphUpdate(long executable, long graph) {
        return ffm.graphUpdate(executable, graph);
    }

    @Override
    public void graphLaunch(long executable, long stream) {
        check(JCudaDriver.cuGraphLaunch(executable(executable), stream(stream)), "cuGraphLaunch");
    }

    @Override
    public void graphDestroy(long graph) {
        check(JCudaDriver.cuGraphDestroy(graph(graph)), "cuGraphDestroy");
    }

    @Override
    public void graphExecDestroy(long executable) {
        check(JCudaDriver.cuGraphExecDestroy(executable(executable)), "cuGraphExecDestroy");
    }

    @Override
    public void profilerStart() {
        check(JCudaDriver.cuProfilerStart(), "cuProfilerStart");
    }

    @Override
    public void profilerStop() {
        check(JCudaDriver.cuProfilerStop(), "cuProfilerStop");
    }
}
