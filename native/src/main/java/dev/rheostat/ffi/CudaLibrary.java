package dev.rheostat.ffi;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import dev.rheostat.ffi.load.LibrarySearch;
import dev.rheostat.ffi.load.NativeLibrary;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemoryLayout;
import java.lang.invoke.MethodHandle;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * The shared libraries of CUDA that Rheostat calls, each looked for once, when it is first asked for.
 *
 * <p>The classes Cuda... of this package are the downcalls of cuda.h, by topic. Each method returns the CUresult (0 is
 * success) and leaves the checking to {@code dev.rheostat.cuda}, which knows what a code means. Their handles link when the
 * class is initialised: ask {@link #status} first. Handles and device addresses are {@code long}, so the JVM cannot
 * dereference one; results come back through a segment of the caller.
 */
public enum CudaLibrary {
    DRIVER("the CUDA driver", "libcuda.so.1"),
    CUBLAS_LT("cuBLASLt", "libcublasLt.so.13", "libcublasLt.so.12"),
    /** What JCublas binds to by its soname. */
    CUBLAS_12("cuBLAS of CUDA 12", "libcublas.so.12"),
    NVTX("NVTX", "libnvtx3interop.so.1", "libnvToolsExt.so.1");

    private final String label;
    private final String[] files;
    private NativeLibrary library;

    CudaLibrary(String label, String... files) {
        this.label = label;
        this.files = files;
    }

    /** "the CUDA driver", "cuBLASLt", ... */
    public String label() {
        return label;
    }

    /** Whether and where it was found, and each place that refused. Never throws. */
    public NativeLibrary.Status status() {
        return library().status();
    }

    /** Whether it was found and has the function; older drivers lack the newer ones. */
    public boolean has(String function) {
        return library().has(function);
    }

    private synchronized NativeLibrary library() {
        if (library == null) library = open();
        return library;
    }

    private NativeLibrary open() {
        String system = System.getProperty("os.name");
        if (!system.equals("Linux"))
            return NativeLibrary.missing(label, "Rheostat looks for it on Linux, this is " + system);
        List<String> candidates = LibrarySearch.ofThisProcess().candidates(files);
        if (this == CUBLAS_12) openSiblings(candidates, "libcublasLt.so.12");
        return NativeLibrary.openForOthers(label, candidates);
    }

    /** What a library needs by soname is found if it is open already, wherever it lies. */
    private static void openSiblings(List<String> candidates, String sibling) {
        List<String> there = candidates.stream()
                .map(candidate -> Path.of(candidate).resolveSibling(sibling))
                .filter(file -> file.isAbsolute() && Files.isReadable(file))
                .map(Path::toString)
                .toList();
        if (!there.isEmpty()) NativeLibrary.openForOthers(sibling, there);
    }

    /** A function that returns an int-sized status. */
    MethodHandle downcall(String function, MemoryLayout... arguments) {
        return library().downcall(function, FunctionDescriptor.of(JAVA_INT, arguments));
    }

    MethodHandle downcall(String function, FunctionDescriptor descriptor) {
        return library().downcall(function, descriptor);
    }
}
