package dev.rheostat.cuda.jcuda;

import dev.rheostat.cuda.CudaException;
import dev.rheostat.cuda.CudaStream;
import dev.rheostat.cuda.MatmulShape;
import dev.rheostat.ffi.CudaLibrary;
import java.util.Optional;
import jcuda.Pointer;
import jcuda.RheostatHandles;
import jcuda.jcublas.JCublas2;
import jcuda.jcublas.cublasHandle;
import jcuda.jcublas.cublasMath;
import jcuda.runtime.cudaStream_t;

/**
 * Products through JCublas, for machines whose cuBLAS is that of CUDA 12: its native library binds to libcublas.so.12 and to no
 * other. On the context that was current when it was opened; for one thread. Sums in f32; repeatable bit for bit, because
 * cuBLAS uses no atomics unless it is told to and the workspace is one that the caller fixes.
 */
public final class JCublasGemm implements AutoCloseable {
    /** cublasComputeType_t CUBLAS_COMPUTE_32F; cublasGemmAlgo_t CUBLAS_GEMM_DEFAULT. */
    private static final int COMPUTE_32F = 68, GEMM_DEFAULT = -1;

    private final cublasHandle handle = new cublasHandle();
    private boolean closed;

    /** @throws CudaException no cuBLAS of CUDA 12, naming every place where it was looked for, or why JCublas refuses */
    public JCublasGemm() {
        unavailable().ifPresent(reason -> {
            throw CudaException.noLibrary(reason);
        });
        JCublas2.setExceptionsEnabled(false); // statuses are checked here
        check(JCublas2.cublasCreate(handle), "cublasCreate_v2");
        // else the parts of a split K may be added in bf16 (cublas_api.h, cublasMath_t)
        check(
                JCublas2.cublasSetMathMode(handle, cublasMath.CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION),
                "cublasSetMathMode");
    }

    /** Why it cannot be used on this machine; empty if it can. */
    public static Optional<String> unavailable() {
        if (!CudaLibrary.CUBLAS_12.status().available())
            return Optional.of(CudaLibrary.CUBLAS_12.status().detail());
        return JCudaNatives.refusal("JCublas2", "jcuda.jcublas.JCublas2");
    }

    private static void check(int status, String call) {
        if (status != 0) throw CudaException.cublas(status, call);
    }

    /** Products go to this stream and use this memory from now on. @param workspace device address, 256-byte aligned */
    public void use(CudaStream stream, long workspace, long workspaceBytes) {
        cudaStream_t theirs = RheostatHandles.set(new cudaStream_t(), stream.handle());
        check(JCublas2.cublasSetStream(handle, theirs), "cublasSetStream_v2");
        // after the stream: setting that takes the workspace back to cuBLAS's own
        check(
                JCublas2.cublasSetWorkspace(handle, RheostatHandles.pointer(workspace), workspaceBytes),
                "cublasSetWorkspace_v2 bytes=" + workspaceBytes);
    }

    /**
     * Enqueues C = alpha op(A) op(B) + beta C, column-major, C being D of the shape.
     * @param a device address, as b and c are
     * @throws IllegalArgumentException a shape with a bias, or sizes past 2^31 - 1
     */
    public void run(MatmulShape shape, long a, long b, long c, float alpha, float beta) {
        if (shape.bias()) throw new IllegalArgumentException("JCublas adds no bias: " + shape);
        int status = JCublas2.cublasGemmEx_new(
                handle,
                shape.transA() ? 1 : 0,
                shape.transB() ? 1 : 0,
                size(shape.m()),
                size(shape.n()),
                size(shape.k()),
                Pointer.to(new float[] {alpha}),
                RheostatHandles.pointer(a),
                shape.inputs().cudaDataType(),
                size(shape.lda()),
                RheostatHandles.pointer(b),
                shape.inputs().cudaDataType(),
                size(shape.ldb()),
                Pointer.to(new float[] {beta}),
                RheostatHandles.pointer(c),
                shape.output().cudaDataType(),
                size(shape.ldd()),
                COMPUTE_32F,
                GEMM_DEFAULT);
        if (status != 0) throw CudaException.cublas(status, "cublasGemmEx " + shape);
    }

    private static int size(long size) {
        if (size > Integer.MAX_VALUE) throw new IllegalArgumentException("cublasGemmEx takes no size of " + size);
        return (int) size;
    }

    @Override
    public void close() {
        if (closed) return;
        closed = true;
        JCublas2.cublasDestroy(handle); // after a dead context this refuses; the process's end frees the rest
    }
}
