package dev.rheostat.op.cpu;

import dev.rheostat.ffi.OneDnn;
import java.lang.foreign.MemorySegment;
import java.util.HashMap;
import java.util.Map;

/**
 * oneDNN, one call a block. In f32 its sgemm; in bf16 its matmul primitive, which rounds the f32 operands on their way into
 * the tiles: no copy of ours, and one compiled primitive for each shape and worker, made when the shape is first seen.
 */
final class OneDnnBlockGemm implements BlockGemm {
    private record Key(
            boolean transA, boolean transB, int M, int N, int K, int lda, int ldb, int ldc, boolean accumulate) {}

    private final boolean bf16;
    private final Map<Key, OneDnn.Bf16Matmul>[] compiled;

    @SuppressWarnings({"unchecked", "rawtypes"}) // an array of maps, one a worker
    OneDnnBlockGemm(boolean bf16, int workers) {
        this.bf16 = bf16;
        compiled = new Map[workers];
        for (int i = 0; i < workers; i++) compiled[i] = new HashMap<>();
    }

    @Override
    public String describe() {
        return "oneDNN, " + (bf16 ? "operands rounded to bf16, sums in f32" : "f32");
    }

    @Override
    public void multiply(
            boolean transA,
            boolean transB,
            int M,
            int N,
            int K,
            float alpha,
            MemorySegment a,
            long aOffset,
            int lda,
            MemorySegment b,
            long bOffset,
            int ldb,
            float beta,
            MemorySegment c,
            long cOffset,
            int ldc,
            int worker) {
        long aAddress = a.address() + aOffset, bAddress = b.address() + bOffset, cAddress = c.address() + cOffset;
        if (!bf16 || alpha != 1 || (beta != 0 && beta != 1)) {
            OneDnn.sgemm(transA, transB, M, N, K, alpha, aAddress, lda, bAddress, ldb, beta, cAddress, ldc);
            return;
        }
        Key key = new Key(transA, transB, M, N, K, lda, ldb, ldc, beta == 1);
        OneDnn.Bf16Matmul matmul = compiled[worker].get(key);
        if (matmul == null) {
            matmul = new OneDnn.Bf16Matmul(transA, transB, M, N, K, lda, ldb, ldc, beta == 1);
            compiled[worker].put(key, matmul);
        }
        matmul.run(aAddress, bAddress, cAddress);
    }
}
