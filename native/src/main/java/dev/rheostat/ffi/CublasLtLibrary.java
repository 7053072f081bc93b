package dev.rheostat.ffi;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.rheostat.ffi.load.NativeLibrary;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/**
 * Downcalls for cublasLt.h, of CUDA 12 and 13, which agree in what is here. Each method but {@link #version} returns the
 * cublasStatus_t. Handles link when the class is initialised: ask {@link CudaLibrary#CUBLAS_LT} first.
 */
public final class CublasLtLibrary {
    /** cudaDataType. */
    public static final int CUDA_R_32F = 0, CUDA_R_16BF = 14;
    /** cublasComputeType_t: products of the inputs' type, sums in f32. */
    public static final int COMPUTE_32F = 68;
    /** cublasLtMatmulDescAttributes_t. */
    public static final int DESC_TRANSA = 3, DESC_TRANSB = 4, DESC_EPILOGUE = 7, DESC_BIAS_POINTER = 8;
    /** cublasLtEpilogue_t. */
    public static final int EPILOGUE_BIAS = 4;
    /** cublasLtMatmulPreferenceAttributes_t; the alignment of A is followed by those of B, C and D. */
    public static final int PREF_WORKSPACE_BYTES = 1, PREF_REDUCTION_MASK = 3, PREF_ALIGNMENT_A = 5;
    /** cublasLtReductionScheme_t: partial sums of a split K go to the workspace in f32 and are added in a second step. */
    public static final int REDUCTION_COMPUTE_TYPE = 2;
    /** cublasLtMatmulAlgoConfigAttributes_t. */
    public static final int ALGO_ID = 0, ALGO_TILE = 1, ALGO_SPLIT_K = 2, ALGO_REDUCTION = 3, ALGO_STAGES = 6;

    /**
     * cublasLtMatmulHeuristicResult_t { algo: 64 bytes; size_t workspaceBytes; int state; float waves; int reserved[4]; }
     */
    public static final int ALGO_BYTES = 64,
            RESULT_WORKSPACE = 64,
            RESULT_STATE = 72,
            RESULT_WAVES = 76,
            RESULT_BYTES = 96;

    // size_t cublasLtGetVersion(void)
    private static final MethodHandle VERSION =
            CudaLibrary.CUBLAS_LT.downcall("cublasLtGetVersion", FunctionDescriptor.of(JAVA_LONG));
    // cublasStatus_t cublasLtCreate(cublasLtHandle_t*)
    private static final MethodHandle CREATE = CudaLibrary.CUBLAS_LT.downcall("cublasLtCreate", ADDRESS);
    // cublasLtDestroy(cublasLtHandle_t)
    private static final MethodHandle DESTROY = CudaLibrary.CUBLAS_LT.downcall("cublasLtDestroy", JAVA_LONG);
    // cublasLtMatmulDescCreate(cublasLtMatmulDesc_t*, cublasComputeType_t, cudaDataType scale)
    private static final MethodHandle DESC_CREATE =
            CudaLibrary.CUBLAS_LT.downcall("cublasLtMatmulDescCreate", ADDRESS, JAVA_INT, JAVA_INT);
    private static final MethodHandle DESC_DESTROY =
            CudaLibrary.CUBLAS_LT.downcall("cublasLtMatmulDescDestroy", JAVA_LONG);
    // cublasLtMatmulDescSetAttribute(desc, attribute, const void* value, size_t bytes)
    private static final MethodHandle DESC_SET =
            CudaLibrary.CUBLAS_LT.downcall("cublasLtMatmulDescSetAttribute", JAVA_LONG, JAVA_INT, ADDRESS, JAVA_LONG);
    // cublasLtMatrixLayoutCreate(layout*, cudaDataType, uint64_t rows, uint64_t columns, int64_t ld)
    private static final MethodHandle LAYOUT_CREATE = CudaLibrary.CUBLAS_LT.downcall(
            "cublasLtMatrixLayoutCreate", ADDRESS, JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG);
    private static final MethodHandle LAYOUT_DESTROY =
            CudaLibrary.CUBLAS_LT.downcall("cublasLtMatrixLayoutDestroy", JAVA_LONG);
    private static final MethodHandle PREFERENCE_CREATE =
            CudaLibrary.CUBLAS_LT.downcall("cublasLtMatmulPreferenceCreate", ADDRESS);
    private static final MethodHandle PREFERENCE_DESTROY =
            CudaLibrary.CUBLAS_LT.downcall("cublasLtMatmulPreferenceDestroy", JAVA_LONG);
    private static final MethodHandle PREFERENCE_SET = CudaLibrary.CUBLAS_LT.downcall(
            "cublasLtMatmulPreferenceSetAttribute", JAVA_LONG, JAVA_INT, ADDRESS, JAVA_LONG);
    // cublasLtMatmulAlgoGetHeuristic(handle, desc, A, B, C, D, preference, int requested, result[], int* returned)
    private static final MethodHandle HEURISTIC = CudaLibrary.CUBLAS_LT.downcall(
            "cublasLtMatmulAlgoGetHeuristic",
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_INT,
            ADDRESS,
            ADDRESS);
    // cublasLtMatmulAlgoConfigGetAttribute(const algo*, attribute, void* value, size_t bytes, size_t* written)
    private static final MethodHandle ALGO_GET = CudaLibrary.CUBLAS_LT.downcall(
            "cublasLtMatmulAlgoConfigGetAttribute", ADDRESS, JAVA_INT, ADDRESS, JAVA_LONG, ADDRESS);
    // cublasLtMatmul(handle, desc, alpha*, A, Adesc, B, Bdesc, beta*, C, Cdesc, D, Ddesc, algo*, workspace, bytes,
    // stream)
    private static final MethodHandle MATMUL = CudaLibrary.CUBLAS_LT.downcall(
            "cublasLtMatmul",
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG);

    private CublasLtLibrary() {}

    /** 10,000 major + 100 minor + patch (1,000 major in the old scheme of CUDA 11). */
    public static long version() {
        try {
            return (long) VERSION.invokeExact();
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("cublasLtGetVersion", t);
        }
    }

    /** @param handle out, long */
    public static int create(MemorySegment handle) {
        try {
            return (int) CREATE.invokeExact(handle);
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("cublasLtCreate", t);
        }
    }

    public static int destroy(long handle) {
        return destroy(DESTROY, handle);
    }

    /** @param desc out, long */
    public static int descCreate(MemorySegment desc, int computeType, int scaleType) {
        try {
            return (int) DESC_CREATE.invokeExact(desc, computeType, scaleType);
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("cublasLtMatmulDescCreate", t);
        }
    }

    public static int descDestroy(long desc) {
        return destroy(DESC_DESTROY, desc);
    }

    public static int descSet(long desc, int attribute, MemorySegment value) {
        try {
            return (int) DESC_SET.invokeExact(desc, attribute, value, value.byteSize());
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("cublasLtMatmulDescSetAttribute", t);
        }
    }

    /** Column-major. @param layout out, long; type of cudaDataType, ld in elements */
    public static int layoutCreate(MemorySegment layout, int type, long rows, long columns, long ld) {
        try {
            return (int) LAYOUT_CREATE.invokeExact(layout, type, rows, columns, ld);
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("cublasLtMatrixLayoutCreate", t);
        }
    }

    public static int layoutDestroy(long layout) {
        return destroy(LAYOUT_DESTROY, layout);
    }

    /** @param preference out, long */
    public static int preferenceCreate(MemorySegment preference) {
        try {
            return (int) PREFERENCE_CREATE.invokeExact(preference);
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("cublasLtMatmulPreferenceCreate", t);
        }
    }

    public static int preferenceDestroy(long preference) {
        return destroy(PREFERENCE_DESTROY, preference);
    }

    public static int preferenceSet(long preference, int attribute, MemorySegment value) {
        try {
            return (int) PREFERENCE_SET.invokeExact(preference, attribute, value, value.byteSize());
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("cublasLtMatmulPreferenceSetAttribute", t);
        }
    }

    /** @param results out, the best first; returned out, int: how many there are */
    public static int heuristic(
            long handle,
            long desc,
            long a,
            long b,
            long c,
            long d,
            long preference,
            int requested,
            MemorySegment results,
            MemorySegment returned) {
        try {
            return (int) HEURISTIC.invokeExact(handle, desc, a, b, c, d, preference, requested, results, returned);
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("cublasLtMatmulAlgoGetHeuristic", t);
        }
    }

    /** @param value out; written out, long */
    public static int algoGet(MemorySegment algo, int attribute, MemorySegment value, MemorySegment written) {
        try {
            return (int) ALGO_GET.invokeExact(algo, attribute, value, value.byteSize(), written);
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("cublasLtMatmulAlgoConfigGetAttribute", t);
        }
    }

    /** Enqueues D = alpha op(A) op(B) + beta C. @param alpha host address of a float, as beta is */
    public static int matmul(
            long handle,
            long desc,
            long alpha,
            long a,
            long layoutA,
            long b,
            long layoutB,
            long beta,
            long c,
            long layoutC,
            long d,
            long layoutD,
            long algo,
            long workspace,
            long workspaceBytes,
            long stream) {
        try {
            return (int) MATMUL.invokeExact(
                    handle,
                    desc,
                    alpha,
                    a,
                    layoutA,
                    b,
                    layoutB,
                    beta,
                    c,
                    layoutC,
                    d,
                    layoutD,
                    algo,
                    workspace,
                    workspaceBytes,
                    stream);
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("cublasLtMatmul", t);
        }
    }

    private static int destroy(MethodHandle function, long handle) {
        try {
            return (int) function.invokeExact(handle);
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("cublasLt...Destroy", t);
        }
    }
}
