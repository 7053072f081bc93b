package dev.rheostat.cuda;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Kernels of one image, loaded into the current context. */
public final class CudaModule implements AutoCloseable {
    private final CudaApi api;
    private final long handle;
    private boolean closed;

    /**
     * @param image cubin, fat binary or PTX; read before this returns
     * @throws CudaException no code for this device, or an image that the driver cannot read
     */
    public CudaModule(CudaApi api, byte[] image) {
        this.api = api;
        try (Arena arena = Arena.ofConfined()) {
            // fat binaries are read in words; the bytes behind end PTX, which is text
            MemorySegment padded = arena.allocate(image.length + 8L, 16);
            MemorySegment.copy(image, 0, padded, ValueLayout.JAVA_BYTE, 0, image.length);
            this.handle = api.moduleLoad(padded);
        }
    }

    /** @throws CudaException CUDA_ERROR_NOT_FOUND naming the kernel */
    public CudaKernel kernel(String name) {
        return new CudaKernel(api, name, api.moduleGetFunction(handle, name));
    }

    @Override
    public void close() {
        if (closed) return;
        closed = true;
        Released.now(() -> api.moduleUnload(handle));
    }
}
