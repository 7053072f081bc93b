package dev.rheostat.op.cpu;

import dev.rheostat.ffi.OneDnn;
import java.lang.foreign.MemorySegment;

/** oneDNN's sgemm, one call a block. */
final class OneDnnBlockGemm implements BlockGemm {
    @Override
    public String describe() {
        return "oneDNN";
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
        OneDnn.sgemm(
                transA,
                transB,
                M,
                N,
                K,
                alpha,
                a.address() + aOffset,
                lda,
                b.address() + bOffset,
                ldb,
                beta,
                c.address() + cOffset,
                ldc);
    }
}
