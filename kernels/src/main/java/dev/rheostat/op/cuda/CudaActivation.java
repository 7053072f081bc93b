package dev.rheostat.op.cuda;

import dev.rheostat.op.Activation;
import dev.rheostat.op.Doors;

/** activation.cu. Needs no scratch memory. */
final class CudaActivation implements Activation<DeviceTensor> {
    private final CudaOps ops;

    CudaActivation(CudaOps ops) {
        this.ops = ops;
    }

    @Override
    public void swigluForward(DeviceTensor h_RF, DeviceTensor gateUp_R2F) {
        Doors.DEVICE.swiglu(h_RF, gateUp_R2F, gateUp_R2F);
        Octets.aligned("SwiGLU", h_RF, gateUp_R2F);
        launchByRow(ops.kernel("activation_swiglu_forward").pointer(h_RF).pointer(gateUp_R2F), "SwiGLU", h_RF);
    }

    @Override
    public void swigluBackward(DeviceTensor dGateUp_R2F, DeviceTensor dh_RF, DeviceTensor gateUp_R2F) {
        Doors.DEVICE.swiglu(dh_RF, gateUp_R2F, dGateUp_R2F);
        Octets.aligned("SwiGLU", dGateUp_R2F, dh_RF, gateUp_R2F);
        KernelCall call = ops.kernel("activation_swiglu_backward");
        launchByRow(call.pointer(dGateUp_R2F).pointer(dh_RF).pointer(gateUp_R2F), "SwiGLU", dh_RF);
    }

    @Override
    public void geluForward(DeviceTensor h_RF, DeviceTensor x_RF) {
        Doors.DEVICE.gelu(h_RF, x_RF, x_RF);
        Octets.aligned("GELU", h_RF, x_RF);
        launch(ops.kernel("activation_gelu_forward").pointer(h_RF).pointer(x_RF), x_RF);
    }

    @Override
    public void geluBackward(DeviceTensor dx_RF, DeviceTensor dh_RF, DeviceTensor x_RF) {
        Doors.DEVICE.gelu(dx_RF, dh_RF, x_RF);
        Octets.aligned("GELU", dx_RF, dh_RF, x_RF);
        KernelCall call = ops.kernel("activation_gelu_backward");
        launch(call.pointer(dx_RF).pointer(dh_RF).pointer(x_RF), x_RF);
    }

    private static void launchByRow(KernelCall call, String op, DeviceTensor h_RF) {
        int octetsPerRow = Octets.of(op, "F", h_RF.dim(1)), octets = Octets.of(op, h_RF.dim(0), octetsPerRow);
        call.i32(octets).i32(octetsPerRow).launch(Octets.blocks(octets), Octets.BLOCK_THREADS);
    }

    private static void launch(KernelCall call, DeviceTensor x_RF) {
        int octets = Octets.of("GELU", x_RF.dim(0), Octets.of("GELU", "F", x_RF.dim(1)));
        call.i32(octets).launch(Octets.blocks(octets), Octets.BLOCK_THREADS);
    }
}
