package dev.rheostat.cuda;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.rheostat.ffi.CudaConditionals;
import dev.rheostat.ffi.CudaLibrary;
import dev.rheostat.ffi.load.NativeMemory;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * A loop inside a graph: its body runs again while a value, which a kernel of the body sets with
 * {@code cudaGraphSetConditional}, is not zero. Drivers of CUDA 12.4 and newer; through FFM under either binding.
 *
 * <pre>
 *   CUgraphNodeParams  0 type   16 condition   24 kind   28 bodies   32 out: CUgraph[bodies]   40 context   (256 bytes)
 * </pre>
 *
 * @param condition the CUgraphConditionalHandle, a parameter of the kernel that sets the value
 * @param body the CUgraph that is run again and again; the graph owns it
 */
public record WhileNode(long condition, long body) {
    private static final int NODE_TYPE_CONDITIONAL = 13, KIND_WHILE = 1, ASSIGN_DEFAULT = 1;

    /** Whether the driver has conditional nodes. */
    public static boolean available() {
        return CudaLibrary.DRIVER.has("cuGraphConditionalHandleCreate") && CudaLibrary.DRIVER.has("cuGraphAddNode_v2");
    }

    /**
     * Adds a loop that waits for nothing. Its value is 1 at each launch of the graph.
     * @throws CudaException a driver that refuses
     */
    public static WhileNode add(CudaGraph graph, CudaDevice device) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment handle = arena.allocate(JAVA_LONG), node = arena.allocate(JAVA_LONG);
            int status = CudaConditionals.handleCreate(handle, graph.handle(), device.context(), 1, ASSIGN_DEFAULT);
            if (status != 0) throw new CudaException(status, "cuGraphConditionalHandleCreate");
            MemorySegment parameters = arena.allocate(256, 8);
            parameters.set(JAVA_INT, 0, NODE_TYPE_CONDITIONAL);
            parameters.set(JAVA_LONG, 16, handle.get(JAVA_LONG, 0));
            parameters.set(JAVA_INT, 24, KIND_WHILE);
            parameters.set(JAVA_INT, 28, 1);
            parameters.set(JAVA_LONG, 40, device.context());
            MemorySegment none = MemorySegment.NULL;
            status = CudaConditionals.addNode(node, graph.handle(), none, none, 0, parameters);
            if (status != 0) throw new CudaException(status, "cuGraphAddNode_v2 conditional");
            MemorySegment bodies = NativeMemory.at(parameters.get(ADDRESS, 32).address(), 8);
            return new WhileNode(handle.get(JAVA_LONG, 0), bodies.get(JAVA_LONG, 0));
        }
    }
}
