package dev.rheostat.cuda;

import dev.rheostat.ffi.CudaLibrary;
import dev.rheostat.ffi.NvtxLibrary;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Named ranges of a thread in the domain "rheostat", which Nsight Systems and Nsight Compute show. Does nothing where the
 * library is absent, and nothing but a call where no tool listens. A name is registered once and then costs no allocation.
 */
public final class Nvtx {
    private Nvtx() {}

    public static boolean available() {
        return Ranges.AVAILABLE;
    }

    /** Opens a range inside the ones that this thread has open. */
    public static void push(String name) {
        if (Ranges.AVAILABLE)
            NvtxLibrary.push(Ranges.DOMAIN, Ranges.ATTRIBUTES.computeIfAbsent(name, Ranges::attributes));
    }

    /** Closes the range that this thread opened last. */
    public static void pop() {
        if (Ranges.AVAILABLE) NvtxLibrary.pop(Ranges.DOMAIN);
    }

    /** Looked for on first use. */
    private static final class Ranges {
        static final boolean AVAILABLE = CudaLibrary.NVTX.status().available();
        static final long DOMAIN = AVAILABLE ? NvtxLibrary.domainCreate("rheostat") : 0;
        static final Map<String, MemorySegment> ATTRIBUTES = new ConcurrentHashMap<>();

        static MemorySegment attributes(String name) {
            return NvtxLibrary.attributes(DOMAIN, name, Arena.global());
        }
    }
}
