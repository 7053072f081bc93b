package dev.rheostat.ffi.load;

import java.lang.foreign.MemorySegment;

/** Memory that a native library owns, seen from Java. */
@SuppressWarnings("restricted")
public final class NativeMemory {
    private NativeMemory() {}

    /** The bytes at an address of host memory. Nothing keeps them alive: whoever frees them drops the segment first. */
    public static MemorySegment at(long address, long bytes) {
        return MemorySegment.ofAddress(address).reinterpret(bytes);
    }

    /** The zero-terminated text at an address. */
    public static String text(long address) {
        return at(address, Integer.MAX_VALUE).getString(0);
    }
}
