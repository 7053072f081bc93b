package dev.rheostat.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.rheostat.ffi.CublasLtLibrary;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * Our numbers, signatures and struct layouts against NVIDIA's own headers, which a compiler reads: the simulator is ours, so an
 * error that it shares with the bindings shows nowhere else. Headers are looked for in the folders of
 * {@code RHEOSTAT_CUDA_HEADERS} (colons between), {@code CUDA_HOME} and {@code /usr/local/cuda}.
 */
@Timeout(60)
class HeadersTest {
    private static final Path FFI =
            Path.of("src/main/java/dev/rheostat/ffi"); // surefire runs a module's tests in its folder
    private static final Pattern DOWNCALL = Pattern.compile("downcall\\(\\s*\"(\\w+)\"([^;]*)\\);");
    private static final Pattern LAYOUT = Pattern.compile("\\b(ADDRESS|JAVA_(?:BYTE|SHORT|INT|LONG|FLOAT|DOUBLE))\\b");
    private static final Map<String, Integer> BYTES = Map.of(
            "ADDRESS",
            8,
            "JAVA_BYTE",
            1,
            "JAVA_SHORT",
            2,
            "JAVA_INT",
            4,
            "JAVA_LONG",
            8,
            "JAVA_FLOAT",
            4,
            "JAVA_DOUBLE",
            8);

    /** Of a function's declaration: bytes of its result and of its parameters. None that we call takes a float. */
    private static final String FITS = """
            #include <cstddef>
            #include <initializer_list>
            template <class R, class... A>
            constexpr bool fits(R (*)(A...), size_t result, std::initializer_list<size_t> bytes) {
                const size_t sizes[] = {sizeof(A)..., 0};
                if (sizeof(R) != result || bytes.size() != sizeof...(A)) return false;
                for (size_t i = 0; i < bytes.size(); i++)
                    if (bytes.begin()[i] != sizes[i]) return false;
                return true;
            }
            """;

    @TempDir
    private Path folder;

    private final List<String> lines = new ArrayList<>();

    private void same(String enumerator, long ours) {
        lines.add("static_assert((long long)(" + enumerator + ") == " + ours + "LL, \"" + enumerator + "\");");
    }

    /** Each {@code downcall("name", layouts)} of a source of {@code ffi}, whose result is an int unless it says otherwise. */
    private int sameFunctions(String source, String prefix) throws IOException {
        assumeTrue(Files.isDirectory(FFI), "the sources of the bindings are not here");
        int functions = 0;
        Matcher downcall = DOWNCALL.matcher(Files.readString(FFI.resolve(source)));
        while (downcall.find()) {
            if (!downcall.group(1).startsWith(prefix)) continue;
            List<Integer> bytes = new ArrayList<>();
            Matcher layout = LAYOUT.matcher(downcall.group(2));
            while (layout.find()) bytes.add(BYTES.get(layout.group(1)));
            int result = downcall.group(2).contains("FunctionDescriptor.of(") ? bytes.removeFirst() : 4;
            lines.add("static_assert(fits(&" + downcall.group(1) + ", " + result + ", {"
                    + bytes.stream().map(String::valueOf).collect(Collectors.joining(", ")) + "}), \""
                    + downcall.group(1) + "\");");
            functions++;
        }
        return functions;
    }

    /** A constant that is private to its class. */
    private static int constant(Class<?> owner, String name) throws ReflectiveOperationException {
        var field = owner.getDeclaredField(name);
        field.setAccessible(true);
        return ((Number) field.get(null)).intValue();
    }

    private void compile(String... headers) throws IOException, InterruptedException {
        assumeTrue(Stubs.onPath("g++"), "no g++ to read headers with");
        List<Path> folders = Stream.of(
                        System.getenv()
                                .getOrDefault("RHEOSTAT_CUDA_HEADERS", "")
                                .split(":"),
                        new String[] {System.getenv().getOrDefault("CUDA_HOME", "") + "/include"},
                        new String[] {"/usr/local/cuda/include"})
                .flatMap(Stream::of)
                .filter(text -> text.startsWith("/"))
                .map(Path::of)
                .toList();
        for (String header : headers)
            assumeTrue(
                    folders.stream().anyMatch(f -> Files.exists(f.resolve(header))),
                    () -> header + " is in none of " + folders);
        Path source = folder.resolve("headers.cpp");
        String includes =
                Stream.of(headers).map(header -> "#include <" + header + ">\n").collect(Collectors.joining());
        Files.writeString(
                source, "#define __CUDA_API_VERSION_INTERNAL\n" + includes + FITS + String.join("\n", lines) + "\n");
        List<String> command =
                new ArrayList<>(List.of("g++", "-std=c++20", "-fsyntax-only", "-Wno-deprecated-declarations"));
        for (Path f : folders) command.addAll(List.of("-isystem", f.toString()));
        command.add(source.toString());
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        String output = new String(process.getInputStream().readAllBytes());
        assertEquals(0, process.waitFor(), output);
    }

    /** {@code __CUDA_API_VERSION_INTERNAL} undoes the header's renaming, so that a name is the symbol that the driver exports. */
    @Test
    void theDriversHeaderAgrees() throws Exception {
        int functions = 0;
        for (String source : List.of(
                "CudaClusters.java",
                "CudaConditionals.java",
                "CudaDevices.java",
                "CudaGraphs.java",
                "CudaMemory.java",
                "CudaModules.java",
                "CudaStreams.java",
                "CudaTensorMaps.java")) functions += sameFunctions(source, "cu");
        assertTrue(functions > 50, functions + " functions found in the sources");

        int errors = 0;
        for (int code = 1; code < 1000; code++) {
            if (!CudaErrors.name(code).startsWith("CUDA_ERROR_")) continue;
            same(CudaErrors.name(code), code);
            errors++;
        }
        assertTrue(errors > 90, errors + " errors");
        same("CUDA_ERROR_OUT_OF_MEMORY", CudaErrors.OUT_OF_MEMORY);
        same("CUDA_ERROR_NOT_READY", CudaErrors.NOT_READY);
        same("CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE", CudaErrors.GRAPH_EXEC_UPDATE_FAILURE);

        same("CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT", DeviceAttribute.MULTIPROCESSOR_COUNT);
        same("CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY", DeviceAttribute.CAN_MAP_HOST_MEMORY);
        same("CU_DEVICE_ATTRIBUTE_COMPUTE_MODE", DeviceAttribute.COMPUTE_MODE);
        same("CU_DEVICE_ATTRIBUTE_ECC_ENABLED", DeviceAttribute.ECC_ENABLED);
        same("CU_DEVICE_ATTRIBUTE_PCI_BUS_ID", DeviceAttribute.PCI_BUS_ID);
        same("CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID", DeviceAttribute.PCI_DEVICE_ID);
        same("CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID", DeviceAttribute.PCI_DOMAIN_ID);
        same("CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE", DeviceAttribute.L2_CACHE_BYTES);
        same("CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR", DeviceAttribute.COMPUTE_CAPABILITY_MAJOR);
        same("CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR", DeviceAttribute.COMPUTE_CAPABILITY_MINOR);
        same("CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN", DeviceAttribute.SHARED_BYTES_PER_BLOCK_OPTIN);

        same("CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK", KernelAttribute.MAX_THREADS_PER_BLOCK);
        same("CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES", KernelAttribute.STATIC_SHARED_BYTES);
        same("CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES", KernelAttribute.LOCAL_BYTES);
        same("CU_FUNC_ATTRIBUTE_NUM_REGS", KernelAttribute.REGISTERS);
        same("CU_FUNC_ATTRIBUTE_PTX_VERSION", KernelAttribute.PTX_VERSION);
        same("CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES", KernelAttribute.MAX_DYNAMIC_SHARED_BYTES);

        same("CU_MEMHOSTALLOC_PORTABLE", constant(FfmCuda.class, "HOST_ALLOC_PORTABLE"));
        same("CU_MEMHOSTALLOC_DEVICEMAP", constant(FfmCuda.class, "HOST_ALLOC_MAPPED"));
        same("CU_STREAM_NON_BLOCKING", constant(FfmCuda.class, "STREAM_NON_BLOCKING"));
        same("CU_EVENT_DISABLE_TIMING", constant(FfmCuda.class, "EVENT_DISABLE_TIMING"));
        same("CU_STREAM_CAPTURE_MODE_THREAD_LOCAL", constant(FfmCuda.class, "CAPTURE_THREAD_LOCAL"));
        same("sizeof(CUgraphExecUpdateResultInfo)", 24);
        compile("cuda.h", "cudaProfiler.h");
    }

    /** Layouts as ClusterLaunch, TensorMap and WhileNode draw them. */
    @Test
    void structsOfTheDriverLieAsWeWriteThem() throws Exception {
        same("sizeof(CUlaunchConfig)", 56);
        same("offsetof(CUlaunchConfig, blockDimX)", 12);
        same("offsetof(CUlaunchConfig, sharedMemBytes)", 24);
        same("offsetof(CUlaunchConfig, hStream)", 32);
        same("offsetof(CUlaunchConfig, attrs)", 40);
        same("offsetof(CUlaunchConfig, numAttrs)", 48);
        same("sizeof(CUlaunchAttribute)", 72);
        same("offsetof(CUlaunchAttribute, value)", 8);
        same("CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION", constant(ClusterLaunch.class, "CLUSTER_DIMENSION"));

        same("sizeof(CUtensorMap)", constant(TensorMap.class, "BYTES"));
        same("CU_TENSOR_MAP_DATA_TYPE_BFLOAT16", constant(TensorMap.class, "TYPE_BF16"));
        same("CU_TENSOR_MAP_L2_PROMOTION_L2_128B", constant(TensorMap.class, "L2_PROMOTION_128"));
        same("CU_TENSOR_MAP_SWIZZLE_NONE", TensorMap.Swizzle.NONE.ordinal());
        same("CU_TENSOR_MAP_SWIZZLE_32B", TensorMap.Swizzle.BYTES_32.ordinal());
        same("CU_TENSOR_MAP_SWIZZLE_64B", TensorMap.Swizzle.BYTES_64.ordinal());
        same("CU_TENSOR_MAP_SWIZZLE_128B", TensorMap.Swizzle.BYTES_128.ordinal());
        same("CU_TENSOR_MAP_INTERLEAVE_NONE", 0);
        same("CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE", 0);

        same("sizeof(CUgraphNodeParams)", 256);
        same("offsetof(CUgraphNodeParams, conditional)", 16);
        same("offsetof(CUDA_CONDITIONAL_NODE_PARAMS, type)", 24 - 16);
        same("offsetof(CUDA_CONDITIONAL_NODE_PARAMS, size)", 28 - 16);
        same("offsetof(CUDA_CONDITIONAL_NODE_PARAMS, phGraph_out)", 32 - 16);
        same("offsetof(CUDA_CONDITIONAL_NODE_PARAMS, ctx)", 40 - 16);
        same("CU_GRAPH_NODE_TYPE_CONDITIONAL", constant(WhileNode.class, "NODE_TYPE_CONDITIONAL"));
        same("CU_GRAPH_COND_TYPE_WHILE", constant(WhileNode.class, "KIND_WHILE"));
        same("CU_GRAPH_COND_ASSIGN_DEFAULT", constant(WhileNode.class, "ASSIGN_DEFAULT"));
        compile("cuda.h");
    }

    @Test
    void cublasLtsHeaderAgrees() throws Exception {
        assertTrue(sameFunctions("CublasLtLibrary.java", "cublasLt") > 12);
        same("CUDA_R_32F", CublasLtLibrary.CUDA_R_32F);
        same("CUDA_R_16BF", CublasLtLibrary.CUDA_R_16BF);
        same("CUBLAS_COMPUTE_32F", CublasLtLibrary.COMPUTE_32F);
        same("CUBLAS_OP_N", 0);
        same("CUBLAS_OP_T", 1);
        same("CUBLASLT_MATMUL_DESC_TRANSA", CublasLtLibrary.DESC_TRANSA);
        same("CUBLASLT_MATMUL_DESC_TRANSB", CublasLtLibrary.DESC_TRANSB);
        same("CUBLASLT_MATMUL_DESC_EPILOGUE", CublasLtLibrary.DESC_EPILOGUE);
        same("CUBLASLT_MATMUL_DESC_BIAS_POINTER", CublasLtLibrary.DESC_BIAS_POINTER);
        same("CUBLASLT_EPILOGUE_BIAS", CublasLtLibrary.EPILOGUE_BIAS);
        same("CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES", CublasLtLibrary.PREF_WORKSPACE_BYTES);
        same("CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK", CublasLtLibrary.PREF_REDUCTION_MASK);
        same("CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES", CublasLtLibrary.PREF_ALIGNMENT_A);
        same("CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES", CublasLtLibrary.PREF_ALIGNMENT_A + 3);
        same("CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE", CublasLtLibrary.REDUCTION_COMPUTE_TYPE);
        same("CUBLASLT_ALGO_CONFIG_ID", CublasLtLibrary.ALGO_ID);
        same("CUBLASLT_ALGO_CONFIG_TILE_ID", CublasLtLibrary.ALGO_TILE);
        same("CUBLASLT_ALGO_CONFIG_SPLITK_NUM", CublasLtLibrary.ALGO_SPLIT_K);
        same("CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME", CublasLtLibrary.ALGO_REDUCTION);
        same("CUBLASLT_ALGO_CONFIG_STAGES_ID", CublasLtLibrary.ALGO_STAGES);
        same("sizeof(cublasLtMatmulAlgo_t)", CublasLtLibrary.ALGO_BYTES);
        same("sizeof(cublasLtMatmulHeuristicResult_t)", CublasLtLibrary.RESULT_BYTES);
        same("offsetof(cublasLtMatmulHeuristicResult_t, workspaceSize)", CublasLtLibrary.RESULT_WORKSPACE);
        same("offsetof(cublasLtMatmulHeuristicResult_t, state)", CublasLtLibrary.RESULT_STATE);
        same("offsetof(cublasLtMatmulHeuristicResult_t, wavesCount)", CublasLtLibrary.RESULT_WAVES);
        for (int status = 1; status < 32; status++)
            if (CublasErrors.name(status).startsWith("CUBLAS_STATUS_")) same(CublasErrors.name(status), status);
        compile("cublasLt.h");
    }

    @Test
    void theHeaderOfNvtxAgrees() throws Exception {
        assertEquals(4, sameFunctions("NvtxLibrary.java", "nvtx"));
        Class<?> ours = Class.forName("dev.rheostat.ffi.NvtxLibrary");
        same("NVTX_VERSION", constant(ours, "NVTX_VERSION"));
        same("sizeof(nvtxEventAttributes_t)", constant(ours, "ATTRIBUTES_BYTES"));
        same("offsetof(nvtxEventAttributes_t, size)", 2);
        same("offsetof(nvtxEventAttributes_t, messageType)", 32);
        same("offsetof(nvtxEventAttributes_t, message)", 40);
        same("NVTX_MESSAGE_TYPE_REGISTERED", constant(ours, "MESSAGE_TYPE_REGISTERED"));
        compile("nvtx3/nvToolsExt.h");
    }
}
