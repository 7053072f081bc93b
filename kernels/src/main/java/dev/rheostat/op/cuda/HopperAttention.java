package dev.rheostat.op.cuda;

import dev.rheostat.cuda.CudaException;
import dev.rheostat.cuda.LaunchShape;
import dev.rheostat.cuda.TensorMap;
import dev.rheostat.op.AttentionShape;
import dev.rheostat.op.DType;
import java.util.HashMap;
import java.util.Map;

/** attention_hopper.cu: wgmma and tensor copies, for compute capability 9.0. */
final class HopperAttention implements AttentionKernels {
    /** As attention_hopper.cu has them: rows of a warpgroup that computes, and of what a tensor copy brings, 64 columns wide. */
    private static final int GROUP_THREADS = 128, GROUP_ROWS = 64, BOX_ROWS = 64, BOX_COLUMNS = 64;

    private static final int FORWARD_KEYS = 128, FORWARD_STAGES = 2;
    private static final int BACKWARD_TILE = 64, BACKWARD_STAGES = 3;
    private static final int FORWARD_GROUPS = 2, BACKWARD_KEYS_GROUPS = 2;

    /** A barrier is 8 bytes, a place of a ring has two; shared memory begins at, and its struct is a multiple of, this. */
    private static final int MBARRIER_BYTES = 8, PLACE_BYTES = 16, SHARED_ALIGNMENT = 1024;

    private final CudaOps ops;
    private final AttentionShape shape;
    private final int D;

    /** By the address of the first element: a run has few buffers, and they stay where they are. */
    private final Map<Long, TensorMap> maps = new HashMap<>();

    HopperAttention(CudaOps ops, AttentionShape shape) {
        this.ops = ops;
        this.shape = shape;
        D = shape.headWidth();
    }

    @Override
    public int sharedBytes() {
        return Math.max(forwardSharedBytes(), Math.max(queriesSharedBytes(), keysSharedBytes()));
    }

    @Override
    public void forward(
            DeviceTensor o_RHD,
            DeviceTensor lse_RH,
            DeviceTensor qk_RhD,
            DeviceTensor qkv_RW,
            DeviceTensor docStart_R) {
        KernelCall call = kernel("forward").pointer(o_RHD).pointer(lse_RH);
        call.tensorMap(map(qk_RhD, shape.qkWidth())).tensorMap(map(qkv_RW, shape.qkvWidth()));
        axes(call.pointer(docStart_R)).launch(queryTiles(FORWARD_GROUPS, forwardSharedBytes()));
    }

    @Override
    public void backward(
            DeviceTensor dQk_RhD,
            DeviceTensor dQkv_RW,
            DeviceTensor rowStats_HR2,
            DeviceTensor dO_RHD,
            DeviceTensor o_RHD,
            DeviceTensor lse_RH,
            DeviceTensor qk_RhD,
            DeviceTensor qkv_RW,
            DeviceTensor docStart_R) {
        KernelCall queries = kernel("backward_queries").pointer(dQk_RhD).pointer(rowStats_HR2);
        tensorMaps(queries.pointer(dO_RHD).pointer(o_RHD).pointer(lse_RH), qk_RhD, qkv_RW, dO_RHD);
        axes(queries.pointer(docStart_R)).launch(queryTiles(queryGroups(), queriesSharedBytes()));
        KernelCall keys =
                kernel("backward_keys").pointer(dQk_RhD).pointer(dQkv_RW).pointer(rowStats_HR2);
        tensorMaps(keys, qk_RhD, qkv_RW, dO_RHD);
        axes(keys.pointer(docStart_R)).launch(tiles(BACKWARD_KEYS_GROUPS, shape.kvHeads(), keysSharedBytes()));
    }

    private KernelCall kernel(String pass) {
        return ops.kernel("attention_hopper_" + pass + "_" + D);
    }

    private void tensorMaps(KernelCall call, DeviceTensor qk_RhD, DeviceTensor qkv_RW, DeviceTensor dO_RHD) {
        call.tensorMap(map(qk_RhD, shape.qkWidth()))
                .tensorMap(map(qkv_RW, shape.qkvWidth()))
                .tensorMap(map(dO_RHD, shape.heads() * D));
    }

    /** Of rows of `width` elements as (width, T, B), so that a box which reaches beyond a sequence has zeros there. */
    private TensorMap map(DeviceTensor tensor, int width) {
        return maps.computeIfAbsent(tensor.address(), address -> {
            long rowBytes = (long) width * DType.BF16.bytes();
            try {
                return new TensorMap(
                        address,
                        new long[] {width, shape.tokens(), shape.batch()},
                        new long[] {rowBytes, rowBytes * shape.tokens()},
                        new int[] {BOX_COLUMNS, BOX_ROWS, 1},
                        TensorMap.Swizzle.BYTES_128);
            } catch (CudaException e) {
                throw CudaOps.failed(e);
            }
        });
    }

    private KernelCall axes(KernelCall call) {
        return call.i32(shape.tokens()).i32(shape.heads()).i32(shape.kvHeads());
    }

    private LaunchShape queryTiles(int groups, int sharedBytes) {
        return tiles(groups, shape.heads(), sharedBytes);
    }

    /** Blocks of `groups` warpgroups that compute, 64 rows each, and one that copies. */
    private LaunchShape tiles(int groups, int heads, int sharedBytes) {
        int rows = groups * GROUP_ROWS, tiles = (shape.tokens() + rows - 1) / rows;
        return new LaunchShape(tiles, heads, shape.batch(), (groups + 1) * GROUP_THREADS, 1, sharedBytes);
    }

    private int queryGroups() {
        return D == 64 ? 3 : 2;
    }

    private int forwardSharedBytes() {
        int rows = FORWARD_GROUPS * GROUP_ROWS + 2 * FORWARD_STAGES * FORWARD_KEYS;
        return sharedBytes(rows, MBARRIER_BYTES + 2 * FORWARD_STAGES * PLACE_BYTES);
    }

    private int queriesSharedBytes() {
        int queries = queryGroups() * GROUP_ROWS, statsBytes = queries * 2 * DType.F32.bytes();
        return sharedBytes(2 * queries + 2 * BACKWARD_STAGES * BACKWARD_TILE, statsBytes + barriersBytes());
    }

    private int keysSharedBytes() {
        int ofRows = BACKWARD_STAGES * BACKWARD_TILE * (2 * DType.F32.bytes() + DType.I32.bytes());
        int rows = 2 * BACKWARD_KEYS_GROUPS * GROUP_ROWS + 2 * BACKWARD_STAGES * BACKWARD_TILE;
        return sharedBytes(rows, ofRows + barriersBytes());
    }

    private static int barriersBytes() {
        return MBARRIER_BYTES + BACKWARD_STAGES * PLACE_BYTES;
    }

    /** Of tiles with so many rows of D in all, and of what else there is. */
    private int sharedBytes(int rows, int otherBytes) {
        return (rows * D * DType.BF16.bytes() + otherBytes + SHARED_ALIGNMENT - 1)
                / SHARED_ALIGNMENT
                * SHARED_ALIGNMENT;
    }
}
