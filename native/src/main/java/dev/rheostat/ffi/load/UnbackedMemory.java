package dev.rheostat.ffi.load;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** Memory that has a size and nothing else, for plans: it can be cut into slices, and every access to it throws. */
@SuppressWarnings("restricted")
public final class UnbackedMemory {
    private static final MemorySegment ALL;

    static {
        // Shared, so that every thread is told the same; closed before anybody can read.
        try (Arena arena = Arena.ofShared()) {
            ALL = MemorySegment.NULL.reinterpret(Long.MAX_VALUE, arena, null);
        }
    }

    private UnbackedMemory() {}

    /** Takes no memory. Reading or writing throws IllegalStateException, since its arena is closed from the start. */
    public static MemorySegment of(long bytes) {
        return ALL.asSlice(0, bytes);
    }
}
