package dev.rheostat.cuda;

/** The cublasStatus_t codes of cublas_api.h. */
final class CublasErrors {
    static final int ALLOC_FAILED = 3;
    static final int NOT_SUPPORTED = 15;

    private CublasErrors() {}

    static String name(int status) {
        return switch (status) {
            case 1 -> "CUBLAS_STATUS_NOT_INITIALIZED";
            case ALLOC_FAILED -> "CUBLAS_STATUS_ALLOC_FAILED";
            case 7 -> "CUBLAS_STATUS_INVALID_VALUE";
            case 8 -> "CUBLAS_STATUS_ARCH_MISMATCH";
            case 11 -> "CUBLAS_STATUS_MAPPING_ERROR";
            case 13 -> "CUBLAS_STATUS_EXECUTION_FAILED";
            case 14 -> "CUBLAS_STATUS_INTERNAL_ERROR";
            case NOT_SUPPORTED -> "CUBLAS_STATUS_NOT_SUPPORTED";
            case 16 -> "CUBLAS_STATUS_LICENSE_ERROR";
            default -> "an unknown cublasStatus_t";
        };
    }

    /** One sentence, or "" where none is known. */
    static String cure(int status) {
        return switch (status) {
            case 1 -> "cuBLAS needs a driver as new as itself: install a newer driver, or the cuBLAS of an older CUDA.";
            case ALLOC_FAILED ->
                "Use a smaller micro-batch, or free the device's memory (nvidia-smi lists who holds it).";
            case 8, NOT_SUPPORTED ->
                "cuBLAS has no such product for this device: widths that are multiples of 8 have one on all of them.";
            case 13, 14 -> "Mostly an earlier kernel has failed: the next call of the driver says which error it was.";
            default -> "";
        };
    }
}
