package dev.rheostat.op.cuda;

import dev.rheostat.op.Attention;
import dev.rheostat.op.AttentionShape;
import dev.rheostat.op.DType;
import dev.rheostat.op.Doors;

/**
 * Attention of head widths 64 and 128, sequences of a multiple of 8 tokens, by the kernels that were made for the device: on compute
 * capability 9.0 attention_hopper.cu and attention_hopper_heads.cu, else attention.cu. docStart must not fall within a sequence: tiles before the first row's
 * document are not looked at. Backward is two launches; each sum has one block, so its bits repeat. Scratch is 8 R H bytes and
 * what the family adds.
 */
final class CudaAttention implements Attention<DeviceTensor> {
    /** Of the second and third axis of a grid (CUDA programming guide, table of limits). */
    private static final int MOST_BLOCKS_AN_AXIS = 65_535;

    private final AttentionShape shape;
    private final AttentionKernels kernels;
    /** Of each head and row, log of the denominator to base 2 and dO . o: made by one kernel of backward for the other. */
    private final DeviceTensor rowStats_HR2;

    /** @throws IllegalArgumentException naming what of the shape, or of the device, the kernels do not take */
    CudaAttention(CudaOps ops, AttentionShape shape) {
        check(shape);
        this(ops, shape, ops.hasWgmma() ? new HopperAttention(ops, shape) : new MmaAttention(ops, shape));
    }

    CudaAttention(CudaOps ops, AttentionShape shape, AttentionKernels kernels) {
        check(shape);
        this.shape = shape;
        this.kernels = kernels;
        if (kernels.sharedBytes() > ops.sharedBytesPerBlock())
            throw new IllegalArgumentException(
                    "attention on CUDA with D=" + shape.headWidth() + " takes " + kernels.sharedBytes()
                            + " bytes of shared memory a block; this device has " + ops.sharedBytesPerBlock());
        rowStats_HR2 = ops.allocate("scratch", DType.F32, shape.heads(), shape.rows(), 2);
    }

    private static void check(AttentionShape shape) {
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
        kernels.forward(o_RHD, lse_RH, qk_RhD, qkv_RW, docStart_R);
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
        kernels.backward(dQk_RhD, dQkv_RW, rowStats_HR2, dO_RHD, o_RHD, lse_RH, qk_RhD, qkv_RW, docStart_R);
    }
}
