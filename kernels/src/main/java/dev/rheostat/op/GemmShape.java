package dev.rheostat.op;

/** The three axes of a product, checked against its tensors. */
public record GemmShape(int M, int N, int K) {
    /** @throws IllegalArgumentException naming the three tensors, before anything is written */
    public static GemmShape of(Tensor c, Tensor a, boolean transA, Tensor b, boolean transB) {
        boolean matrices = c.rank() == 2 && a.rank() == 2 && b.rank() == 2;
        if (matrices) {
            long M = a.dim(transA ? 1 : 0), K = a.dim(transA ? 0 : 1), N = b.dim(transB ? 0 : 1);
            boolean fits = b.dim(transB ? 1 : 0) == K && c.dim(0) == M && c.dim(1) == N;
            if (fits) return new GemmShape(Math.toIntExact(M), Math.toIntExact(N), Math.toIntExact(K));
        }
        throw new IllegalArgumentException(
                "gemm: C " + c + " is not A " + a + (transA ? "^T" : "") + " times B " + b + (transB ? "^T" : ""));
    }

    /** What a linear layer adds to its product, null for none. @throws IllegalArgumentException naming both tensors */
    public static void linear(Tensor y_RO, Tensor bias_O, Tensor residual_RO) {
        if (bias_O != null) biasWidth(y_RO, bias_O);
        if (residual_RO == null) return;
        boolean fits = residual_RO.type() == y_RO.type() && residual_RO.size() == y_RO.size();
        if (!fits || residual_RO == y_RO)
            throw new IllegalArgumentException("residual " + residual_RO + " is not another tensor like " + y_RO);
    }

    /** @throws IllegalArgumentException naming both tensors */
    public static long biasWidth(Tensor y_RO, Tensor bias_O) {
        if (y_RO.rank() != 2 || bias_O.size() != y_RO.dim(1))
            throw new IllegalArgumentException("bias " + bias_O + " does not fit rows of " + y_RO);
        return bias_O.size();
    }
}
