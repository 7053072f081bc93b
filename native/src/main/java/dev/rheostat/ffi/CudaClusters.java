package dev.rheostat.ffi;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.rheostat.ffi.load.NativeLibrary;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/** Downcalls for cuda.h: launches with attributes, as a grid of block clusters. */
public final class CudaClusters {
    // CUresult cuLaunchKernelEx(const CUlaunchConfig* config, CUfunction function, void** parameters, void** extra)
    private static final MethodHandle LAUNCH =
            CudaLibrary.DRIVER.downcall("cuLaunchKernelEx", ADDRESS, JAVA_LONG, JAVA_LONG, JAVA_LONG);

    private CudaClusters() {}

    /** @param config CUlaunchConfig, 56 bytes; parameters is the address of void*[n], extra is 0 */
    public static int launch(MemorySegment config, long function, long parameters, long extra) {
        try {
            return (int) LAUNCH.invokeExact(config, function, parameters, extra);
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("cuLaunchKernelEx", t);
        }
    }
}
