package dev.rheostat.op.cuda;

import dev.rheostat.op.AdamW;
import dev.rheostat.op.DType;
import dev.rheostat.op.Doors;
import dev.rheostat.op.LossHead;

/** AdamW in three launches (adamw.cu): partial sums of squares, the decisions, the update with the weights' bf16 copy. */
final class CudaAdamW implements AdamW<DeviceTensor> {
    /** Numbers in 16 bytes, which a thread reads at once. */
    private static final int VECTOR = 4;

    /** As the kernels have them. */
    private static final int THREADS = 256, NORM_VECTORS = 4, UPDATE_VECTORS = 2, DECISION_FLOATS = 8;

    /** Whatever the device, so that the norm has the same bits on all of them; a few blocks an SM on the largest. */
    private static final long MOST_PARTIALS = 1024;

    private final long parameterCount;
    private final CudaOps ops;
    private final DeviceTensor partials;
    private final DeviceTensor decision;

    /** @throws IllegalArgumentException a count that is no multiple of 4 */
    CudaAdamW(CudaOps ops, long parameterCount) {
        if (parameterCount < VECTOR || parameterCount % VECTOR != 0)
            throw new IllegalArgumentException(
                    "AdamW: " + parameterCount + " parameters; pad them to a multiple of " + VECTOR);
        this.parameterCount = parameterCount;
        this.ops = ops;
        long blocks = blocks(THREADS * NORM_VECTORS);
        partials = ops.allocate("scratch", DType.F64, Math.min(blocks, MOST_PARTIALS));
        decision = ops.allocate("optimizer control", DType.F32, DECISION_FLOATS);
    }

    private long blocks(long vectorsOfBlock) {
        return (parameterCount / VECTOR + vectorsOfBlock - 1) / vectorsOfBlock;
    }

    @Override
    public Control<DeviceTensor> allocateControl() {
        return new Control<>(
                ops.allocate("optimizer control", DType.F32, 1),
                ops.allocate("optimizer control", DType.F32, 1),
                ops.allocate("optimizer control", DType.I64, 2));
    }

    /** @throws IllegalArgumentException also for parameters that have no bf16 copy */
    @Override
    public void update(
            DeviceTensor parameter_N,
            DeviceTensor gradient_N,
            DeviceTensor m_N,
            DeviceTensor v_N,
            LossHead.Sums<DeviceTensor> sums,
            Control<DeviceTensor> control,
            Settings settings) {
        Doors.DEVICE.adamW(parameterCount, parameter_N, gradient_N, m_N, v_N);
        DeviceTensor copy_N = parameter_N.compute();
        long vectors = parameterCount / VECTOR;
        ops.kernel("adamw_squares")
                .pointer(partials)
                .pointer(gradient_N)
                .i64(vectors)
                .launch(partials.size(), THREADS);
        ops.kernel("adamw_decide")
                .pointer(decision)
                .pointer(control.gradNorm_1())
                .pointer(control.counters_2())
                .pointer(partials)
                .i32(Math.toIntExact(partials.size()))
                .pointer(sums.flags_2())
                .pointer(control.learningRate_1())
                .f32(settings.beta1())
                .f32(settings.beta2())
                .f32(settings.weightDecay())
                .f32(settings.clipNorm())
                .launch(1, THREADS);
        ops.kernel("adamw_update")
                .pointer(parameter_N)
                .pointer(copy_N)
                .pointer(gradient_N)
                .pointer(m_N)
                .pointer(v_N)
                .pointer(decision)
                .i64(vectors)
                .f32(settings.beta1())
                .f32(settings.beta2())
                .f32(settings.epsilon())
                .launch(blocks(THREADS * UPDATE_VECTORS), THREADS);
    }
}
