package dev.rheostat.op.cpu;

import java.lang.foreign.MemorySegment;

/**
 * One matrix product on the calling thread: C = alpha op(A) op(B) + beta C over f32 row-major blocks inside larger matrices.
 * op(A) is (M,K), op(B) is (K,N), C is (M,N). Offsets are in bytes, leading dimensions in elements of the stored
 * (untransposed) matrix. Beta 0 overwrites C whatever it held.
 */
interface BlockGemm {
    /** Name of the library or kernel and how it rounds, for the log. */
    String describe();

    /** @param worker of the pool: whose scratch to use */
    void multiply(
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
            int worker);
}
