package dev.rheostat.op;

import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/** A tensor in off-heap host memory, 64-byte aligned. */
public final class HostTensor implements Tensor {
    /** Cache line and widest vector register. */
    public static final long ALIGNMENT = 64;

    private final MemorySegment memory;
    private final DType type;
    private final long[] shape;

    /** @throws IllegalArgumentException if memory is not exactly as long as the shape asks */
    public HostTensor(MemorySegment memory, DType type, long... shape) {
        this.memory = memory;
        this.type = type;
        this.shape = shape.clone();
        for (long length : shape)
            if (length < 0) throw new IllegalArgumentException("negative length in shape " + Arrays.toString(shape));
        if (memory.byteSize() != bytes())
            throw new IllegalArgumentException(describe() + " needs " + bytes() + " bytes, has " + memory.byteSize());
    }

    /** Zeroed memory that lives as long as the arena. */
    public static HostTensor allocate(Arena arena, DType type, long... shape) {
        long size = type.bytes();
        for (long length : shape) size = Math.multiplyExact(size, length);
        return new HostTensor(arena.allocate(size, ALIGNMENT), type, shape);
    }

    public MemorySegment memory() {
        return memory;
    }

    @Override
    public DType type() {
        return type;
    }

    @Override
    public int rank() {
        return shape.length;
    }

    @Override
    public long dim(int axis) {
        return shape[axis];
    }

    /** A view of the elements from {@code offset} on, of the same type. */
    public HostTensor view(long offset, long... newShape) {
        long size = 1;
        for (long length : newShape) size *= length;
        return new HostTensor(memory.asSlice(offset * type.bytes(), size * type.bytes()), type, newShape);
    }

    /** f32 element at a flat index. */
    public float getFloat(long index) {
        return memory.getAtIndex(JAVA_FLOAT, index);
    }

    public void setFloat(long index, float value) {
        memory.setAtIndex(JAVA_FLOAT, index, value);
    }

    /** Element of an f32 or f64 tensor at a flat index. */
    public double getDouble(long index) {
        return type == DType.F64 ? memory.getAtIndex(JAVA_DOUBLE, index) : memory.getAtIndex(JAVA_FLOAT, index);
    }

    /** Rounded to f32 where the tensor is f32. */
    public void setDouble(long index, double value) {
        if (type == DType.F64) memory.setAtIndex(JAVA_DOUBLE, index, value);
        else memory.setAtIndex(JAVA_FLOAT, index, (float) value);
    }

    public int getInt(long index) {
        return memory.getAtIndex(JAVA_INT, index);
    }

    public void setInt(long index, int value) {
        memory.setAtIndex(JAVA_INT, index, value);
    }

    public long getLong(long index) {
        return memory.getAtIndex(JAVA_LONG, index);
    }

    public void setLong(long index, long value) {
        memory.setAtIndex(JAVA_LONG, index, value);
    }

    @Override
    public String toString() {
        return describe();
    }
}
