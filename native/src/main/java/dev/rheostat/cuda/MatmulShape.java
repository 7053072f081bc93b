package dev.rheostat.cuda;

import dev.rheostat.ffi.CublasLtLibrary;
import java.util.Locale;

/**
 * D = alpha op(A) op(B) + beta C [+ bias], column-major as BLAS has it: element (i, j) of a matrix lies at i + j ld. C and D
 * have one layout and may be one matrix. Sums in f32.
 *
 * @param m rows of op(A) and D; n columns of op(B) and D; k columns of op(A) and rows of op(B)
 * @param lda distance of A's columns in elements, at least its rows: m, or k if transA
 * @param ldb as lda: k, or n if transB
 * @param ldd as lda: m
 * @param inputs type of A and B
 * @param output type of C, D and the bias
 * @param bias whether a vector of m values is added to each column of D
 */
public record MatmulShape(
        boolean transA,
        boolean transB,
        long m,
        long n,
        long k,
        long lda,
        long ldb,
        long ldd,
        Type inputs,
        Type output,
        boolean bias) {
    /** Element types, with cudaDataType's number. */
    public enum Type {
        F32(CublasLtLibrary.CUDA_R_32F),
        BF16(CublasLtLibrary.CUDA_R_16BF);

        private final int cudaDataType;

        Type(int cudaDataType) {
            this.cudaDataType = cudaDataType;
        }

        public int cudaDataType() {
            return cudaDataType;
        }
    }

    /** @throws IllegalArgumentException a size of 0 or a leading dimension below its rows */
    public MatmulShape {
        boolean sizes = m > 0 && n > 0 && k > 0;
        boolean strides = lda >= (transA ? k : m) && ldb >= (transB ? n : k) && ldd >= m;
        if (!sizes || !strides)
            throw new IllegalArgumentException("no product has m=" + m + " n=" + n + " k=" + k + " lda=" + lda + " ldb="
                    + ldb + " ldd=" + ldd + " transA=" + transA + " transB=" + transB);
    }

    /** "TN 768x1024x3072 bf16->f32+bias", the sizes as m, n, k. */
    @Override
    public String toString() {
        return (transA ? "T" : "N") + (transB ? "T" : "N") + " " + m + "x" + n + "x" + k + " "
                + inputs.name().toLowerCase(Locale.ROOT) + "->"
                + output.name().toLowerCase(Locale.ROOT) + (bias ? "+bias" : "");
    }
}
