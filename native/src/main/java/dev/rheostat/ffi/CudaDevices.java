package dev.rheostat.ffi;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.rheostat.ffi.load.NativeLibrary;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/** Downcalls for cuda.h: initialisation, devices, primary contexts, the profiler's range. */
public final class CudaDevices {
    // CUresult cuInit(unsigned int flags)
    private static final MethodHandle INIT = CudaLibrary.DRIVER.downcall("cuInit", JAVA_INT);
    // CUresult cuDriverGetVersion(int* version)
    private static final MethodHandle DRIVER_VERSION = CudaLibrary.DRIVER.downcall("cuDriverGetVersion", ADDRESS);
    // CUresult cuDeviceGetCount(int* count)
    private static final MethodHandle COUNT = CudaLibrary.DRIVER.downcall("cuDeviceGetCount", ADDRESS);
    // CUresult cuDeviceGet(CUdevice* device, int ordinal)
    private static final MethodHandle GET = CudaLibrary.DRIVER.downcall("cuDeviceGet", ADDRESS, JAVA_INT);
    // CUresult cuDeviceGetName(char* name, int bytes, CUdevice device)
    private static final MethodHandle NAME =
            CudaLibrary.DRIVER.downcall("cuDeviceGetName", ADDRESS, JAVA_INT, JAVA_INT);
    // CUresult cuDeviceGetAttribute(int* value, CUdevice_attribute attribute, CUdevice device)
    private static final MethodHandle ATTRIBUTE =
            CudaLibrary.DRIVER.downcall("cuDeviceGetAttribute", ADDRESS, JAVA_INT, JAVA_INT);
    // CUresult cuDeviceTotalMem_v2(size_t* bytes, CUdevice device)
    private static final MethodHandle TOTAL_BYTES =
            CudaLibrary.DRIVER.downcall("cuDeviceTotalMem_v2", ADDRESS, JAVA_INT);
    // CUresult cuDevicePrimaryCtxRetain(CUcontext* context, CUdevice device)
    private static final MethodHandle PRIMARY_CONTEXT_RETAIN =
            CudaLibrary.DRIVER.downcall("cuDevicePrimaryCtxRetain", ADDRESS, JAVA_INT);
    // CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device)
    private static final MethodHandle PRIMARY_CONTEXT_RELEASE =
            CudaLibrary.DRIVER.downcall("cuDevicePrimaryCtxRelease_v2", JAVA_INT);
    // CUresult cuCtxSetCurrent(CUcontext context)
    private static final MethodHandle CONTEXT_SET_CURRENT = CudaLibrary.DRIVER.downcall("cuCtxSetCurrent", JAVA_LONG);
    // CUresult cuCtxGetDevice(CUdevice* device)
    private static final MethodHandle CONTEXT_DEVICE = CudaLibrary.DRIVER.downcall("cuCtxGetDevice", ADDRESS);
    // CUresult cuProfilerStart(void)
    private static final MethodHandle PROFILER_START = CudaLibrary.DRIVER.downcall("cuProfilerStart");
    // CUresult cuProfilerStop(void)
    private static final MethodHandle PROFILER_STOP = CudaLibrary.DRIVER.downcall("cuProfilerStop");

    private CudaDevices() {}

    public static int init(int flags) {
        try {
            return (int) INIT.invokeExact(flags);
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("cuInit", t);
        }
    }

    /** @param version out, int: 1000 major + 10 minor */
    public static int driverVersion(MemorySegment version) {
        try {
            return (int) DRIVER_VERSION.invokeExact(version);
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("cuDriverGetVersion", t);
        }
    }

    /** @param count out, int */
    public static int count(MemorySegment count) {
        try {
            return (int) COUNT.invokeExact(count);
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("cuDeviceGetCount", t);
        }
    }

    /** @param device out, int */
    public static int get(MemorySegment device, int ordinal) {
        try {
            return (int) GET.invokeExact(device, ordinal);
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("cuDeviceGet", t);
        }
    }

    /** @param name out, zero-terminated */
    public static int name(MemorySegment name, int bytes, int device) {
        try {
            return (int) NAME.invokeExact(name, bytes, device);
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("cuDeviceGetName", t);
        }
    }

    /** @param value out, int */
    public static int attribute(MemorySegment value, int attribute, int device) {
        try {
            return (int) ATTRIBUTE.invokeExact(value, attribute, device);
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("cuDeviceGetAttribute", t);
        }
    }

    /** @param bytes out, long */
    public static int totalBytes(MemorySegment bytes, int device) {
        try {
            return (int) TOTAL_BYTES.invokeExact(bytes, device);
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("cuDeviceTotalMem_v2", t);
        }
    }

    /** @param context out, long */
    public static int primaryContextRetain(MemorySegment context, int device) {
        try {
            return (int) PRIMARY_CONTEXT_RETAIN.invokeExact(context, device);
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("cuDevicePrimaryCtxRetain", t);
        }
    }

    public static int primaryContextRelease(int device) {
        try {
            return (int) PRIMARY_CONTEXT_RELEASE.invokeExact(device);
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("cuDevicePrimaryCtxRelease_v2", t);
        }
    }

    public static int contextSetCurrent(long context) {
        try {
            return (int) CONTEXT_SET_CURRENT.invokeExact(context);
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("cuCtxSetCurrent", t);
        }
    }

    /** @param device out, int */
    public static int contextDevice(MemorySegment device) {
        try {
            return (int) CONTEXT_DEVICE.invokeExact(device);
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("cuCtxGetDevice", t);
        }
    }

    public static int profilerStart() {
        try {
            return (int) PROFILER_START.invokeExact();
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("cuProfilerStart", t);
        }
    }

    public static int profilerStop() {
        try {
            return (int) PROFILER_STOP.invokeExact();
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("cuProfilerStop", t);
        }
    }
}
