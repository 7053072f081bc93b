package dev.rheostat.op.cuda;

import dev.rheostat.cuda.LaunchShape;
import dev.rheostat.op.AttentionShape;
import dev.rheostat.op.DType;

/** attention.cu: mma.sync, for every device from compute capability 8.0. */
final class MmaAttention implements AttentionKernels {
    /** As attention.cu has them. */
    private static final int THREADS = 128,
            QUERY_TILE = 128,
            FORWARD_KEY_TILE = 64,
            RING_QUERIES = 64,
            RING_KEY_ELEMENTS = 4096;

    private final CudaOps ops;
    private final AttentionShape shape;

    MmaAttention(CudaOps ops, AttentionShape shape) {
        this.ops = ops;
        this.shape = shape;
    }

    @Override
    public int sharedBytes() {
        int D = shape.headWidth();
        return Math.max(queriesSharedBytes(D), keysSharedBytes(D));
    }

    private KernelCall kernel(String pass) {
        return ops.kernel("attention_" + pass + "_" + shape.headWidth());
    }

    @Override
    public void forward(
            DeviceTensor o_RHD,
            DeviceTensor lse_RH,
            DeviceTensor qk_RhD,
            DeviceTensor qkv_RW,
            DeviceTensor docStart_R) {
        KernelCall call = kernel("forward").pointer(o_RHD).pointer(lse_RH);
        axes(call.pointer(qk_RhD).pointer(qkv_RW).pointer(docStart_R))
                .launch(queryTiles(forwardSharedBytes(shape.headWidth())));
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
        axes(queries.pointer(dO_RHD)
                        .pointer(o_RHD)
                        .pointer(lse_RH)
                        .pointer(qk_RhD)
                        .pointer(qkv_RW)
                        .pointer(docStart_R))
                .launch(queryTiles(queriesSharedBytes(shape.headWidth())));
        KernelCall keys =
                kernel("backward_keys").pointer(dQk_RhD).pointer(dQkv_RW).pointer(rowStats_HR2);
        axes(keys.pointer(dO_RHD).pointer(qk_RhD).pointer(qkv_RW).pointer(docStart_R))
                .launch(keyTiles());
    }

    private KernelCall axes(KernelCall call) {
        return call.i32(shape.tokens()).i32(shape.heads()).i32(shape.kvHeads());
    }

    private LaunchShape queryTiles(int sharedBytes) {
        return new LaunchShape(tiles(QUERY_TILE), shape.heads(), shape.batch(), THREADS, 1, sharedBytes);
    }

    private LaunchShape keyTiles() {
        int D = shape.headWidth();
        return new LaunchShape(tiles(keyTile(D)), shape.kvHeads(), shape.batch(), THREADS, 1, keysSharedBytes(D));
    }

    private int tiles(int rows) {
        return (shape.tokens() + rows - 1) / rows;
    }

    private static int keyTile(int D) {
        return 8192 / D;
    }

    /** A tile of q, one of keys and one of values. */
    private static int forwardSharedBytes(int D) {
        return (QUERY_TILE + 2 * FORWARD_KEY_TILE) * D * DType.BF16.bytes();
    }

    /** Tiles of q and dO, two places for a tile of keys and one of values, the rows' stats. */
    private static int queriesSharedBytes(int D) {
        return 2 * QUERY_TILE * D * DType.BF16.bytes()
                + 2 * 2 * RING_KEY_ELEMENTS * DType.BF16.bytes()
                + QUERY_TILE * 2 * DType.F32.bytes();
    }

    /** Tiles of keys and values, two places for a tile of q, one of dO, the rows' stats and docStart. */
    private static int keysSharedBytes(int D) {
        int placeBytes = RING_QUERIES * (2 * D * DType.BF16.bytes() + 2 * DType.F32.bytes() + DType.I32.bytes());
        return 2 * keyTile(D) * D * DType.BF16.bytes() + 2 * placeBytes;
    }
}
