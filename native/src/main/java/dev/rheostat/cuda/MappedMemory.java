package dev.rheostat.cuda;

import dev.rheostat.ffi.load.NativeMemory;
import java.lang.foreign.MemorySegment;

/**
 * Page-locked host memory that the device reads and writes in place, over the bus. The JVM reads what a kernel has published
 * with acquire loads of {@link #host}.
 */
public final class MappedMemory implements AutoCloseable {
    private final CudaApi api;
    private final long hostAddress;
    private final long deviceAddress;
    private final long bytes;
    private boolean closed;

    /** Zeroed. @throws CudaException the system refuses to lock so much */
    public MappedMemory(CudaApi api, long bytes) {
        if (bytes <= 0) throw new IllegalArgumentException(bytes + " bytes of mapped memory");
        this.api = api;
        this.bytes = bytes;
        this.hostAddress = api.hostAlloc(bytes);
        try {
            this.deviceAddress = api.hostDevicePointer(hostAddress);
        } catch (CudaException e) {
            Released.now(() -> api.hostFree(hostAddress));
            throw e;
        }
        host().fill((byte) 0);
    }

    /** The memory from Java, on any thread; not to be touched after {@link #close}, which nothing checks. */
    public MemorySegment host() {
        return NativeMemory.at(hostAddress, bytes);
    }

    public long hostAddress() {
        return hostAddress;
    }

    /** Where the device sees it. */
    public long deviceAddress() {
        return deviceAddress;
    }

    public long bytes() {
        return bytes;
    }

    @Override
    public void close() {
        if (closed) return;
        closed = true;
        Released.now(() -> api.hostFree(hostAddress));
    }
}
