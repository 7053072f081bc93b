package dev.rheostat.op.cuda;

import dev.rheostat.cuda.CudaException;
import dev.rheostat.cuda.LaunchShape;
import dev.rheostat.cuda.TensorMap;
import dev.rheostat.op.AttentionShape;
import dev.rheostat.op.DType;
import java.util.HashMap;
import java.util.Map;

/**
 * attention_hopper.cu and attention_hopper_heads.cu: wgmma and tensor copies, for compute capability 9.0. Backward is made by heads, with
 * five products and H / G T D floats of scratch a block, where blocks that take whole heads keep the device busy, else by tiles, with seven.
 */
final class HopperAttention implements AttentionKernels {
    /** As attention_hopper.cu has them: a block, rows of a tile that it owns, and what a tensor copy brings. */
    private static final int THREADS = 384, ROWS = 128, OWN = 2, BOX_ROWS = 64, BOX_COLUMNS = 64;

    /** Of heads: queries of a tile, and a warp's rows and warps of row_stats. */
    private static final int QUERIES = 64, STATS_WARPS = 4, WARP = 32, SCORE_TILES = 2, SCORE_PLACES = 4;

    /**
     * Backward by heads takes 5/7 of the products; what the heads leave idle of the multiprocessors, in their last round, must be less
     * than that gains.
     */
    private static final double LEAST_BUSY = 0.8;

    /** Rows and number of the tiles that a block walks over. */
    private static final int FORWARD_WALK = 128, FORWARD_STAGES = 2, BACKWARD_WALK = 64, BACKWARD_STAGES = 3;

    /** Of a struct in shared memory, whose size is a multiple of the last. */
    private static final int JOB_BYTES = 20, MET_BYTES = 16, PLACE_BYTES = 16, SHARED_ALIGNMENT = 1024;

    private final CudaOps ops;
    private final AttentionShape shape;
    private final int D, headBlocks;

    /** dQ before it is rounded, of each block and head that it sums at a time; null where backward is made by tiles. */
    private final DeviceTensor sums;

    private record Rows(long address, int width) {}

    /** A run has few buffers, and they stay where they are. */
    private final Map<Rows, TensorMap> maps = new HashMap<>();

    HopperAttention(CudaOps ops, AttentionShape shape) {
        this(
                ops,
                shape,
                headsKeepBusy(shape, ops.multiprocessors()) ? (int) Math.min(ops.multiprocessors(), pairs(shape)) : 0);
    }

    /** @param headBlocks of backward by heads; 0: by tiles */
    HopperAttention(CudaOps ops, AttentionShape shape, int headBlocks) {
        this.ops = ops;
        this.shape = shape;
        this.headBlocks = headBlocks;
        D = shape.headWidth();
        sums = headBlocks > 0 ? ops.allocate("scratch", DType.F32, headBlocks, sumsOfBlock()) : null;
    }

    /** Heads of keys and values of all sequences. */
    private static long pairs(AttentionShape shape) {
        return (long) shape.batch() * shape.kvHeads();
    }

    static boolean headsKeepBusy(AttentionShape shape, int multiprocessors) {
        long pairs = pairs(shape);
        long rounds = (pairs + multiprocessors - 1) / multiprocessors;
        return pairs >= LEAST_BUSY * rounds * multiprocessors;
    }

    private long sumsOfBlock() {
        long queries = (shape.tokens() + QUERIES - 1) / QUERIES * QUERIES;
        return shape.heads() / shape.kvHeads() * queries * D;
    }

    @Override
    public int sharedBytes() {
        int backward = sums != null ? headsSharedBytes() : Math.max(queriesSharedBytes(), keysSharedBytes());
        return Math.max(forwardSharedBytes(), backward);
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
        axes(call.pointer(docStart_R)).launch(blocks(shape.heads(), forwardSharedBytes()));
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
        if (sums != null) {
            rowStats(rowStats_HR2, dO_RHD, o_RHD, lse_RH);
            KernelCall heads = kernel("backward_heads")
                    .pointer(dQk_RhD)
                    .pointer(dQkv_RW)
                    .pointer(sums)
                    .pointer(rowStats_HR2);
            tensorMaps(heads, qk_RhD, qkv_RW, dO_RHD);
            axes(heads.pointer(docStart_R)).launch(new LaunchShape(headBlocks, 1, 1, THREADS, 1, headsSharedBytes()));
            return;
        }
        KernelCall queries = kernel("backward_queries").pointer(dQk_RhD).pointer(rowStats_HR2);
        tensorMaps(queries.pointer(dO_RHD).pointer(o_RHD).pointer(lse_RH), qk_RhD, qkv_RW, dO_RHD);
        axes(queries.pointer(docStart_R)).launch(blocks(shape.heads(), queriesSharedBytes()));
        KernelCall keys =
                kernel("backward_keys").pointer(dQk_RhD).pointer(dQkv_RW).pointer(rowStats_HR2);
        tensorMaps(keys, qk_RhD, qkv_RW, dO_RHD);
        axes(keys.pointer(docStart_R)).launch(blocks(shape.kvHeads(), keysSharedBytes()));
    }

    private void rowStats(DeviceTensor rowStats_HR2, DeviceTensor dO_RHD, DeviceTensor o_RHD, DeviceTensor lse_RH) {
        int rows = STATS_WARPS * (D == 64 ? 32 : 16), blocks = (shape.tokens() + rows - 1) / rows;
        kernel("row_stats")
                .pointer(rowStats_HR2)
                .pointer(dO_RHD)
                .pointer(o_RHD)
                .pointer(lse_RH)
                .i32(shape.batch())
                .i32(shape.tokens())
                .i32(shape.heads())
                .launch(new LaunchShape(blocks, shape.heads(), shape.batch(), STATS_WARPS * WARP, 1, 0));
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
        return maps.computeIfAbsent(new Rows(tensor.address(), width), rows -> {
            long rowBytes = (long) width * DType.BF16.bytes();
            try {
                return new TensorMap(
                        rows.address,
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
        return call.i32(shape.batch()).i32(shape.tokens()).i32(shape.heads()).i32(shape.kvHeads());
    }

    /** No more than there are pairs of tiles to own. */
    private LaunchShape blocks(int heads, int sharedBytes) {
        int tiles = (shape.tokens() + ROWS - 1) / ROWS, pairs = (tiles + 1) / 2;
        int blocks = (int) Math.min(ops.multiprocessors(), (long) pairs * heads * shape.batch());
        return new LaunchShape(blocks, 1, 1, THREADS, 1, sharedBytes);
    }

    private int forwardSharedBytes() {
        int rows = OWN * ROWS + 2 * FORWARD_STAGES * FORWARD_WALK;
        return sharedBytes(rows, OWN * (JOB_BYTES + PLACE_BYTES) + MET_BYTES + 2 * FORWARD_STAGES * PLACE_BYTES);
    }

    private int headsSharedBytes() {
        int stages = D == 64 ? 3 : 2, scores = SCORE_TILES * ROWS * QUERIES * DType.BF16.bytes();
        int stats = stages * QUERIES * (2 * DType.F32.bytes() + DType.I32.bytes());
        int places = OWN * (JOB_BYTES + PLACE_BYTES) + MET_BYTES + (stages + SCORE_PLACES) * PLACE_BYTES;
        return sharedBytes(2 * OWN * ROWS + 2 * stages * QUERIES, scores + stats + places);
    }

    private int queriesSharedBytes() {
        return backwardSharedBytes(ROWS * 2 * DType.F32.bytes());
    }

    private int keysSharedBytes() {
        return backwardSharedBytes(BACKWARD_STAGES * BACKWARD_WALK * (2 * DType.F32.bytes() + DType.I32.bytes()));
    }

    private int backwardSharedBytes(int statsBytes) {
        int rows = 2 * OWN * ROWS + 2 * BACKWARD_STAGES * BACKWARD_WALK;
        return sharedBytes(
                rows, statsBytes + OWN * (JOB_BYTES + PLACE_BYTES) + MET_BYTES + BACKWARD_STAGES * PLACE_BYTES);
    }

    /** Of tiles with so many rows of D in all, and of what else there is. */
    private int sharedBytes(int rows, int otherBytes) {
        return (rows * D * DType.BF16.bytes() + otherBytes + SHARED_ALIGNMENT - 1)
                / SHARED_ALIGNMENT
                * SHARED_ALIGNMENT;
    }
}
