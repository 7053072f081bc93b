package dev.rheostat.ffi;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.rheostat.ffi.load.NativeLibrary;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/** Downcalls for cuda.h: capture, graphs and their executables. */
public final class CudaGraphs {
    // CUresult cuStreamBeginCapture_v2(CUstream stream, CUstreamCaptureMode mode)
    private static final MethodHandle BEGIN_CAPTURE =
            CudaLibrary.DRIVER.downcall("cuStreamBeginCapture_v2", JAVA_LONG, JAVA_INT);
    // CUresult cuStreamEndCapture(CUstream stream, CUgraph* graph)
    private static final MethodHandle END_CAPTURE =
            CudaLibrary.DRIVER.downcall("cuStreamEndCapture", JAVA_LONG, ADDRESS);
    // CUresult cuGraphGetNodes(CUgraph graph, CUgraphNode* nodes, size_t* count)
    private static final MethodHandle NODES =
            CudaLibrary.DRIVER.downcall("cuGraphGetNodes", JAVA_LONG, JAVA_LONG, ADDRESS);
    // CUresult cuGraphInstantiateWithFlags(CUgraphExec* executable, CUgraph graph, unsigned long long flags)
    private static final MethodHandle INSTANTIATE =
            CudaLibrary.DRIVER.downcall("cuGraphInstantiateWithFlags", ADDRESS, JAVA_LONG, JAVA_LONG);
    // CUresult cuGraphUpload(CUgraphExec executable, CUstream stream)
    private static final MethodHandle UPLOAD = CudaLibrary.DRIVER.downcall("cuGraphUpload", JAVA_LONG, JAVA_LONG);
    // CUresult cuGraphLaunch(CUgraphExec executable, CUstream stream)
    private static final MethodHandle LAUNCH = CudaLibrary.DRIVER.downcall("cuGraphLaunch", JAVA_LONG, JAVA_LONG);
    // CUresult cuGraphExecUpdate_v2(CUgraphExec executable, CUgraph graph, CUgraphExecUpdateResultInfo* info)
    private static final MethodHandle UPDATE =
            CudaLibrary.DRIVER.downcall("cuGraphExecUpdate_v2", JAVA_LONG, JAVA_LONG, ADDRESS);
    // CUresult cuGraphDestroy(CUgraph graph)
    private static final MethodHandle DESTROY = CudaLibrary.DRIVER.downcall("cuGraphDestroy", JAVA_LONG);
    // CUresult cuGraphExecDestroy(CUgraphExec executable)
    private static final MethodHandle EXEC_DESTROY = CudaLibrary.DRIVER.downcall("cuGraphExecDestroy", JAVA_LONG);

    private CudaGraphs() {}

    public static int beginCapture(long stream, int mode) {
        try {
            return (int) BEGIN_CAPTURE.invokeExact(stream, mode);
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("cuStreamBeginCapture_v2", t);
        }
    }

    /** @param graph out, long */
    public static int endCapture(long stream, MemorySegment graph) {
        try {
            return (int) END_CAPTURE.invokeExact(stream, graph);
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("cuStreamEndCapture", t);
        }
    }

    /** @param nodes 0 to ask for the count alone; count in and out, long */
    public static int nodes(long graph, long nodes, MemorySegment count) {
        try {
            return (int) NODES.invokeExact(graph, nodes, count);
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("cuGraphGetNodes", t);
        }
    }

    /** @param executable out, long */
    public static int instantiate(MemorySegment executable, long graph, long flags) {
        try {
            return (int) INSTANTIATE.invokeExact(executable, graph, flags);
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("cuGraphInstantiateWithFlags", t);
        }
    }

    public static int upload(long executable, long stream) {
        try {
            return (int) UPLOAD.invokeExact(executable, stream);
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("cuGraphUpload", t);
        }
    }

    public static int launch(long executable, long stream) {
        try {
            return (int) LAUNCH.invokeExact(executable, stream);
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("cuGraphLaunch", t);
        }
    }

    /** @param info out, 24 bytes: result (int), 4 bytes of padding, two nodes */
    public static int update(long executable, long graph, MemorySegment info) {
        try {
            return (int) UPDATE.invokeExact(executable, graph, info);
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("cuGraphExecUpdate_v2", t);
        }
    }

    public static int destroy(long graph) {
        try {
            return (int) DESTROY.invokeExact(graph);
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("cuGraphDestroy", t);
        }
    }

    public static int execDestroy(long executable) {
        try {
            return (int) EXEC_DESTROY.invokeExact(executable);
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("cuGraphExecDestroy", t);
        }
    }
}
