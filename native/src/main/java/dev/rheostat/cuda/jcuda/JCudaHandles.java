package dev.rheostat.cuda.jcuda;

import dev.rheostat.cuda.CudaApi;
import dev.rheostat.cuda.CudaDevice;
import dev.rheostat.cuda.CudaKernel;
import dev.rheostat.cuda.CudaStream;
import dev.rheostat.cuda.DeviceBuffer;
import jcuda.RheostatHandles;
import jcuda.driver.CUcontext;
import jcuda.driver.CUdeviceptr;
import jcuda.driver.CUfunction;
import jcuda.driver.CUstream;

/**
 * JCuda's handles in and out, so that a program that uses JCuda can launch our kernels on its own streams and memory, and use
 * ours. Nothing changes owner: who has made a handle destroys it.
 */
public final class JCudaHandles {
    private JCudaHandles() {}

    /** A stream of theirs; closing ours leaves it open. */
    public static CudaStream stream(CudaApi api, CUstream stream) {
        return CudaStream.borrowed(api, RheostatHandles.get(stream));
    }

    public static CUstream stream(CudaStream stream) {
        return RheostatHandles.set(new CUstream(), stream.handle());
    }

    /** The device address, its offset included, as {@code KernelArgs.ptr} takes it. */
    public static long address(CUdeviceptr pointer) {
        return RheostatHandles.get(pointer);
    }

    public static CUdeviceptr pointer(DeviceBuffer buffer) {
        return RheostatHandles.set(new CUdeviceptr(), buffer.address());
    }

    /** A kernel of theirs. @param name for messages */
    public static CudaKernel kernel(CudaApi api, String name, CUfunction function) {
        return new CudaKernel(api, name, RheostatHandles.get(function));
    }

    public static CUfunction function(CudaKernel kernel) {
        return RheostatHandles.set(new CUfunction(), kernel.handle());
    }

    /** The handle, as {@code CudaApi.contextSetCurrent} takes it. */
    public static long context(CUcontext context) {
        return RheostatHandles.get(context);
    }

    public static CUcontext context(CudaDevice device) {
        return RheostatHandles.set(new CUcontext(), device.context());
    }
}
