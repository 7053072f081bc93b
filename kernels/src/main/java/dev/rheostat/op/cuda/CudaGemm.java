package dev.rheostat.op.cuda;

import dev.rheostat.cuda.CublasLt;
import dev.rheostat.cuda.CudaException;
import dev.rheostat.cuda.Matmul;
import dev.rheostat.cuda.MatmulShape;
import dev.rheostat.cuda.Nvtx;
import dev.rheostat.cuda.jcuda.JCublasGemm;
import dev.rheostat.op.DType;
import dev.rheostat.op.DeviceException;
import dev.rheostat.op.Gemm;
import dev.rheostat.op.GemmShape;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/**
 * Products by cuBLASLt, or by JCublas where the run binds CUDA through JCuda and CUDA 12's cuBLAS is installed: bf16 operands (of
 * weights their bf16 copy), f32 sums, C in bf16 or f32. A row-major C = op(A) op(B) is the library's column-major
 * C^T = op(B)^T op(A)^T over the same memory, so operands change places and nothing is copied. JCublas adds nothing to its products
 * but what C held, so linear layers with a bias or a residual are cuBLASLt's in any case.
 *
 * <p>Bitwise repeatable on one device: algorithms come from the library's heuristic, or of those that it offers from {@link
 * ProductChoices}, and are kept; the workspace is fixed.
 */
final class CudaGemm implements Gemm<DeviceTensor>, AutoCloseable {
    /** What cuBLAS recommends for compute capability 9.0 (its documentation, "cublasSetWorkspace"). */
    private static final long WORKSPACE_BYTES = 32L << 20;

    private final CudaOps ops;
    private final CudaElements elements;
    private final CublasLt library; // null in a plan
    private final JCublasGemm jcublas; // null where cuBLASLt does all
    private final DeviceTensor workspace;
    private final ProductChoices choices;
    private final Set<Matmul> used = new LinkedHashSet<>();

    /**
     * @param jcublas whether JCublas is to be preferred where it can be used
     * @throws CudaException no cuBLASLt, naming every place where it was looked for
     */
    CudaGemm(CudaOps ops, CudaElements elements, boolean jcublas, ProductChoices choices) {
        this.ops = ops;
        this.elements = elements;
        this.choices = choices;
        library = ops.planned() ? null : new CublasLt();
        workspace = ops.allocate("GEMM workspace", DType.BF16, WORKSPACE_BYTES / DType.BF16.bytes());
        boolean usable = jcublas && !ops.planned() && JCublasGemm.unavailable().isEmpty();
        this.jcublas = usable ? new JCublasGemm() : null;
        if (usable) this.jcublas.use(ops.stream(), workspace.address(), WORKSPACE_BYTES);
    }

    String describe() {
        if (library == null) return "planned";
        return (jcublas == null ? "" : "JCublas, and with a bias or residual ") + "cuBLASLt " + CublasLt.version();
    }

    /** The algorithm of every shape that cuBLASLt has multiplied so far. */
    Map<String, String> algorithms() {
        Map<String, String> algorithms = new TreeMap<>();
        for (Matmul matmul : used) algorithms.put(matmul.shape().toString(), matmul.describeAlgorithm());
        return algorithms;
    }

    @Override
    public void nt(DeviceTensor c, DeviceTensor a, DeviceTensor b, boolean accumulate) {
        product(c, a, false, b, true, null, accumulate ? c : null);
    }

    @Override
    public void nn(DeviceTensor c, DeviceTensor a, DeviceTensor b, boolean accumulate) {
        product(c, a, false, b, false, null, accumulate ? c : null);
    }

    @Override
    public void tn(DeviceTensor c, DeviceTensor a, DeviceTensor b, boolean accumulate) {
        product(c, a, true, b, false, null, accumulate ? c : null);
    }

    @Override
    public void linear(
            DeviceTensor y_RO,
            DeviceTensor x_RI,
            DeviceTensor weight_OI,
            DeviceTensor bias_O,
            DeviceTensor residual_RO) {
        GemmShape.linear(y_RO, bias_O, residual_RO);
        product(y_RO, x_RI, false, weight_OI, true, bias_O, residual_RO);
    }

    @Override
    public void biasBackward(DeviceTensor dBias_O, DeviceTensor dy_RO) {
        GemmShape.biasWidth(dy_RO, dBias_O);
        elements.biasBackward(dBias_O, dy_RO);
    }

    /** C = op(A) op(B) + bias + summand. @param summand C itself, or a tensor like it; null for none */
    private void product(
            DeviceTensor c,
            DeviceTensor a,
            boolean transA,
            DeviceTensor b,
            boolean transB,
            DeviceTensor bias,
            DeviceTensor summand) {
        GemmShape shape = GemmShape.of(c, a, transA, b, transB);
        if (c.type() != DType.BF16 && c.type() != DType.F32)
            throw new IllegalArgumentException("gemm: C " + c + " is neither bf16 nor f32");
        int M = shape.M(), N = shape.N(), K = shape.K();
        MatmulShape columnMajor = new MatmulShape(
                transB,
                transA,
                N,
                M,
                K,
                transB ? K : N,
                transA ? M : K,
                N,
                MatmulShape.Type.BF16,
                c.type() == DType.F32 ? MatmulShape.Type.F32 : MatmulShape.Type.BF16,
                bias != null);
        long aAddress = a.compute().address(), bAddress = b.compute().address();
        // the library takes biases of C's type: of f32 the masters
        DeviceTensor biasOfC = bias == null || c.type() == DType.F32 ? bias : bias.compute();
        long biasAddress = biasOfC == null ? 0 : biasOfC.address();
        ops.stream(); // refuses in a plan
        Nvtx.push("product");
        float beta = summand == null ? 0 : 1;
        long summandAddress = (summand == null ? c : summand).address();
        CudaOps.guarded(() -> {
            if (jcublas != null && bias == null && summandAddress == c.address()) {
                jcublas.run(columnMajor, bAddress, aAddress, c.address(), 1, beta);
                return;
            }
            Matmul matmul = matmul(columnMajor);
            matmul.run(
                    bAddress,
                    aAddress,
                    summandAddress,
                    c.address(),
                    1,
                    beta,
                    biasAddress,
                    workspace.address(),
                    ops.stream());
        });
        Nvtx.pop();
    }

    /** @throws DeviceException if the file of choices is not this library's or not for this device */
    private Matmul matmul(MatmulShape shape) {
        int rank = choices.rank(shape.toString());
        try {
            Matmul matmul = library.matmul(shape, WORKSPACE_BYTES, rank);
            if (used.add(matmul)) choices.check(shape.toString(), matmul.describeAlgorithm());
            return matmul;
        } catch (IllegalStateException e) {
            throw new DeviceException(e.getMessage(), e);
        } catch (CudaException e) {
            if (rank == 0) throw e;
            throw new DeviceException(ProductChoices.notOffered(shape.toString(), rank) + ": " + e.getMessage(), e);
        }
    }

    @Override
    public void close() {
        if (jcublas != null) jcublas.close();
        if (library != null) library.close();
    }
}
