package dev.rheostat.cuda;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.rheostat.ffi.CudaLibrary;
import dev.rheostat.ffi.CudaTensorMaps;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/**
 * Descriptor of a bf16 tensor for the tensor memory accelerator of compute capability 9.0 and newer, which copies a box of it
 * to shared memory by itself. A kernel takes it by value: {@code args.struct(map.bytes(), TensorMap.ALIGNMENT)}.
 */
public final class TensorMap {
    public static final int ALIGNMENT = 128;

    private static final int BYTES = 128;
    private static final int TYPE_BF16 = 9, L2_PROMOTION_128 = 2; // CUtensorMapDataType, CUtensorMapL2promotion

    private final MemorySegment bytes = Arena.ofAuto().allocate(BYTES, ALIGNMENT);

    /** How rows of the box are permuted in shared memory against bank conflicts; numbers are CUtensorMapSwizzle. */
    public enum Swizzle {
        NONE,
        BYTES_32,
        BYTES_64,
        BYTES_128
    }

    /**
     * @param address of the first element, 16-byte aligned
     * @param sizes elements an axis, the fastest axis first, at most 5
     * @param strideBytes distance of neighbours on each axis but the first, multiples of 16
     * @param box elements an axis of what one copy moves, each at most 256; outside the tensor it reads zeros
     * @throws CudaException what the driver refuses, naming sizes, strides and box
     */
    public TensorMap(long address, long[] sizes, long[] strideBytes, int[] box, Swizzle swizzle) {
        int rank = sizes.length;
        if (strideBytes.length != rank - 1 || box.length != rank)
            throw new IllegalArgumentException("a tensor of " + rank + " axes has " + (rank - 1)
                    + " strides and a box of " + rank + ", not " + strideBytes.length + " and " + box.length);
        int[] elementStrides = new int[rank];
        Arrays.fill(elementStrides, 1);
        try (Arena arena = Arena.ofConfined()) {
            int status = CudaTensorMaps.encodeTiled(
                    bytes,
                    TYPE_BF16,
                    rank,
                    address,
                    arena.allocateFrom(JAVA_LONG, sizes),
                    arena.allocateFrom(JAVA_LONG, strideBytes),
                    arena.allocateFrom(JAVA_INT, box),
                    arena.allocateFrom(JAVA_INT, elementStrides),
                    0,
                    swizzle.ordinal(),
                    L2_PROMOTION_128,
                    0);
            if (status != 0)
                throw new CudaException(
                        status,
                        "cuTensorMapEncodeTiled sizes=" + Arrays.toString(sizes) + " strideBytes="
                                + Arrays.toString(strideBytes) + " box=" + Arrays.toString(box) + " swizzle="
                                + swizzle);
        }
    }

    /** Whether the driver has tensor maps. */
    public static boolean available() {
        return CudaLibrary.DRIVER.has("cuTensorMapEncodeTiled");
    }

    /** The CUtensorMap. */
    public MemorySegment bytes() {
        return bytes;
    }
}
