package dev.rheostat.op;

/**
 * AdamW over one flat buffer, with the decisions of a step made where the data is: global-norm clip, bias correction and
 * the skip of a non-finite step. Loshchilov and Hutter 2019, arXiv:1711.05101 (decay decoupled, scaled by the rate).
 */
public interface AdamW<X extends Tensor> {
    /**
     * @param clipNorm 0 for no clip
     */
    record Settings(float beta1, float beta2, float epsilon, float weightDecay, float clipNorm) {}

    /**
     * What decides and remembers a step, in backend memory: learningRate (1) f32, written by {@link StepIo#loadControl};
     * gradNorm (1) f32, written by update; counters (2) i64: updates applied (the t of bias correction), updates skipped.
     */
    record Control<X extends Tensor>(X learningRate_1, X gradNorm_1, X counters_2) {}

    Control<X> allocateControl();

    /**
     * Reads the sums' non-finite count and the gradient's norm; if either is not finite the parameters and moments stay
     * as they are and the skip is counted, else all N parameters move.
     */
    void update(
            X parameter_N, X gradient_N, X m_N, X v_N, LossHead.Sums<X> sums, Control<X> control, Settings settings);
}
