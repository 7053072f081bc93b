package dev.rheostat.cuda;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.rheostat.ffi.CublasLtLibrary;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * One product of {@link CublasLt}: descriptors, and one of the algorithms that the library's heuristic offers for the shape, by its
 * rank: 0 is what it prefers. Nothing is timed, so a rank is the same algorithm in each run with the same library and device.
 *
 * <p>Exactness: sums in f32, bitwise repeatable. Of the ways to split K over blocks the only one let through writes partial sums
 * to the workspace in f32 and adds them in a second step, in a fixed order; in-place reduction goes through D, whose bf16 would
 * round each partial sum, and reduction in the output's type rounds likewise.
 *
 * <p>For one thread at a time: alpha and beta of a call lie in this object until the library has read them.
 */
public final class Matmul {
    /** What every address must be a multiple of: the widest access of a kernel, a 16-byte vector or TMA's unit. */
    public static final int ALIGNMENT_BYTES = 16;

    private final long handle;
    private final MatmulShape shape;
    private final Arena arena = Arena.ofShared();
    private final MemorySegment scalars = arena.allocate(16, 8); // alpha, beta, bias pointer
    private MemorySegment result; // begins with the algorithm
    private long desc;
    private long layoutA;
    private long layoutB;
    private long layoutD;
    private boolean closed;

    /** @throws CudaException CUBLAS_STATUS_NOT_SUPPORTED naming the shape if it is offered too few algorithms */
    Matmul(long handle, MatmulShape shape, long workspaceBytes, int rank) {
        this.handle = handle;
        this.shape = shape;
        try {
            describe();
            choose(workspaceBytes, rank);
        } catch (RuntimeException e) {
            close();
            throw e;
        }
    }

    private void describe() {
        try (Arena local = Arena.ofConfined()) {
            MemorySegment out = local.allocate(JAVA_LONG);
            check(
                    CublasLtLibrary.descCreate(out, CublasLtLibrary.COMPUTE_32F, CublasLtLibrary.CUDA_R_32F),
                    "DescCreate");
            desc = out.get(JAVA_LONG, 0);
            set(local, CublasLtLibrary.DESC_TRANSA, shape.transA() ? 1 : 0);
            set(local, CublasLtLibrary.DESC_TRANSB, shape.transB() ? 1 : 0);
            if (shape.bias()) {
                set(local, CublasLtLibrary.DESC_EPILOGUE, CublasLtLibrary.EPILOGUE_BIAS);
                // the heuristic takes from this address, which it does not read, how biases will be aligned
                // (cublasLt.h)
                setBias(ALIGNMENT_BYTES);
            }
        }
        boolean transA = shape.transA(), transB = shape.transB();
        long m = shape.m(), n = shape.n(), k = shape.k();
        layoutA = layout(shape.inputs(), transA ? k : m, transA ? m : k, shape.lda());
        layoutB = layout(shape.inputs(), transB ? n : k, transB ? k : n, shape.ldb());
        layoutD = layout(shape.output(), m, n, shape.ldd());
    }

    private void set(Arena local, int attribute, int value) {
        check(CublasLtLibrary.descSet(desc, attribute, local.allocateFrom(JAVA_INT, value)), "DescSetAttribute");
    }

    private void setBias(long address) {
        MemorySegment pointer = scalars.asSlice(8, 8);
        pointer.set(JAVA_LONG, 0, address);
        check(CublasLtLibrary.descSet(desc, CublasLtLibrary.DESC_BIAS_POINTER, pointer), "DescSetAttribute");
    }

    private long layout(MatmulShape.Type type, long rows, long columns, long ld) {
        try (Arena local = Arena.ofConfined()) {
            MemorySegment out = local.allocate(JAVA_LONG);
            check(CublasLtLibrary.layoutCreate(out, type.cudaDataType(), rows, columns, ld), "LayoutCreate");
            return out.get(JAVA_LONG, 0);
        }
    }

    private void choose(long workspaceBytes, int rank) {
        MemorySegment offered = arena.allocate((rank + 1L) * CublasLtLibrary.RESULT_BYTES, 8);
        result = offered.asSlice(rank * (long) CublasLtLibrary.RESULT_BYTES, CublasLtLibrary.RESULT_BYTES);
        try (Arena local = Arena.ofConfined()) {
            MemorySegment out = local.allocate(JAVA_LONG);
            check(CublasLtLibrary.preferenceCreate(out), "PreferenceCreate");
            long preference = out.get(JAVA_LONG, 0);
            try {
                prefer(preference, CublasLtLibrary.PREF_WORKSPACE_BYTES, local.allocateFrom(JAVA_LONG, workspaceBytes));
                prefer(
                        preference,
                        CublasLtLibrary.PREF_REDUCTION_MASK,
                        local.allocateFrom(JAVA_INT, CublasLtLibrary.REDUCTION_COMPUTE_TYPE));
                for (int matrix = 0; matrix < 4; matrix++)
                    prefer(
                            preference,
                            CublasLtLibrary.PREF_ALIGNMENT_A + matrix,
                            local.allocateFrom(JAVA_INT, ALIGNMENT_BYTES));
                MemorySegment returned = local.allocate(JAVA_INT);
                check(
                        CublasLtLibrary.heuristic(
                                handle,
                                desc,
                                layoutA,
                                layoutB,
                                layoutD,
                                layoutD,
                                preference,
                                rank + 1,
                                offered,
                                returned),
                        "AlgoGetHeuristic");
                if (returned.get(JAVA_INT, 0) <= rank) check(CublasErrors.NOT_SUPPORTED, "AlgoGetHeuristic");
                check(result.get(JAVA_INT, CublasLtLibrary.RESULT_STATE), "AlgoGetHeuristic");
            } finally {
                CublasLtLibrary.preferenceDestroy(preference);
            }
        }
    }

    private void prefer(long preference, int attribute, MemorySegment value) {
        check(CublasLtLibrary.preferenceSet(preference, attribute, value), "PreferenceSetAttribute");
    }

    private void check(int status, String function) {
        if (status != 0) throw CudaException.cublas(status, "cublasLtMatmul" + function + " " + shape);
    }

    public MatmulShape shape() {
        return shape;
    }

    /** What the chosen algorithm uses. */
    public long workspaceBytes() {
        return result.get(JAVA_LONG, CublasLtLibrary.RESULT_WORKSPACE);
    }

    /**
     * Enqueues the product; returns at once and allocates nothing. May be captured.
     * @param a device addresses, as b, c and d are; c may be d
     * @param bias device address of m values of the output's type; 0 without a bias
     * @param workspace device address of {@link #workspaceBytes} bytes that nothing else on the device uses meanwhile
     * @throws IllegalArgumentException an address that is no multiple of {@link #ALIGNMENT_BYTES}, a bias too many or too few
     */
    public void run(
            long a, long b, long c, long d, float alpha, float beta, long bias, long workspace, CudaStream stream) {
        if (((a | b | c | d | bias | workspace) & (ALIGNMENT_BYTES - 1)) != 0)
            throw new IllegalArgumentException(
                    shape + ": addresses must be multiples of " + ALIGNMENT_BYTES + ", and one of them is not");
        if (shape.bias() != (bias != 0)) throw new IllegalArgumentException(shape + ": bias at address " + bias);
        scalars.set(JAVA_FLOAT, 0, alpha);
        scalars.set(JAVA_FLOAT, 4, beta);
        if (shape.bias()) setBias(bias);
        int status = CublasLtLibrary.matmul(
                handle,
                desc,
                scalars.address(),
                a,
                layoutA,
                b,
                layoutB,
                scalars.address() + 4,
                c,
                layoutD,
                d,
                layoutD,
                result.address(),
                workspace,
                workspaceBytes(),
                stream.handle());
        if (status != 0) throw CudaException.cublas(status, "cublasLtMatmul " + shape);
    }

    /** For logs and checkpoints: library, algorithm and its parameters; equal text for one shape means equal bits on one device. */
    public String describeAlgorithm() {
        return "cublasLt=" + CublasLt.version() + " algo=" + config(CublasLtLibrary.ALGO_ID) + " tile="
                + config(CublasLtLibrary.ALGO_TILE) + " stages=" + config(CublasLtLibrary.ALGO_STAGES) + " splitK="
                + config(CublasLtLibrary.ALGO_SPLIT_K) + " reduction=" + config(CublasLtLibrary.ALGO_REDUCTION)
                + " workspaceBytes=" + workspaceBytes();
    }

    private int config(int attribute) {
        try (Arena local = Arena.ofConfined()) {
            MemorySegment value = local.allocate(JAVA_INT), written = local.allocate(JAVA_LONG);
            MemorySegment algorithm = result.asSlice(0, CublasLtLibrary.ALGO_BYTES);
            check(CublasLtLibrary.algoGet(algorithm, attribute, value, written), "AlgoConfigGetAttribute");
            return value.get(JAVA_INT, 0);
        }
    }

    /** By {@link CublasLt#close}. What was not made is 0. */
    void close() {
        if (closed) return;
        closed = true;
        if (layoutD != 0) CublasLtLibrary.layoutDestroy(layoutD);
        if (layoutB != 0) CublasLtLibrary.layoutDestroy(layoutB);
        if (layoutA != 0) CublasLtLibrary.layoutDestroy(layoutA);
        if (desc != 0) CublasLtLibrary.descDestroy(desc);
        arena.close();
    }
}
