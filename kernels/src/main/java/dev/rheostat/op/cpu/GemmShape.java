package dev.rheostat.op.cpu;

import dev.rheostat.op.DType;
import dev.rheostat.op.HostTensor;

/** The three axes of a product, checked against its tensors. */
record GemmShape(int M, int N, int K) {
    /** @throws IllegalArgumentException naming the three tensors, before anything is written */
    static GemmShape of(HostTensor c, HostTensor a, boolean transA, HostTensor b, boolean transB) {
        boolean matrices = c.rank() == 2 && a.rank() == 2 && b.rank() == 2;
        if (matrices) {
            long M = a.dim(transA ? 1 : 0), K = a.dim(transA ? 0 : 1), N = b.dim(transB ? 0 : 1);
            boolean fits = b.dim(transB ? 1 : 0) == K && c.dim(0) == M && c.dim(1) == N;
            boolean floats = c.type() == DType.F32 && a.type() == DType.F32 && b.type() == DType.F32;
            if (fits && floats) return new GemmShape(Math.toIntExact(M), Math.toIntExact(N), Math.toIntExact(K));
        }
        throw new IllegalArgumentException("gemm: C " + c + " is not A " + a + (transA ? "^T" : "") + " times B " + b
                + (transB ? "^T" : "") + " in f32");
    }

    /** @throws IllegalArgumentException naming both tensors */
    static long biasWidth(HostTensor y_RO, HostTensor bias_O) {
        if (y_RO.rank() != 2 || bias_O.size() != y_RO.dim(1))
            throw new IllegalArgumentException("bias " + bias_O + " does not fit rows of " + y_RO);
        return bias_O.size();
    }
}
