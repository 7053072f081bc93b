package dev.rheostat.cuda;

/** A kernel of a {@link CudaModule}, and lives as long as it. */
public final class CudaKernel {
    private final CudaApi api;
    private final String name;
    private final long handle;

    /** @param handle a CUfunction, whose module the caller keeps loaded; name is for messages */
    public CudaKernel(CudaApi api, String name, long handle) {
        this.api = api;
        this.name = name;
        this.handle = handle;
    }

    public String name() {
        return name;
    }

    /** The CUfunction. */
    public long handle() {
        return handle;
    }

    /** 32-bit registers of a thread. */
    public int registers() {
        return attribute(KernelAttribute.REGISTERS);
    }

    public int staticSharedBytes() {
        return attribute(KernelAttribute.STATIC_SHARED_BYTES);
    }

    /** Bytes of a thread in local memory: spilled registers and arrays with computed indices. */
    public int localBytes() {
        return attribute(KernelAttribute.LOCAL_BYTES);
    }

    public int maxThreads() {
        return attribute(KernelAttribute.MAX_THREADS_PER_BLOCK);
    }

    /** @param attribute of {@link KernelAttribute} */
    public int attribute(int attribute) {
        return api.functionAttribute(attribute, handle);
    }

    /**
     * Lets launches ask for more dynamic shared memory than 48 KiB.
     * @throws CudaException more than {@link CudaDevice#sharedBytesPerBlock}
     */
    public void allowSharedBytes(int bytes) {
        try {
            api.functionSetAttribute(handle, KernelAttribute.MAX_DYNAMIC_SHARED_BYTES, bytes);
        } catch (CudaException e) {
            throw e.with("kernel " + name);
        }
    }

    /** Enqueues a launch and returns at once. @throws CudaException naming the kernel and the shape */
    public void launch(CudaStream stream, LaunchShape shape, KernelArgs args) {
        try {
            api.launchKernel(
                    handle,
                    shape.gridX(),
                    shape.gridY(),
                    shape.gridZ(),
                    shape.blockX(),
                    shape.blockY(),
                    1,
                    shape.sharedBytes(),
                    stream.handle(),
                    args.pointers());
        } catch (CudaException e) {
            throw e.with("kernel " + name);
        }
    }
}
