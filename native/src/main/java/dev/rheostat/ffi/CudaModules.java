package dev.rheostat.ffi;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.rheostat.ffi.load.NativeLibrary;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/** Downcalls for cuda.h: modules, functions, launches. */
public final class CudaModules {
    // CUresult cuModuleLoadData(CUmodule* module, const void* image)
    private static final MethodHandle LOAD = CudaLibrary.DRIVER.downcall("cuModuleLoadData", ADDRESS, ADDRESS);
    // CUresult cuModuleUnload(CUmodule module)
    private static final MethodHandle UNLOAD = CudaLibrary.DRIVER.downcall("cuModuleUnload", JAVA_LONG);
    // CUresult cuModuleGetFunction(CUfunction* function, CUmodule module, const char* name)
    private static final MethodHandle FUNCTION =
            CudaLibrary.DRIVER.downcall("cuModuleGetFunction", ADDRESS, JAVA_LONG, ADDRESS);
    // CUresult cuFuncGetAttribute(int* value, CUfunction_attribute attribute, CUfunction function)
    private static final MethodHandle FUNCTION_ATTRIBUTE =
            CudaLibrary.DRIVER.downcall("cuFuncGetAttribute", ADDRESS, JAVA_INT, JAVA_LONG);
    // CUresult cuFuncSetAttribute(CUfunction function, CUfunction_attribute attribute, int value)
    private static final MethodHandle FUNCTION_SET_ATTRIBUTE =
            CudaLibrary.DRIVER.downcall("cuFuncSetAttribute", JAVA_LONG, JAVA_INT, JAVA_INT);
    // CUresult cuLaunchKernel(CUfunction, gridX, gridY, gridZ, blockX, blockY, blockZ, sharedBytes, CUstream, void**
    // parameters, void** extra)
    private static final MethodHandle LAUNCH = CudaLibrary.DRIVER.downcall(
            "cuLaunchKernel",
            JAVA_LONG,
            JAVA_INT,
            JAVA_INT,
            JAVA_INT,
            JAVA_INT,
            JAVA_INT,
            JAVA_INT,
            JAVA_INT,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG);

    private CudaModules() {}

    /** @param module out, long */
    public static int load(MemorySegment module, MemorySegment image) {
        try {
            return (int) LOAD.invokeExact(module, image);
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("cuModuleLoadData", t);
        }
    }

    public static int unload(long module) {
        try {
            return (int) UNLOAD.invokeExact(module);
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("cuModuleUnload", t);
        }
    }

    /** @param function out, long */
    public static int function(MemorySegment function, long module, MemorySegment name) {
        try {
            return (int) FUNCTION.invokeExact(function, module, name);
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("cuModuleGetFunction", t);
        }
    }

    /** @param value out, int */
    public static int functionAttribute(MemorySegment value, int attribute, long function) {
        try {
            return (int) FUNCTION_ATTRIBUTE.invokeExact(value, attribute, function);
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("cuFuncGetAttribute", t);
        }
    }

    public static int functionSetAttribute(long function, int attribute, int value) {
        try {
            return (int) FUNCTION_SET_ATTRIBUTE.invokeExact(function, attribute, value);
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("cuFuncSetAttribute", t);
        }
    }

    /** @param parameters address of void*[n], the addresses of the values; extra is 0 */
    public static int launch(
            long function,
            int gridX,
            int gridY,
            int gridZ,
            int blockX,
            int blockY,
            int blockZ,
            int sharedBytes,
            long stream,
            long parameters,
            long extra) {
        try {
            return (int) LAUNCH.invokeExact(
                    function, gridX, gridY, gridZ, blockX, blockY, blockZ, sharedBytes, stream, parameters, extra);
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("cuLaunchKernel", t);
        }
    }
}
