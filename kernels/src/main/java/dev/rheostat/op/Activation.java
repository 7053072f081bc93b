package dev.rheostat.op;

/** The MLP's nonlinearity. */
public interface Activation<X extends Tensor> {
    /** h = silu(gate) * up, where a row of gateUp is gate (F) then up (F). Shazeer 2020, arXiv:2002.05202. */
    void swigluForward(X h_RF, X gateUp_R2F);

    /** dGateUp may be the same tensor as gateUp. */
    void swigluBackward(X dGateUp_R2F, X dh_RF, X gateUp_R2F);

    /** GELU, tanh form: 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))). Hendrycks and Gimpel 2016, arXiv:1606.08415. */
    void geluForward(X h_RF, X x_RF);

    /** dx may be the same tensor as x. */
    void geluBackward(X dx_RF, X dh_RF, X x_RF);
}
