package dev.rheostat.cuda;

import java.lang.foreign.MemorySegment;

/**
 * The functions of the CUDA driver that Rheostat uses, one method each, over raw handles and addresses ({@code long}). Two
 * bindings implement it, FFM and JCuda, and both pass one conformance test. The classes of this package are what the rest of
 * the house calls.
 *
 * <p>Every method throws {@link CudaException} when the driver refuses: it names the function, the arguments that matter, CUDA's
 * name for the code and a cure where one is known. A context must be current on the calling thread, except for init, driver
 * and device queries.
 */
public interface CudaApi {
    /** "FFM" or "JCuda". */
    String binding();

    /** cuInit; safe to repeat. */
    void init();

    /** 1000 times the major number plus 10 times the minor one of the CUDA version that the driver supports. */
    int driverVersion();

    int deviceCount();

    /** Handle of the device of an ordinal. */
    int device(int ordinal);

    String deviceName(int device);

    /** @param attribute a CUdevice_attribute, as {@link DeviceAttribute} numbers them */
    int deviceAttribute(int attribute, int device);

    long deviceTotalBytes(int device);

    long primaryContextRetain(int device);

    void primaryContextRelease(int device);

    void contextSetCurrent(long context);

    /** @return the CUdevice of the context that is current */
    int contextDevice();

    /** @return free, then total bytes of the current device */
    long[] memoryInfo();

    long memAlloc(long bytes);

    void memFree(long address);

    /** Page-locked host memory that the device reads and writes too (portable, mapped). @return its host address */
    long hostAlloc(long bytes);

    void hostFree(long hostAddress);

    /** Where the device sees memory of {@link #hostAlloc}. */
    long hostDevicePointer(long hostAddress);

    void copyToDevice(long destination, long hostSource, long bytes, long stream);

    void copyToHost(long hostDestination, long source, long bytes, long stream);

    void copyOnDevice(long destination, long source, long bytes, long stream);

    void memset8(long destination, byte value, long bytes, long stream);

    /** Non-blocking: not ordered with the legacy default stream. */
    long streamCreate();

    void streamDestroy(long stream);

    void streamSynchronize(long stream);

    /** Whether all work of the stream is done. A sticky error of the context is thrown here, too. */
    boolean streamQuery(long stream);

    /** @param timing whether {@link #eventElapsedMillis} may ask it */
    long eventCreate(boolean timing);

    void eventDestroy(long event);

    void eventRecord(long event, long stream);

    void eventSynchronize(long event);

    boolean eventQuery(long event);

    float eventElapsedMillis(long start, long end);

    void streamWaitEvent(long stream, long event);

    /** @param image cubin, fat binary or zero-terminated PTX, in native memory */
    long moduleLoad(MemorySegment image);

    void moduleUnload(long module);

    /** @throws CudaException NOT_FOUND naming the kernel */
    long moduleGetFunction(long module, String kernel);

    /** @param attribute a CUfunction_attribute, as {@link KernelAttribute} numbers them */
    int functionAttribute(int attribute, long function);

    void functionSetAttribute(long function, int attribute, int value);

    /** @param parameters void*[n]: addresses of the parameters' values, read before the call returns */
    void launchKernel(
            long function,
            int gridX,
            int gridY,
            int gridZ,
            int blockX,
            int blockY,
            int blockZ,
            int sharedBytes,
            long stream,
            MemorySegment parameters);

    /** Thread-local capture mode: calls of other threads do not break it. */
    void streamBeginCapture(long stream);

    /** @return the graph */
    long streamEndCapture(long stream);

    long graphNodeCount(long graph);

    /** @return the executable graph */
    long graphInstantiate(long graph);

    /** Uploads an executable graph, so that its first launch costs what the others cost. */
    void graphUpload(long executable, long stream);

    /** @return whether the executable graph could take the other's parameters; if not it is as it was */
    boolean graphUpdate(long executable, long graph);

    void graphLaunch(long executable, long stream);

    void graphDestroy(long graph);

    void graphExecDestroy(long executable);

    void profilerStart();

    void profilerStop();
}
