package dev.rheostat.op;

/**
 * Queries and keys on their way into attention, in one pass: LayerNorm over the head width with gain and without bias
 * (optional), then rotary positions over interleaved pairs (optional): pair i of position t turns by t * base^(-2i/D).
 * Henry et al. 2020, arXiv:2010.04245; Su et al. 2021, arXiv:2104.09864. Values are not touched: attention reads them
 * from qkv.
 */
public interface QkRotary<X extends Tensor> {
    /** @param rotaryBase 0 for no rotation; normEps is used where gains are given */
    record Settings(float rotaryBase, float normEps) {}

    /**
     * @param qk_RhD out, (R, (H+G) D): queries then keys
     * @param stats_Rh2 out, (R, H+G, 2): mean and 1/deviation of each head, when gains are given; else null
     * @param gainQ_D null for no norm; then gainK_D is null too
     */
    void forward(X qk_RhD, X stats_Rh2, X qkv_RW, X gainQ_D, X gainK_D);

    /** Writes the query and key parts of dQkv (not its values); dGainQ and dGainK are added to. */
    void backward(X dQkv_RW, X dGainQ_D, X dGainK_D, X dQk_RhD, X qkv_RW, X stats_Rh2, X gainQ_D, X gainK_D);
}
