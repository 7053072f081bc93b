package dev.rheostat.ffi;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.rheostat.ffi.load.NativeLibrary;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/** Downcalls for cuda.h: streams and events. */
public final class CudaStreams {
    // CUresult cuStreamCreate(CUstream* stream, unsigned int flags)
    private static final MethodHandle CREATE = CudaLibrary.DRIVER.downcall("cuStreamCreate", ADDRESS, JAVA_INT);
    // CUresult cuStreamDestroy_v2(CUstream stream)
    private static final MethodHandle DESTROY = CudaLibrary.DRIVER.downcall("cuStreamDestroy_v2", JAVA_LONG);
    // CUresult cuStreamSynchronize(CUstream stream)
    private static final MethodHandle SYNCHRONIZE = CudaLibrary.DRIVER.downcall("cuStreamSynchronize", JAVA_LONG);
    // CUresult cuStreamQuery(CUstream stream)
    private static final MethodHandle QUERY = CudaLibrary.DRIVER.downcall("cuStreamQuery", JAVA_LONG);
    // CUresult cuStreamWaitEvent(CUstream stream, CUevent event, unsigned int flags)
    private static final MethodHandle WAIT_EVENT =
            CudaLibrary.DRIVER.downcall("cuStreamWaitEvent", JAVA_LONG, JAVA_LONG, JAVA_INT);
    // CUresult cuEventCreate(CUevent* event, unsigned int flags)
    private static final MethodHandle EVENT_CREATE = CudaLibrary.DRIVER.downcall("cuEventCreate", ADDRESS, JAVA_INT);
    // CUresult cuEventDestroy_v2(CUevent event)
    private static final MethodHandle EVENT_DESTROY = CudaLibrary.DRIVER.downcall("cuEventDestroy_v2", JAVA_LONG);
    // CUresult cuEventRecord(CUevent event, CUstream stream)
    private static final MethodHandle EVENT_RECORD = CudaLibrary.DRIVER.downcall("cuEventRecord", JAVA_LONG, JAVA_LONG);
    // CUresult cuEventSynchronize(CUevent event)
    private static final MethodHandle EVENT_SYNCHRONIZE = CudaLibrary.DRIVER.downcall("cuEventSynchronize", JAVA_LONG);
    // CUresult cuEventQuery(CUevent event)
    private static final MethodHandle EVENT_QUERY = CudaLibrary.DRIVER.downcall("cuEventQuery", JAVA_LONG);
    // CUresult cuEventElapsedTime(float* milliseconds, CUevent start, CUevent end)
    private static final MethodHandle EVENT_ELAPSED_TIME =
            CudaLibrary.DRIVER.downcall("cuEventElapsedTime", ADDRESS, JAVA_LONG, JAVA_LONG);

    private CudaStreams() {}

    /** @param stream out, long */
    public static int create(MemorySegment stream, int flags) {
        try {
            return (int) CREATE.invokeExact(stream, flags);
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("cuStreamCreate", t);
        }
    }

    public static int destroy(long stream) {
        try {
            return (int) DESTROY.invokeExact(stream);
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("cuStreamDestroy_v2", t);
        }
    }

    public static int synchronize(long stream) {
        try {
            return (int) SYNCHRONIZE.invokeExact(stream);
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("cuStreamSynchronize", t);
        }
    }

    public static int query(long stream) {
        try {
            return (int) QUERY.invokeExact(stream);
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("cuStreamQuery", t);
        }
    }

    public static int waitEvent(long stream, long event, int flags) {
        try {
            return (int) WAIT_EVENT.invokeExact(stream, event, flags);
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("cuStreamWaitEvent", t);
        }
    }

    /** @param event out, long */
    public static int eventCreate(MemorySegment event, int flags) {
        try {
            return (int) EVENT_CREATE.invokeExact(event, flags);
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("cuEventCreate", t);
        }
    }

    public static int eventDestroy(long event) {
        try {
            return (int) EVENT_DESTROY.invokeExact(event);
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("cuEventDestroy_v2", t);
        }
    }

    public static int eventRecord(long event, long stream) {
        try {
            return (int) EVENT_RECORD.invokeExact(event, stream);
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("cuEventRecord", t);
        }
    }

    public static int eventSynchronize(long event) {
        try {
            return (int) EVENT_SYNCHRONIZE.invokeExact(event);
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("cuEventSynchronize", t);
        }
    }

    public static int eventQuery(long event) {
        try {
            return (int) EVENT_QUERY.invokeExact(event);
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("cuEventQuery", t);
        }
    }

    /** @param milliseconds out, float */
    public static int eventElapsedTime(MemorySegment milliseconds, long start, long end) {
        try {
            return (int) EVENT_ELAPSED_TIME.invokeExact(milliseconds, start, end);
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("cuEventElapsedTime", t);
        }
    }
}
