package dev.rheostat.op.cuda;

import dev.rheostat.op.DType;
import dev.rheostat.op.Doors;
import dev.rheostat.op.Norm;

/** norm.cu. Rows are up to {@value #WIDEST} values: a block holds one in its registers. */
final class CudaNorm implements Norm<DeviceTensor> {
    private static final int WIDEST = 8192, BLOCK_WARPS = 8, WIDTH_PER_WARP = 1024;

    private final CudaOps ops;
    /** Sums of dGain and of dBias over the rows of each block, one block a multiprocessor, at the width of the call. */
    private final DeviceTensor dGain_PC;

    private final DeviceTensor dBias_PC;

    CudaNorm(CudaOps ops) {
        this.ops = ops;
        dGain_PC = ops.allocate("scratch", DType.F32, ops.multiprocessors(), WIDEST);
        dBias_PC = ops.allocate("scratch", DType.F32, ops.multiprocessors(), WIDEST);
    }

    @Override
    public void forward(
            Kind kind,
            DeviceTensor y_RC,
            DeviceTensor stats_R2,
            DeviceTensor x_RC,
            DeviceTensor gain_C,
            DeviceTensor bias_C,
            float eps) {
        Doors.DEVICE.normForward(y_RC, stats_R2, x_RC, gain_C, bias_C);
        int warps = warpsPerRow(x_RC);
        Octets.aligned("a norm", y_RC, stats_R2, x_RC, gain_C, bias_C);
        ops.kernel("norm_forward")
                .pointer(y_RC)
                .pointer(stats_R2)
                .pointer(x_RC)
                .pointer(gain_C)
                .pointer(bias_C)
                .i64(x_RC.dim(0))
                .i32((int) x_RC.dim(1))
                .i32(warps)
                .f32(eps)
                .i32(layer(kind))
                .launch(blocks(x_RC, warps), Octets.BLOCK_THREADS);
    }

    @Override
    public void backward(
            Kind kind,
            DeviceTensor dx_RC,
            DeviceTensor dGain_C,
            DeviceTensor dBias_C,
            DeviceTensor dy_RC,
            DeviceTensor x_RC,
            DeviceTensor stats_R2,
            DeviceTensor gain_C) {
        Doors.DEVICE.normBackward(kind, dx_RC, dGain_C, dBias_C, dy_RC, x_RC, stats_R2, gain_C);
        int warps = warpsPerRow(x_RC), C = (int) x_RC.dim(1);
        Octets.aligned("a norm", dx_RC, dy_RC, x_RC, stats_R2, gain_C);
        boolean weights = dGain_C != null || dBias_C != null;
        KernelCall call =
                ops.kernel(weights ? "norm_backward_weights" : "norm_backward").pointer(dx_RC);
        if (weights) call.pointer(dGain_C == null ? null : dGain_PC).pointer(dBias_C == null ? null : dBias_PC);
        int blocks =
                Math.toIntExact(weights ? Math.min(blocks(x_RC, warps), ops.multiprocessors()) : blocks(x_RC, warps));
        call.pointer(dy_RC)
                .pointer(x_RC)
                .pointer(stats_R2)
                .pointer(gain_C)
                .i64(x_RC.dim(0))
                .i32(C)
                .i32(warps)
                .i32(layer(kind))
                .launch(blocks, Octets.BLOCK_THREADS);
        if (dGain_C != null) CudaElements.addRows(ops, dGain_C, dGain_PC, 0, blocks, C);
        if (dBias_C != null) CudaElements.addRows(ops, dBias_C, dBias_PC, 0, blocks, C);
    }

    /** 1, 2, 4 or 8. @throws IllegalArgumentException naming the width that no block holds */
    private static int warpsPerRow(DeviceTensor x_RC) {
        long C = x_RC.dim(1);
        Octets.of("a norm", "C", C);
        if (C > WIDEST) throw new IllegalArgumentException("a norm on CUDA takes C up to " + WIDEST + ", not C=" + C);
        int warps = 1;
        while (warps * WIDTH_PER_WARP < C) warps *= 2;
        return warps;
    }

    private static long blocks(DeviceTensor x_RC, int warps) {
        int rowsPerBlock = BLOCK_WARPS / warps;
        return (x_RC.dim(0) + rowsPerBlock - 1) / rowsPerBlock;
    }

    private static int layer(Kind kind) {
        return kind == Kind.LAYER ? 1 : 0;
    }
}
