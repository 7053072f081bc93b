package dev.rheostat.op;

/**
 * Normalisation over the last axis.
 * RMS: y = x / sqrt(mean(x^2) + eps) * gain; Zhang and Sennrich 2019, arXiv:1910.07467, sec. 4.
 * LAYER: y = (x - mean) / sqrt(var + eps) * gain + bias; Ba et al. 2016, arXiv:1607.06450, biased variance.
 */
public interface Norm<X extends Tensor> {
    enum Kind {
        RMS,
        LAYER
    }

    /**
     * @param y_RC out
     * @param stats_R2 out: mean (0 for RMS) and 1/deviation of each row, kept for backward
     * @param gain_C null for none
     * @param bias_C null for none
     */
    void forward(Kind kind, X y_RC, X stats_R2, X x_RC, X gain_C, X bias_C, float eps);

    /**
     * dx += gradient through the norm (the residual stream's own gradient is already in dx); dGain and dBias are added to.
     * @param x_RC the norm's input
     */
    void backward(Kind kind, X dx_RC, X dGain_C, X dBias_C, X dy_RC, X x_RC, X stats_R2, X gain_C);
}
