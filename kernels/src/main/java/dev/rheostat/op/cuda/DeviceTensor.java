package dev.rheostat.op.cuda;

import dev.rheostat.op.DType;
import dev.rheostat.op.Tensor;

/**
 * A tensor in device memory. Only kernels read it; its address never reaches a pointer of the JVM.
 *
 * <p>A weight has two copies: the f32 master, which the optimizer and checkpoints see, and a bf16 copy at the same index, which
 * products and look-ups read ({@link #compute}). Whoever writes a master writes the copy in the same pass.
 */
public final class DeviceTensor implements Tensor {
    private final long address;
    private final long bf16Address;
    private final DType type;
    private final long[] shape;

    private DeviceTensor(long address, long bf16Address, DType type, long[] shape) {
        this.address = address;
        this.bf16Address = bf16Address;
        this.type = type;
        this.shape = shape.clone();
    }

    static DeviceTensor of(long address, DType type, long... shape) {
        return new DeviceTensor(address, 0, type, shape);
    }

    /** An f32 master with its bf16 copy. */
    static DeviceTensor weight(long address, long bf16Address, long... shape) {
        return new DeviceTensor(address, bf16Address, DType.F32, shape);
    }

    /** First byte, on the device. */
    long address() {
        return address;
    }

    /** What products and look-ups read: the bf16 copy of a weight, a bf16 tensor itself. @throws IllegalArgumentException for others */
    DeviceTensor compute() {
        if (type == DType.BF16) return this;
        if (bf16Address == 0) throw new IllegalArgumentException(describe() + " is no weight: it has no bf16 copy");
        return of(bf16Address, DType.BF16, shape);
    }

    boolean isWeight() {
        return bf16Address != 0;
    }

    DeviceTensor view(long offset, long... newShape) {
        long weightAddress = bf16Address == 0 ? 0 : bf16Address + offset * DType.BF16.bytes();
        return new DeviceTensor(address + offset * type.bytes(), weightAddress, type, newShape);
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

    @Override
    public String toString() {
        return describe();
    }
}
