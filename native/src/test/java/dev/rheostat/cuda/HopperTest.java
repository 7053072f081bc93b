package dev.rheostat.cuda;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What JCuda lacks and Hopper kernels need, through FFM: launches of clusters, tensor maps, loops in graphs. */
@Timeout(60)
class HopperTest extends OnDevice {
    @Test
    void aLaunchOfClustersRunsEveryBlock() {
        assumeTrue(ClusterLaunch.available(), "the driver has no cuLaunchKernelEx");
        int clusterX = TestKernels.simulated() || device.computeCapability() < 90 ? 1 : 2;
        try (ClusterLaunch launch = new ClusterLaunch(new LaunchShape(4, 3, 2, 32, 2, 0), clusterX);
                DeviceBuffer where = new DeviceBuffer(api, 2 * 24 * 4, "where");
                KernelArgs args = new KernelArgs();
                Arena arena = Arena.ofConfined()) {
            launch.launch(module.kernel("conformance_shape"), stream, args.ptr(where.address()));
            MemorySegment back = arena.allocate(2 * 24 * 4, 4);
            where.read(0, back, stream);
            stream.synchronize();
            assertEquals(1000000 + 3 + 200 + 10000, back.getAtIndex(JAVA_INT, 2 * 23 + 1));
        }
    }

    @Test
    void aClusterThatTheDeviceLacksIsRefusedByName() {
        assumeTrue(ClusterLaunch.available(), "the driver has no cuLaunchKernelEx");
        assertThrows(IllegalArgumentException.class, () -> new ClusterLaunch(LaunchShape.of(9, 32), 2));
        // more than any device has; the simulator has none
        try (ClusterLaunch launch = new ClusterLaunch(LaunchShape.of(64, 32), 64);
                DeviceBuffer where = new DeviceBuffer(api, 2 * 64 * 4, "where");
                KernelArgs args = new KernelArgs()) {
            args.ptr(where.address());
            CudaException e = assertThrows(
                    CudaException.class, () -> launch.launch(module.kernel("conformance_shape"), stream, args));
            assertTrue(e.getMessage().contains("cuLaunchKernelEx cluster=64"), e.getMessage());
            assertTrue(e.getMessage().contains("conformance_shape"), e.getMessage());
        }
    }

    @Test
    void aTensorMapIsWrittenAndABadOneRefusedWithItsNumbers() {
        assumeTrue(TensorMap.available(), "the driver has no cuTensorMapEncodeTiled");
        assumeTrue(device.computeCapability() >= 90, "tensor maps are for compute capability 9.0 and newer");
        try (DeviceBuffer tensor = new DeviceBuffer(api, 64 * 256 * 2, "tensor")) {
            TensorMap map = new TensorMap(
                    tensor.address(),
                    new long[] {64, 256},
                    new long[] {128},
                    new int[] {64, 64},
                    TensorMap.Swizzle.BYTES_128);
            assertEquals(128, map.bytes().byteSize());
            assertEquals(0, map.bytes().address() % TensorMap.ALIGNMENT);
            byte[] bytes = map.bytes().toArray(JAVA_BYTE);
            boolean written = false;
            for (byte b : bytes) written |= b != 0;
            assertTrue(written);
            CudaException e = assertThrows(
                    CudaException.class,
                    () -> new TensorMap(
                            tensor.address(),
                            new long[] {64, 256},
                            new long[] {120}, // no multiple of 16
                            new int[] {64, 64},
                            TensorMap.Swizzle.NONE));
            assertTrue(
                    e.getMessage().contains("strideBytes=[120]")
                            && e.getMessage().contains("box=[64, 64]"),
                    e.getMessage());
            assertThrows(
                    IllegalArgumentException.class,
                    () -> new TensorMap(
                            tensor.address(),
                            new long[] {64},
                            new long[] {128},
                            new int[] {64},
                            TensorMap.Swizzle.NONE));
        }
    }

    @Test
    void aLoopIsAddedToAGraph() {
        assumeTrue(WhileNode.available(), "the driver has no conditional nodes");
        try (CudaGraph graph = CudaGraph.capture(stream, () -> {})) {
            WhileNode loop = WhileNode.add(graph, device);
            assertEquals(1, graph.nodeCount());
            assertTrue(loop.condition() != 0 && loop.body() != 0);
            assertEquals(0, api.graphNodeCount(loop.body()));
        }
    }
}
