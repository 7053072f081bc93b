package dev.rheostat.cuda;

import java.lang.foreign.MemorySegment;

/** Memory of the device. Its content is undefined until it is written. */
public final class DeviceBuffer implements AutoCloseable {
    private final CudaApi api;
    private final long address;
    private final long bytes;
    private boolean closed;

    /**
     * @param purpose what it is for, for the error: "activations"
     * @throws CudaException out of memory, naming the purpose, the size and what was free; nothing is taken then
     */
    public DeviceBuffer(CudaApi api, long bytes, String purpose) {
        if (bytes <= 0) throw new IllegalArgumentException(purpose + ": " + bytes + " bytes of device memory");
        this.api = api;
        this.bytes = bytes;
        this.address = allocate(api, bytes, purpose);
    }

    private static long allocate(CudaApi api, long bytes, String purpose) {
        try {
            return api.memAlloc(bytes);
        } catch (CudaException e) {
            if (!e.outOfMemory()) throw e;
            long[] freeAndTotal = api.memoryInfo();
            throw e.with("for " + purpose + " with " + freeAndTotal[0] + " of " + freeAndTotal[1] + " bytes free");
        }
    }

    /** Where the device sees it; aligned to 256 bytes. */
    public long address() {
        return address;
    }

    public long bytes() {
        return bytes;
    }

    /**
     * Enqueues a copy from host memory. The copy is asynchronous only if the source is of {@link MappedMemory}; then it must
     * stay as it is until the stream has passed.
     */
    public void write(long offset, MemorySegment source, CudaStream stream) {
        check(offset, source.byteSize());
        api.copyToDevice(address + offset, addressOf(source), source.byteSize(), stream.handle());
    }

    /** Enqueues a copy to host memory; what is there is defined after the stream has passed. */
    public void read(long offset, MemorySegment destination, CudaStream stream) {
        check(offset, destination.byteSize());
        api.copyToHost(addressOf(destination), address + offset, destination.byteSize(), stream.handle());
    }

    /** Enqueues a fill with one byte. */
    public void fill(byte value, CudaStream stream) {
        api.memset8(address, value, bytes, stream.handle());
    }

    private static long addressOf(MemorySegment host) {
        if (!host.isNative()) throw new IllegalArgumentException("the device copies native memory, not a Java array");
        return host.address();
    }

    private void check(long offset, long count) {
        if (offset < 0 || count < 0 || offset > bytes - count)
            throw new IllegalArgumentException(
                    "bytes " + offset + " to " + (offset + count) + " of a buffer of " + bytes + " bytes");
    }

    /** Waits until the device has passed all work that was enqueued before, as cuMemFree does. */
    @Override
    public void close() {
        if (closed) return;
        closed = true;
        Released.now(() -> api.memFree(address));
    }
}
