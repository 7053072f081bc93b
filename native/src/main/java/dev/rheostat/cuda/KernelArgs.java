package dev.rheostat.cuda;

import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * Parameters of a kernel, in native memory, in the order of its signature. Reused: {@link #reset}, then one call a parameter,
 * none of which allocates. The driver reads them before the launch returns, so one block serves any number of launches of one
 * thread. The types are not checked: the driver cannot tell a float from an int.
 *
 * <pre>
 *   pointers  void*[MAX]          address of each value, what cuLaunchKernel takes
 *   values    up to MAX_BYTES     each aligned to its size
 * </pre>
 */
public final class KernelArgs implements AutoCloseable {
    /** A kernel of ours has far fewer. */
    private static final int MAX = 64;
    /** What every device of compute capability 8.0 takes. */
    private static final int MAX_BYTES = 4096;

    private final Arena arena = Arena.ofShared();
    private final MemorySegment pointers = arena.allocate(8L * MAX, 64);
    private final MemorySegment values = arena.allocate(MAX_BYTES, 128);
    private int count;
    private int used;
    private boolean closed;

    /** Forgets the parameters. */
    public KernelArgs reset() {
        count = 0;
        used = 0;
        return this;
    }

    /** A pointer: an address of device or mapped memory. */
    public KernelArgs ptr(long address) {
        return i64(address);
    }

    public KernelArgs i32(int value) {
        values.set(JAVA_INT, place(4, 4), value);
        return this;
    }

    public KernelArgs i64(long value) {
        values.set(JAVA_LONG, place(8, 8), value);
        return this;
    }

    public KernelArgs f32(float value) {
        values.set(JAVA_FLOAT, place(4, 4), value);
        return this;
    }

    public KernelArgs f64(double value) {
        values.set(JAVA_DOUBLE, place(8, 8), value);
        return this;
    }

    /** A struct by value, as a CUtensorMap. @param alignment a power of two to 128, as the kernel's type has it */
    public KernelArgs struct(MemorySegment value, int alignment) {
        int bytes = Math.toIntExact(value.byteSize());
        MemorySegment.copy(value, 0, values, place(bytes, alignment), bytes);
        return this;
    }

    /** @return offset of the next value */
    private int place(int bytes, int alignment) {
        int offset = (used + alignment - 1) & -alignment;
        if (count == MAX || offset > MAX_BYTES - bytes)
            throw new IllegalStateException("a kernel takes at most " + MAX + " parameters in " + MAX_BYTES + " bytes");
        pointers.set(JAVA_LONG, 8L * count, values.address() + offset);
        used = offset + bytes;
        count++;
        return offset;
    }

    public int count() {
        return count;
    }

    /** void*[count], for a launch. */
    MemorySegment pointers() {
        return pointers;
    }

    @Override
    public void close() {
        if (closed) return;
        closed = true;
        arena.close();
    }
}
