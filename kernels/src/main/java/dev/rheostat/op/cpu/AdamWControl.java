package dev.rheostat.op.cpu;

import dev.rheostat.op.AdamW;
import dev.rheostat.op.DType;
import dev.rheostat.op.HostTensor;
import dev.rheostat.op.LossHead;

/** The decisions of an AdamW step, the same for the definition and its fast variant. */
final class AdamWControl {
    /**
     * @param rate learning rate
     * @param clip factor on the gradient
     * @param correction1 1 - beta1^t
     * @param correction2 1 - beta2^t
     */
    record Step(double rate, double clip, double correction1, double correction2) {}

    private AdamWControl() {}

    static AdamW.Control<HostTensor> allocate(HostMemory memory) {
        return new AdamW.Control<>(
                memory.allocate("optimizer control", DType.F32, 1),
                memory.allocate("optimizer control", DType.F32, 1),
                memory.allocate("optimizer control", DType.I64, 2));
    }

    /** Writes the norm and counts the step as applied or skipped. @return null for a step that is skipped */
    static Step decide(
            double norm, LossHead.Sums<HostTensor> sums, AdamW.Control<HostTensor> control, AdamW.Settings settings) {
        control.gradNorm_1().setDouble(0, norm);
        HostTensor counters = control.counters_2();
        // As the record will show it: a norm that overflows f32 is not finite for anybody.
        boolean apply = Float.isFinite((float) norm) && sums.flags_2().getLong(1) == 0;
        int counter = apply ? 0 : 1;
        counters.setLong(counter, counters.getLong(counter) + 1);
        if (!apply) return null;
        long t = counters.getLong(0);
        double clip = settings.clipNorm() > 0 && norm > settings.clipNorm() ? settings.clipNorm() / norm : 1;
        return new Step(
                control.learningRate_1().getDouble(0),
                clip,
                1 - StrictMath.pow(settings.beta1(), t),
                1 - StrictMath.pow(settings.beta2(), t));
    }
}
