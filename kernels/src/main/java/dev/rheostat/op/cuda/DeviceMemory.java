package dev.rheostat.op.cuda;

import dev.rheostat.cuda.CudaApi;
import dev.rheostat.cuda.CudaException;
import dev.rheostat.cuda.CudaStream;
import dev.rheostat.cuda.DeviceBuffer;
import dev.rheostat.cuda.MappedMemory;
import dev.rheostat.ffi.load.UnbackedMemory;
import dev.rheostat.op.DType;
import dev.rheostat.op.OutOfMemoryException;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.Collections;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;

/**
 * All memory of a CUDA backend, on the device and shared with it: zeroed, accounted by purpose, freed at close. Without a stream
 * it only accounts, for plans.
 */
final class DeviceMemory implements AutoCloseable {
    /** What cuMemAlloc aligns to, and so what an allocation at least takes (CUDA programming guide, device memory accesses). */
    private static final long GRANULE = 256;

    private final CudaApi api;
    private final CudaStream stream;
    private final Deque<AutoCloseable> owned = new ArrayDeque<>();
    private final TreeMap<Long, MappedMemory> sharedByAddress = new TreeMap<>();
    private final Map<String, Long> bytesByPurpose = new LinkedHashMap<>();

    /** @param stream null: nothing is taken */
    DeviceMemory(CudaApi api, CudaStream stream) {
        this.api = api;
        this.stream = stream;
    }

    /** @throws OutOfMemoryException naming purpose, size and what was free; nothing is taken */
    DeviceTensor allocate(String purpose, DType type, long... shape) {
        return DeviceTensor.of(take(purpose, bytes(type, shape)), type, shape);
    }

    /** f32 masters and their bf16 copy. @throws OutOfMemoryException as {@link #allocate} */
    DeviceTensor allocateWeights(String purpose, long count) {
        long masters = take(purpose, bytes(DType.F32, count));
        return DeviceTensor.weight(masters, take(purpose + ", bf16", bytes(DType.BF16, count)), count);
    }

    private static long bytes(DType type, long... shape) {
        long bytes = type.bytes();
        for (long length : shape) bytes = Math.multiplyExact(bytes, length);
        return bytes;
    }

    private long take(String purpose, long bytes) {
        long address = 0;
        if (stream != null && bytes > 0) {
            try {
                DeviceBuffer buffer = new DeviceBuffer(api, bytes, purpose);
                owned.push(buffer);
                buffer.fill((byte) 0, stream);
                address = buffer.address();
            } catch (CudaException e) {
                throw refused(e, purpose, bytes);
            }
        }
        account(purpose, bytes);
        return address;
    }

    /** Memory that both sides see. @throws OutOfMemoryException if the system refuses to lock so much */
    MemorySegment allocateShared(String purpose, long bytes) {
        account(purpose, bytes);
        if (stream == null) return UnbackedMemory.of(bytes);
        try {
            MappedMemory memory = new MappedMemory(api, bytes);
            owned.push(memory);
            sharedByAddress.put(memory.hostAddress(), memory);
            return memory.host();
        } catch (CudaException e) {
            throw refused(e, purpose, bytes);
        }
    }

    /** Where the device sees memory of {@link #allocateShared}; 0 in a plan. */
    long deviceAddress(MemorySegment shared) {
        if (stream == null) return 0;
        Map.Entry<Long, MappedMemory> entry = sharedByAddress.floorEntry(shared.address());
        long offset = entry == null ? -1 : shared.address() - entry.getKey();
        if (entry == null || offset + shared.byteSize() > entry.getValue().bytes())
            throw new IllegalArgumentException("memory at " + shared + " is not shared with this device");
        return entry.getValue().deviceAddress() + offset;
    }

    private RuntimeException refused(CudaException e, String purpose, long bytes) {
        if (!e.outOfMemory()) return CudaOps.failed(e);
        return new OutOfMemoryException(String.format(
                Locale.ROOT,
                "the device cannot give %,d MiB for %s, of %,d MiB that the run has so far: %s",
                (bytes >> 20) + 1,
                purpose,
                total() >> 20,
                e.getMessage()));
    }

    private void account(String purpose, long bytes) {
        bytesByPurpose.merge(purpose, (bytes + GRANULE - 1) / GRANULE * GRANULE, Math::addExact);
    }

    private long total() {
        return bytesByPurpose.values().stream().mapToLong(Long::longValue).sum();
    }

    Map<String, Long> bytesByPurpose() {
        return Collections.unmodifiableMap(bytesByPurpose);
    }

    @Override
    public void close() {
        while (!owned.isEmpty()) CudaOps.close(owned.pop());
    }
}
