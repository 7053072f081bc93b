package dev.rheostat.ffi;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.rheostat.ffi.load.NativeLibrary;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/** Downcalls for cuda.h: device memory, page-locked host memory, copies. */
public final class CudaMemory {
    // CUresult cuMemGetInfo_v2(size_t* free, size_t* total)
    private static final MethodHandle INFO = CudaLibrary.DRIVER.downcall("cuMemGetInfo_v2", ADDRESS, ADDRESS);
    // CUresult cuMemAlloc_v2(CUdeviceptr* address, size_t bytes)
    private static final MethodHandle ALLOC = CudaLibrary.DRIVER.downcall("cuMemAlloc_v2", ADDRESS, JAVA_LONG);
    // CUresult cuMemFree_v2(CUdeviceptr address)
    private static final MethodHandle FREE = CudaLibrary.DRIVER.downcall("cuMemFree_v2", JAVA_LONG);
    // CUresult cuMemHostAlloc(void** address, size_t bytes, unsigned int flags)
    private static final MethodHandle HOST_ALLOC =
            CudaLibrary.DRIVER.downcall("cuMemHostAlloc", ADDRESS, JAVA_LONG, JAVA_INT);
    // CUresult cuMemFreeHost(void* address)
    private static final MethodHandle HOST_FREE = CudaLibrary.DRIVER.downcall("cuMemFreeHost", JAVA_LONG);
    // CUresult cuMemHostGetDevicePointer_v2(CUdeviceptr* device, void* host, unsigned int flags)
    private static final MethodHandle HOST_DEVICE_POINTER =
            CudaLibrary.DRIVER.downcall("cuMemHostGetDevicePointer_v2", ADDRESS, JAVA_LONG, JAVA_INT);
    // CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr destination, const void* source, size_t bytes, CUstream stream)
    private static final MethodHandle COPY_TO_DEVICE =
            CudaLibrary.DRIVER.downcall("cuMemcpyHtoDAsync_v2", JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG);
    // CUresult cuMemcpyDtoHAsync_v2(void* destination, CUdeviceptr source, size_t bytes, CUstream stream)
    private static final MethodHandle COPY_TO_HOST =
            CudaLibrary.DRIVER.downcall("cuMemcpyDtoHAsync_v2", JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG);
    // CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr destination, CUdeviceptr source, size_t bytes, CUstream stream)
    private static final MethodHandle COPY_ON_DEVICE =
            CudaLibrary.DRIVER.downcall("cuMemcpyDtoDAsync_v2", JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG);
    // CUresult cuMemsetD8Async(CUdeviceptr destination, unsigned char value, size_t bytes, CUstream stream)
    private static final MethodHandle MEMSET8 =
            CudaLibrary.DRIVER.downcall("cuMemsetD8Async", JAVA_LONG, JAVA_BYTE, JAVA_LONG, JAVA_LONG);

    private CudaMemory() {}

    /** @param free out, long; so is total */
    public static int info(MemorySegment free, MemorySegment total) {
        try {
            return (int) INFO.invokeExact(free, total);
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("cuMemGetInfo_v2", t);
        }
    }

    /** @param address out, long */
    public static int alloc(MemorySegment address, long bytes) {
        try {
            return (int) ALLOC.invokeExact(address, bytes);
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("cuMemAlloc_v2", t);
        }
    }

    public static int free(long address) {
        try {
            return (int) FREE.invokeExact(address);
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("cuMemFree_v2", t);
        }
    }

    /** @param address out, long; flags of CU_MEMHOSTALLOC */
    public static int hostAlloc(MemorySegment address, long bytes, int flags) {
        try {
            return (int) HOST_ALLOC.invokeExact(address, bytes, flags);
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("cuMemHostAlloc", t);
        }
    }

    public static int hostFree(long address) {
        try {
            return (int) HOST_FREE.invokeExact(address);
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("cuMemFreeHost", t);
        }
    }

    /** @param device out, long */
    public static int hostDevicePointer(MemorySegment device, long host, int flags) {
        try {
            return (int) HOST_DEVICE_POINTER.invokeExact(device, host, flags);
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("cuMemHostGetDevicePointer_v2", t);
        }
    }

    public static int copyToDevice(long destination, long source, long bytes, long stream) {
        try {
            return (int) COPY_TO_DEVICE.invokeExact(destination, source, bytes, stream);
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("cuMemcpyHtoDAsync_v2", t);
        }
    }

    public static int copyToHost(long destination, long source, long bytes, long stream) {
        try {
            return (int) COPY_TO_HOST.invokeExact(destination, source, bytes, stream);
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("cuMemcpyDtoHAsync_v2", t);
        }
    }

    public static int copyOnDevice(long destination, long source, long bytes, long stream) {
        try {
            return (int) COPY_ON_DEVICE.invokeExact(destination, source, bytes, stream);
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("cuMemcpyDtoDAsync_v2", t);
        }
    }

    public static int memset8(long destination, byte value, long bytes, long stream) {
        try {
            return (int) MEMSET8.invokeExact(destination, value, bytes, stream);
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("cuMemsetD8Async", t);
        }
    }
}
