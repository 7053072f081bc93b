package dev.rheostat.ffi;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.rheostat.ffi.load.BundledLibraries;
import dev.rheostat.ffi.load.NativeLibrary;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.util.List;

/**
 * Downcalls for oneDNN's dnnl.h: sgemm, and the matmul primitive of bf16 operands.
 * Handles link when {@link Functions} is first used: ask {@link #status} first. Each call runs on the calling thread
 * alone, because OpenMP is told so before the library is opened.
 *
 * <p>Addresses of operands are plain longs, so that a call allocates nothing; the caller keeps their memory alive.
 */
public final class OneDnn {
    private static final String FOLDER = "org/bytedeco/dnnl/linux-x86_64/";
    private static final NativeLibrary LIBRARY = open();

    private OneDnn() {}

    /** Whether oneDNN can be used on this machine, and from where or why not. Never throws. */
    public static NativeLibrary.Status status() {
        return LIBRARY.status();
    }

    private static NativeLibrary open() {
        String machine = System.getProperty("os.name") + " " + System.getProperty("os.arch");
        if (!machine.equals("Linux amd64"))
            return NativeLibrary.missing("oneDNN", "it is bundled for Linux amd64, this is " + machine);
        try {
            NativeLibrary.setEnvironment("OMP_NUM_THREADS", "1");
            // libdnnl needs libgomp by its soname; one that is open already serves.
            NativeLibrary gomp = NativeLibrary.open(
                    "libgomp",
                    List.of(BundledLibraries.unpack(FOLDER + "libgomp.so.1").toString()));
            if (!gomp.status().available())
                return NativeLibrary.missing("oneDNN", gomp.status().detail());
            return NativeLibrary.open(
                    "oneDNN",
                    List.of(BundledLibraries.unpack(FOLDER + "libdnnl.so.3").toString()));
        } catch (IOException e) {
            return NativeLibrary.missing("oneDNN", e.getMessage());
        }
    }

    /**
     * C = alpha op(A) op(B) + beta C, f32, row-major; single-threaded.
     * @throws IllegalStateException naming oneDNN's status and the sizes
     */
    public static void sgemm(
            boolean transA,
            boolean transB,
            long M,
            long N,
            long K,
            float alpha,
            long a,
            long lda,
            long b,
            long ldb,
            float beta,
            long c,
            long ldc) {
        int status;
        try {
            status = (int) Functions.SGEMM.invokeExact(
                    (byte) (transA ? 'T' : 'N'),
                    (byte) (transB ? 'T' : 'N'),
                    M,
                    N,
                    K,
                    alpha,
                    a,
                    lda,
                    b,
                    ldb,
                    beta,
                    c,
                    ldc);
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("dnnl_sgemm", t);
        }
        check(status, "dnnl_sgemm M=" + M + " N=" + N + " K=" + K);
    }

    /**
     * A compiled C = op(A) op(B) + beta C of one shape, beta 0 or 1, operands bf16, C f32, sums in f32.
     * Lives as long as the process. Not for two threads at a time: it holds the addresses of the call.
     */
    public static final class Bf16Matmul {
        private final MemorySegment primitive;
        private final MemorySegment source;
        private final MemorySegment weights;
        private final MemorySegment destination;
        private final MemorySegment arguments;

        /** @throws IllegalStateException naming oneDNN's status and the sizes */
        public Bf16Matmul(
                boolean transA,
                boolean transB,
                long M,
                long N,
                long K,
                long lda,
                long ldb,
                long ldc,
                boolean accumulate) {
            String what = "bf16 matmul M=" + M + " N=" + N + " K=" + K;
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment sourceDesc =
                        matrix(arena, Functions.BF16, M, K, transA ? 1 : lda, transA ? lda : 1, what);
                MemorySegment weightsDesc =
                        matrix(arena, Functions.BF16, K, N, transB ? 1 : ldb, transB ? ldb : 1, what);
                MemorySegment destinationDesc = matrix(arena, Functions.F32, M, N, ldc, 1, what);
                MemorySegment out = arena.allocate(ADDRESS);
                check((int) Functions.ATTR_CREATE.invokeExact(out), what);
                MemorySegment attributes = out.get(ADDRESS, 0);
                if (accumulate) {
                    check((int) Functions.POST_OPS_CREATE.invokeExact(out), what);
                    MemorySegment postOps = out.get(ADDRESS, 0);
                    check((int) Functions.POST_OPS_SUM.invokeExact(postOps, 1f, 0, 0), what);
                    check((int) Functions.ATTR_SET_POST_OPS.invokeExact(attributes, postOps), what);
                }
                check(
                        (int) Functions.MATMUL_DESC.invokeExact(
                                out,
                                Functions.ENGINE,
                                sourceDesc,
                                weightsDesc,
                                MemorySegment.NULL,
                                destinationDesc,
                                attributes),
                        what);
                MemorySegment description = out.get(ADDRESS, 0);
                check((int) Functions.PRIMITIVE_CREATE.invokeExact(out, description), what);
                primitive = out.get(ADDRESS, 0);
                source = memory(out, sourceDesc, what);
                weights = memory(out, weightsDesc, what);
                destination = memory(out, destinationDesc, what);
            } catch (Throwable t) {
                if (t instanceof RuntimeException e) throw e;
                throw NativeLibrary.unexpected(what, t);
            }
            // dnnl_exec_arg_t { int arg; dnnl_memory_t memory; }, three of them
            arguments = Arena.global().allocate(48, 8);
            argument(0, Functions.ARG_SRC, source);
            argument(1, Functions.ARG_WEIGHTS, weights);
            argument(2, Functions.ARG_DST, destination);
        }

        private void argument(int index, int kind, MemorySegment memory) {
            arguments.set(JAVA_INT, 16L * index, kind);
            arguments.set(ADDRESS, 16L * index + 8, memory);
        }

        private static MemorySegment matrix(
                Arena arena, int type, long rows, long columns, long rowStride, long columnStride, String what)
                throws Throwable {
            MemorySegment out = arena.allocate(ADDRESS);
            MemorySegment sizes = arena.allocateFrom(JAVA_LONG, rows, columns);
            MemorySegment strides = arena.allocateFrom(JAVA_LONG, rowStride, columnStride);
            check((int) Functions.MEMORY_DESC.invokeExact(out, 2, sizes, type, strides), what);
            return out.get(ADDRESS, 0);
        }

        private static MemorySegment memory(MemorySegment out, MemorySegment description, String what)
                throws Throwable {
            check(
                    (int) Functions.MEMORY_CREATE.invokeExact(out, description, Functions.ENGINE, MemorySegment.NULL),
                    what);
            return out.get(ADDRESS, 0);
        }

        /** Addresses in host memory: operands bf16, C f32. */
        public void run(long a, long b, long c) {
            try {
                check((int) Functions.SET_HANDLE.invokeExact(source, a), "set source");
                check((int) Functions.SET_HANDLE.invokeExact(weights, b), "set weights");
                check((int) Functions.SET_HANDLE.invokeExact(destination, c), "set destination");
                check((int) Functions.EXECUTE.invokeExact(primitive, Functions.STREAM, 3, arguments), "bf16 matmul");
            } catch (Throwable t) {
                if (t instanceof RuntimeException e) throw e;
                throw NativeLibrary.unexpected("dnnl_primitive_execute", t);
            }
        }
    }

    private static void check(int status, String what) {
        if (status != 0) throw new IllegalStateException("oneDNN: " + what + " failed with status " + status);
    }

    /** Linked on first use. Constants are those of dnnl_types.h. */
    private static final class Functions {
        static final int BF16 = 2, F32 = 3, ARG_SRC = 1, ARG_DST = 17, ARG_WEIGHTS = 33;

        // dnnl_sgemm(char, char, dim M, dim N, dim K, float alpha, A*, lda, B*, ldb, float beta, C*, ldc)
        static final MethodHandle SGEMM = link(
                "dnnl_sgemm",
                JAVA_BYTE,
                JAVA_BYTE,
                JAVA_LONG,
                JAVA_LONG,
                JAVA_LONG,
                JAVA_FLOAT,
                JAVA_LONG,
                JAVA_LONG,
                JAVA_LONG,
                JAVA_LONG,
                JAVA_FLOAT,
                JAVA_LONG,
                JAVA_LONG);
        // dnnl_memory_desc_create_with_strides(desc*, int ndims, dims*, data_type, strides*)
        static final MethodHandle MEMORY_DESC =
                link("dnnl_memory_desc_create_with_strides", ADDRESS, JAVA_INT, ADDRESS, JAVA_INT, ADDRESS);
        static final MethodHandle ATTR_CREATE = link("dnnl_primitive_attr_create", ADDRESS);
        static final MethodHandle ATTR_SET_POST_OPS = link("dnnl_primitive_attr_set_post_ops", ADDRESS, ADDRESS);
        static final MethodHandle POST_OPS_CREATE = link("dnnl_post_ops_create", ADDRESS);
        static final MethodHandle POST_OPS_SUM =
                link("dnnl_post_ops_append_sum", ADDRESS, JAVA_FLOAT, JAVA_INT, JAVA_INT);
        // dnnl_matmul_primitive_desc_create(desc*, engine, src, weights, bias, dst, attr)
        static final MethodHandle MATMUL_DESC = link(
                "dnnl_matmul_primitive_desc_create", ADDRESS, ADDRESS, ADDRESS, ADDRESS, ADDRESS, ADDRESS, ADDRESS);
        static final MethodHandle PRIMITIVE_CREATE = link("dnnl_primitive_create", ADDRESS, ADDRESS);
        static final MethodHandle MEMORY_CREATE = link("dnnl_memory_create", ADDRESS, ADDRESS, ADDRESS, ADDRESS);
        static final MethodHandle SET_HANDLE = link("dnnl_memory_set_data_handle", ADDRESS, JAVA_LONG);
        static final MethodHandle EXECUTE = link("dnnl_primitive_execute", ADDRESS, ADDRESS, JAVA_INT, ADDRESS);
        static final MemorySegment ENGINE;
        static final MemorySegment STREAM;

        static {
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment out = arena.allocate(ADDRESS);
                // dnnl_engine_create(engine*, dnnl_cpu = 1, size_t index)
                check(
                        (int) link("dnnl_engine_create", ADDRESS, JAVA_INT, JAVA_LONG)
                                .invokeExact(out, 1, 0L),
                        "engine");
                ENGINE = out.get(ADDRESS, 0);
                // dnnl_stream_create(stream*, engine, dnnl_stream_default_flags = 1)
                check(
                        (int) link("dnnl_stream_create", ADDRESS, ADDRESS, JAVA_INT)
                                .invokeExact(out, ENGINE, 1),
                        "stream");
                STREAM = out.get(ADDRESS, 0);
            } catch (Throwable t) {
                throw NativeLibrary.unexpected("dnnl_engine_create", t);
            }
        }

        private static MethodHandle link(String function, MemoryLayout... arguments) {
            return LIBRARY.downcall(function, FunctionDescriptor.of(JAVA_INT, arguments));
        }
    }
}
