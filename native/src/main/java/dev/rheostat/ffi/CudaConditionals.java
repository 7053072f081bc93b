package dev.rheostat.ffi;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.rheostat.ffi.load.NativeLibrary;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/** Downcalls for cuda.h: conditional nodes of graphs, which drivers of CUDA 12.3 and newer have. */
public final class CudaConditionals {
    // CUresult cuGraphConditionalHandleCreate(CUgraphConditionalHandle* handle, CUgraph graph, CUcontext context,
    // unsigned int defaultValue, unsigned int flags)
    private static final MethodHandle HANDLE_CREATE = CudaLibrary.DRIVER.downcall(
            "cuGraphConditionalHandleCreate", ADDRESS, JAVA_LONG, JAVA_LONG, JAVA_INT, JAVA_INT);
    // CUresult cuGraphAddNode_v2(CUgraphNode* node, CUgraph graph, const CUgraphNode* dependencies, const
    // CUgraphEdgeData* edges, size_t count, CUgraphNodeParams* parameters)
    private static final MethodHandle ADD_NODE =
            CudaLibrary.DRIVER.downcall("cuGraphAddNode_v2", ADDRESS, JAVA_LONG, ADDRESS, ADDRESS, JAVA_LONG, ADDRESS);

    private CudaConditionals() {}

    /** @param handle out, long */
    public static int handleCreate(MemorySegment handle, long graph, long context, int defaultValue, int flags) {
        try {
            return (int) HANDLE_CREATE.invokeExact(handle, graph, context, defaultValue, flags);
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("cuGraphConditionalHandleCreate", t);
        }
    }

    /** @param node out, long; parameters in and out, 256 bytes */
    public static int addNode(
            MemorySegment node,
            long graph,
            MemorySegment dependencies,
            MemorySegment edges,
            long count,
            MemorySegment parameters) {
        try {
            return (int) ADD_NODE.invokeExact(node, graph, dependencies, edges, count, parameters);
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("cuGraphAddNode_v2", t);
        }
    }
}
