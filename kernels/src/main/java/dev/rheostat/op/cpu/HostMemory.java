package dev.rheostat.op.cpu;

import dev.rheostat.ffi.load.UnbackedMemory;
import dev.rheostat.op.DType;
import dev.rheostat.op.HostTensor;
import dev.rheostat.op.OutOfMemoryException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;

/**
 * All off-heap memory of a backend: zeroed, 64-byte aligned, accounted by purpose, freed at close. The arena is shared,
 * since every worker touches it, and lives as long as the run.
 */
final class HostMemory implements AutoCloseable {
    private final Arena arena = Arena.ofShared();
    private final Map<String, Long> bytesByPurpose = new LinkedHashMap<>();
    private final DType real;
    private final boolean planned;
    private boolean closed;

    private HostMemory(DType real, boolean planned) {
        this.real = real;
        this.planned = planned;
    }

    /** @param real the type that is allocated where F32 is asked for: F32, or F64 for definitions in doubles */
    HostMemory(DType real) {
        this(real, false);
    }

    /** Memory that is accounted and not taken: every access to it throws. */
    static HostMemory planned() {
        return new HostMemory(DType.F32, true);
    }

    /** @throws OutOfMemoryException naming purpose, size and what was free; nothing is taken */
    HostTensor allocate(String purpose, DType type, long... shape) {
        DType stored = type == DType.F32 ? real : type;
        long bytes = stored.bytes();
        for (long length : shape) bytes = Math.multiplyExact(bytes, length);
        return new HostTensor(allocate(purpose, bytes), stored, shape);
    }

    synchronized MemorySegment allocate(String purpose, long bytes) {
        MemorySegment segment = planned ? UnbackedMemory.of(bytes) : take(purpose, bytes);
        bytesByPurpose.merge(purpose, bytes, Math::addExact);
        return segment;
    }

    private MemorySegment take(String purpose, long bytes) {
        long free = MachineMemory.freeBytes();
        if (bytes > free) throw refuse(purpose, bytes, "the machine has " + size(free) + " free");
        try {
            return arena.allocate(bytes, HostTensor.ALIGNMENT);
        } catch (OutOfMemoryError e) {
            throw refuse(
                    purpose,
                    bytes,
                    "the machine has " + size(free) + " free, but the JVM's own limit on off-heap memory is reached"
                            + " (raise -XX:MaxDirectMemorySize): " + e.getMessage());
        }
    }

    private OutOfMemoryException refuse(String purpose, long bytes, String why) {
        long taken = bytesByPurpose.values().stream().mapToLong(Long::longValue).sum();
        return new OutOfMemoryException("not enough memory for " + purpose + ": " + size(bytes) + " wanted, "
                + size(taken) + " taken before; " + why);
    }

    private static String size(long bytes) {
        return bytes < 1L << 20
                ? bytes + " bytes"
                : String.format(Locale.ROOT, "%.2f GiB", bytes / (double) (1L << 30));
    }

    synchronized Map<String, Long> bytesByPurpose() {
        return Collections.unmodifiableMap(new LinkedHashMap<>(bytesByPurpose));
    }

    @Override
    public synchronized void close() {
        if (closed) return;
        closed = true;
        arena.close();
    }
}
