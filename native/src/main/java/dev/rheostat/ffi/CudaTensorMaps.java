package dev.rheostat.ffi;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.rheostat.ffi.load.NativeLibrary;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/** Downcalls for cuda.h: descriptors of the tensor memory accelerator. */
public final class CudaTensorMaps {
    // CUresult cuTensorMapEncodeTiled(CUtensorMap* map, CUtensorMapDataType type, uint32_t rank, void* address, const
    // uint64_t* sizes, const uint64_t* strideBytes, const uint32_t* box, const uint32_t* elementStrides, interleave,
    // swizzle, l2Promotion, outOfBoundsFill)
    private static final MethodHandle ENCODE_TILED = CudaLibrary.DRIVER.downcall(
            "cuTensorMapEncodeTiled",
            ADDRESS,
            JAVA_INT,
            JAVA_INT,
            JAVA_LONG,
            ADDRESS,
            ADDRESS,
            ADDRESS,
            ADDRESS,
            JAVA_INT,
            JAVA_INT,
            JAVA_INT,
            JAVA_INT);

    private CudaTensorMaps() {}

    /** @param map out, 128 bytes aligned to 64; sizes and box have rank values, strideBytes rank - 1, the fastest axis first */
    public static int encodeTiled(
            MemorySegment map,
            int type,
            int rank,
            long address,
            MemorySegment sizes,
            MemorySegment strideBytes,
            MemorySegment box,
            MemorySegment elementStrides,
            int interleave,
            int swizzle,
            int l2Promotion,
            int outOfBoundsFill) {
        try {
            return (int) ENCODE_TILED.invokeExact(
                    map,
                    type,
                    rank,
                    address,
                    sizes,
                    strideBytes,
                    box,
                    elementStrides,
                    interleave,
                    swizzle,
                    l2Promotion,
                    outOfBoundsFill);
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("cuTensorMapEncodeTiled", t);
        }
    }
}
