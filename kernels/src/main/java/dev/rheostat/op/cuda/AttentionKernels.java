package dev.rheostat.op.cuda;

/**
 * The kernels of one file that compute attention, for a shape and devices. Tensors are as {@link dev.rheostat.op.Attention} has them,
 * checked by the caller; rowStats_HR2 is scratch that one kernel of backward writes for the other: of each head and row, log of the
 * denominator to base 2 and dO . o.
 */
interface AttentionKernels {
    /** Most dynamic shared memory that one of them takes for a block. */
    int sharedBytes();

    void forward(
            DeviceTensor o_RHD, DeviceTensor lse_RH, DeviceTensor qk_RhD, DeviceTensor qkv_RW, DeviceTensor docStart_R);

    void backward(
            DeviceTensor dQk_RhD,
            DeviceTensor dQkv_RW,
            DeviceTensor rowStats_HR2,
            DeviceTensor dO_RHD,
            DeviceTensor o_RHD,
            DeviceTensor lse_RH,
            DeviceTensor qk_RhD,
            DeviceTensor qkv_RW,
            DeviceTensor docStart_R);
}
