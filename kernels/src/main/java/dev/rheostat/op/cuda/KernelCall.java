package dev.rheostat.op.cuda;

import dev.rheostat.cuda.CudaException;
import dev.rheostat.cuda.KernelArgs;
import dev.rheostat.cuda.LaunchShape;
import dev.rheostat.cuda.Nvtx;
import dev.rheostat.cuda.TensorMap;

/** One launch that is being put together: parameters in the order of the kernel's signature, then {@link #launch}. */
final class KernelCall {
    private final CudaOps ops;
    private final KernelArgs args = new KernelArgs();
    private CudaOps.Loaded kernel;

    KernelCall(CudaOps ops) {
        this.ops = ops;
    }

    KernelCall of(CudaOps.Loaded kernel) {
        this.kernel = kernel;
        args.reset();
        return this;
    }

    /** @param tensor null for a null pointer */
    KernelCall pointer(DeviceTensor tensor) {
        args.ptr(tensor == null ? 0 : tensor.address());
        return this;
    }

    /** Of an element of the tensor. */
    KernelCall pointer(DeviceTensor tensor, long elementOffset) {
        args.ptr(tensor.address() + elementOffset * tensor.type().bytes());
        return this;
    }

    /** @param deviceAddress of shared memory, as {@link CudaOps#sharedDeviceAddress} gives it */
    KernelCall pointer(long deviceAddress) {
        args.ptr(deviceAddress);
        return this;
    }

    KernelCall i32(int value) {
        args.i32(value);
        return this;
    }

    KernelCall i64(long value) {
        args.i64(value);
        return this;
    }

    KernelCall f32(float value) {
        args.f32(value);
        return this;
    }

    KernelCall f64(double value) {
        args.f64(value);
        return this;
    }

    KernelCall tensorMap(TensorMap map) {
        args.struct(map.bytes(), TensorMap.ALIGNMENT);
        return this;
    }

    /** One row of blocks, no dynamic shared memory. */
    void launch(long gridX, int blockX) {
        launch(LaunchShape.of(gridX, blockX));
    }

    /** Enqueues it, in a range of the kernel's name, except in a rehearsal. @throws dev.rheostat.op.DeviceException if the driver refuses, or the device has failed before */
    void launch(LaunchShape shape) {
        Nvtx.push(kernel.kernel().name());
        try {
            kernel.allow(shape.sharedBytes());
            if (!ops.rehearsing()) kernel.kernel().launch(ops.stream(), shape, args);
        } catch (CudaException e) {
            throw CudaOps.failed(e);
        } finally {
            Nvtx.pop();
        }
    }

    void close() {
        args.close();
    }
}
