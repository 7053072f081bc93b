package dev.rheostat.op;

/**
 * Matrix product {@code C = op(A) op(B) + beta C}, row-major. M, N, K are the GEMM axes here: op(A) is (M,K), op(B)
 * is (K,N), C is (M,N). Tensors are f32 on the CPU, where precision bf16 rounds both operands to bf16; on a device operands are bf16 (of
 * weights their bf16 copy) and C is bf16 or f32. Sums are f32.
 * Bitwise repeatable for a given library and thread count.
 */
public interface Gemm<X extends Tensor> {
    /** C = A B^T (+ C): A (M,K), B (N,K). The forward pass of a linear layer whose weight is (out, in). */
    void nt(X c, X a, X b, boolean accumulate);

    /** C = A B (+ C): A (M,K), B (K,N). The gradient of such a layer's input. */
    void nn(X c, X a, X b, boolean accumulate);

    /** C = A^T B (+ C): A (K,M), B (K,N). The gradient of such a layer's weight. */
    void tn(X c, X a, X b, boolean accumulate);

    /**
     * y = x W^T + bias + residual, a linear layer and the residual stream that it is a branch of.
     * @param bias_O f32, null for none
     * @param residual_RO of y's type, another tensor than y; null for none
     */
    void linear(X y_RO, X x_RI, X weight_OI, X bias_O, X residual_RO);

    /** dBias[o] += sum_r dy[r,o], rows in fixed order. */
    void biasBackward(X dBias_O, X dy_RO);
}
