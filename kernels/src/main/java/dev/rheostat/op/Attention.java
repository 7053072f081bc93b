package dev.rheostat.op;

/**
 * Causal softmax attention, scale 1/sqrt(D), nothing of size T x T in memory; Dao 2023, arXiv:2307.08691. Row t of a
 * sequence sees rows docStart[t] to t of the same sequence. An instance owns the scratch for its shape.
 */
public interface Attention<X extends Tensor> {
    /**
     * @param o_RHD out
     * @param lse_RH out, log of the softmax's denominator (scores scaled), kept for backward
     * @param qk_RhD queries and keys as {@link QkRotary} leaves them
     * @param qkv_RW the packed projection; only its values are read
     * @param docStart_R i32, position in its own sequence at which the row's document starts; null: documents are not told apart
     */
    void forward(X o_RHD, X lse_RH, X qk_RhD, X qkv_RW, X docStart_R);

    /** Writes dQk whole and the value part of dQkv. */
    void backward(X dQk_RhD, X dQkv_RW, X dO_RHD, X o_RHD, X lse_RH, X qk_RhD, X qkv_RW, X docStart_R);
}
