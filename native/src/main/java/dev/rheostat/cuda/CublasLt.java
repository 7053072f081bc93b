package dev.rheostat.cuda;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.rheostat.ffi.CublasLtLibrary;
import dev.rheostat.ffi.CudaLibrary;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * cuBLASLt on the context that was current when it was opened, whichever binding of the driver made that. Keeps one
 * {@link Matmul} a shape and rank, so its heuristic is asked once; for one thread. Closes the products it has made.
 */
public final class CublasLt implements AutoCloseable {
    private record Key(MatmulShape shape, long workspaceBytes, int rank) {}

    private final long handle;
    private final Map<Key, Matmul> matmuls = new LinkedHashMap<>();
    private boolean closed;

    /** @throws CudaException no cuBLASLt, naming every place where it was looked for, or a device that it refuses */
    public CublasLt() {
        requireLibrary();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = arena.allocate(JAVA_LONG);
            check(CublasLtLibrary.create(out), "cublasLtCreate");
            handle = out.get(JAVA_LONG, 0);
        }
    }

    /** @throws CudaException no cuBLASLt, naming every place where it was looked for */
    public static void requireLibrary() {
        if (!CudaLibrary.CUBLAS_LT.status().available())
            throw CudaException.noLibrary(CudaLibrary.CUBLAS_LT.status().detail());
    }

    static void check(int status, String call) {
        if (status != 0) throw CudaException.cublas(status, call);
    }

    /** The library's number, as 130000 for cuBLAS 13.0.0. */
    public static long version() {
        return CublasLtLibrary.version();
    }

    /**
     * The product of a shape: made when it is first asked for.
     * @param workspaceBytes most that an algorithm may ask for; part of the choice, so keep it fixed
     * @param rank among the algorithms that the heuristic offers; 0 is what it prefers
     * @throws CudaException CUBLAS_STATUS_NOT_SUPPORTED naming the shape, if there are not so many
     */
    public Matmul matmul(MatmulShape shape, long workspaceBytes, int rank) {
        return matmuls.computeIfAbsent(
                new Key(shape, workspaceBytes, rank),
                key -> new Matmul(handle, key.shape, key.workspaceBytes, key.rank));
    }

    /** The product that the heuristic prefers. @throws CudaException as {@link #matmul(MatmulShape, long, int)} */
    public Matmul matmul(MatmulShape shape, long workspaceBytes) {
        return matmul(shape, workspaceBytes, 0);
    }

    @Override
    public void close() {
        if (closed) return;
        closed = true;
        matmuls.values().forEach(Matmul::close);
        // after a dead context this refuses; the process's end frees the rest
        CublasLtLibrary.destroy(handle);
    }
}
