package dev.rheostat.cuda;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.rheostat.ffi.CudaClusters;
import dev.rheostat.ffi.CudaLibrary;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * A launch whose blocks come in clusters along x, which share their shared memory (compute capability 9.0 and newer): made
 * once, launched by one thread at a time. Goes through FFM under either binding.
 *
 * <pre>
 *   CUlaunchConfig     0 grid x y z, block x y z, shared bytes (int[7])   32 stream   40 attributes   48 their number   (56 bytes)
 *   CUlaunchAttribute  0 id   8 value, of which we use cluster x y z (int[3])                                        (72 bytes)
 * </pre>
 */
public final class ClusterLaunch implements AutoCloseable {
    private static final int CLUSTER_DIMENSION = 4; // CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION

    private final Arena arena = Arena.ofShared();
    private final MemorySegment config = arena.allocate(56, 8);
    private final LaunchShape shape;
    private final int clusterX;
    private boolean closed;

    /** @throws IllegalArgumentException a grid that is no multiple of the cluster */
    public ClusterLaunch(LaunchShape shape, int clusterX) {
        if (clusterX < 1 || shape.gridX() % clusterX != 0)
            throw new IllegalArgumentException(shape.gridX() + " blocks are not clusters of " + clusterX);
        this.shape = shape;
        this.clusterX = clusterX;
        MemorySegment attribute = arena.allocate(72, 8);
        attribute.set(JAVA_INT, 0, CLUSTER_DIMENSION);
        attribute.set(JAVA_INT, 8, clusterX);
        attribute.set(JAVA_INT, 12, 1);
        attribute.set(JAVA_INT, 16, 1);
        int[] dimensions = {
            shape.gridX(), shape.gridY(), shape.gridZ(), shape.blockX(), shape.blockY(), 1, shape.sharedBytes()
        };
        MemorySegment.copy(dimensions, 0, config, JAVA_INT, 0, dimensions.length);
        config.set(JAVA_LONG, 40, attribute.address());
        config.set(JAVA_INT, 48, 1);
    }

    /** Whether the driver has launches of clusters. */
    public static boolean available() {
        return CudaLibrary.DRIVER.has("cuLaunchKernelEx");
    }

    /** Enqueues a launch and returns at once. @throws CudaException naming the kernel and the shape */
    public void launch(CudaKernel kernel, CudaStream stream, KernelArgs args) {
        config.set(JAVA_LONG, 32, stream.handle());
        int status =
                CudaClusters.launch(config, kernel.handle(), args.pointers().address(), 0);
        if (status != 0)
            throw new CudaException(
                    status, "cuLaunchKernelEx cluster=" + clusterX + " " + shape + " kernel " + kernel.name());
    }

    @Override
    public void close() {
        if (closed) return;
        closed = true;
        arena.close();
    }
}
