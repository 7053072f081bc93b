package dev.rheostat.op.cuda;

import dev.rheostat.cuda.LaunchShape;
import dev.rheostat.op.Attention;
import dev.rheostat.op.AttentionShape;
import dev.rheostat.op.DType;
import dev.rheostat.op.Doors;

/**
 * attention.cu: head widths 64 and 128, sequences of a multiple of 8 tokens. docStart must not fall within a sequence: tiles
 * before the first row's document are not looked at. Backward is two launches; each writes what it alone sums, so its bits
 * repeat. Scratch is 8 R H bytes.
 */
final class CudaAttention implements Attention<DeviceTensor> {
    /** As attention.cu has them. */
    private static final int THREADS = 128,
            QUERY_TILE = 128,
            FORWARD_KEY_TILE = 64,
            RING_QUERIES = 64,
            RING_KEY_ELEMENTS = 4096;

    /** Of the second and third axis of a grid (CUDA programming guide, table of limits). */
    private static final int MOST_BLOCKS_AN_AXIS = 65_535;

    private final CudaOps ops;
    private final AttentionShape shape;
    /** Of each head and row, log of the denominator to base 2 and dO . o: made by one kernel of backward for the other. */
    private final DeviceTensor rowStats_HR2;

    /** @throws IllegalArgumentException naming what of the shape, or of the device, the kernels do not take */
    CudaAttention(CudaOps ops, AttentionShape shape) {
        int T = shape.tokens(), D = shape.headWidth();
        if (D != 64 && D != 128)
            throw new IllegalArgumentException("attention on CUDA takes head widths D of 64 and 128, not D=" + D);
        Octets.of("attention", "T", T);
        if (shape.batch() > MOST_BLOCKS_AN_AXIS
                || shape.heads() > MOST_BLOCKS_AN_AXIS
                || (long) T * shape.qkvWidth() > Integer.MAX_VALUE)
            throw new IllegalArgumentException("attention on CUDA takes up to " + MOST_BLOCKS_AN_AXIS
                    + " sequences and heads and 2^31 elements of qkv a sequence, not batch=" + shape.batch() + " heads="
                    + shape.heads() + " T=" + T + " of " + shape.qkvWidth());
        int sharedBytes = Math.max(queriesSharedBytes(D), keysSharedBytes(D));
        if (sharedBytes > ops.sharedBytesPerBlock())
            throw new IllegalArgumentException("attention on CUDA with D=" + D + " takes " + sharedBytes
                    + " bytes of shared memory a block; this device has " + ops.sharedBytesPerBlock());
        this.ops = ops;
        this.shape = shape;
        rowStats_HR2 = ops.allocate("scratch", DType.F32, shape.heads(), shape.rows(), 2);
    }

    /** The one place that would choose another kernel for another device. */
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
        Doors.DEVICE.attention(shape, o_RHD, lse_RH, qk_RhD, qkv_RW, docStart_R);
        Octets.aligned("attention", o_RHD, qk_RhD, qkv_RW);
        KernelCall call = kernel("forward").pointer(o_RHD).pointer(lse_RH);
        axes(call.pointer(qk_RhD).pointer(qkv_RW).pointer(docStart_R))
                .launch(queryTiles(forwardSharedBytes(shape.headWidth())));
    }

    @Override
    public void backward(
            DeviceTensor dQk_RhD,
            DeviceTensor dQkv_RW,
            DeviceTensor dO_RHD,
            DeviceTensor o_RHD,
            DeviceTensor lse_RH,
            DeviceTensor qk_RhD,
            DeviceTensor qkv_RW,
            DeviceTensor docStart_R) {
        Doors.DEVICE.attention(shape, o_RHD, lse_RH, qk_RhD, qkv_RW, docStart_R);
        Doors.DEVICE.attention(shape, dO_RHD, lse_RH, dQk_RhD, dQkv_RW, docStart_R);
        Octets.aligned("attention", dQk_RhD, dQkv_RW, dO_RHD, o_RHD, qk_RhD, qkv_RW, docStart_R);
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
