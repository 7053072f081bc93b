package dev.rheostat.op.cuda;

import dev.rheostat.cuda.CudaDevice;
import dev.rheostat.cuda.CudaException;
import dev.rheostat.cuda.CudaStream;
import dev.rheostat.cuda.MappedMemory;
import dev.rheostat.op.DeviceException;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.Locale;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * Copies between the device and any memory of the host, and waits for it that end. Who waits in the driver for a device that hangs
 * waits for ever, so a thread of this class does, and who wants the copy waits for that thread, with patience. Copies go by way of
 * page-locked memory of this class: it outlives a wait that was given up, should the device wake and write after all.
 */
final class HostCopies implements AutoCloseable {
    /** Some 80 us of a PCIe 5 link, several times what a piece costs beside. */
    private static final long PIECE_BYTES = 4L << 20;

    private final CudaDevice device;
    private final CudaStream stream;
    private final Duration patience;
    private final MappedMemory piece;
    private final ExecutorService waiter = Executors.newSingleThreadExecutor(
            Thread.ofPlatform().daemon().name("rheostat-device-wait").factory());
    private volatile boolean hang;

    /** @param patience with all that the stream was given before a copy, and the copy */
    HostCopies(CudaDevice device, CudaStream stream, Duration patience) {
        this.device = device;
        this.stream = stream;
        this.patience = patience;
        piece = new MappedMemory(device.api(), PIECE_BYTES);
    }

    /** @param address on the device, of as many bytes as the source has @throws DeviceException as {@link #await} */
    void toDevice(long address, MemorySegment source) {
        for (long offset = 0; offset < source.byteSize(); offset += PIECE_BYTES) {
            long from = offset, bytes = Math.min(PIECE_BYTES, source.byteSize() - from);
            MemorySegment.copy(source, from, piece.host(), 0, bytes);
            CudaOps.guarded(
                    () -> device.api().copyToDevice(address + from, piece.hostAddress(), bytes, stream.handle()));
            await("a copy to the device");
        }
    }

    /** @param address on the device, of as many bytes as the destination has @throws DeviceException as {@link #await} */
    void toHost(MemorySegment destination, long address) {
        for (long offset = 0; offset < destination.byteSize(); offset += PIECE_BYTES) {
            long to = offset, bytes = Math.min(PIECE_BYTES, destination.byteSize() - to);
            CudaOps.guarded(() -> device.api().copyToHost(piece.hostAddress(), address + to, bytes, stream.handle()));
            await("a copy from the device");
            MemorySegment.copy(piece.host(), 0, destination, to, bytes);
        }
    }

    /**
     * Until all that was enqueued is done.
     * @param what is waited for, for the message
     * @throws DeviceException if the device has failed or hangs
     */
    void await(String what) {
        Future<?> wait = waiter.submit(() -> {
            device.bind();
            stream.synchronize();
        });
        long startNanos = System.nanoTime();
        boolean interrupted = false;
        while (true) {
            try {
                wait.get(patience.toNanos() - (System.nanoTime() - startNanos), TimeUnit.NANOSECONDS);
                break;
            } catch (InterruptedException e) {
                interrupted = true; // a copy is done or has failed, whoever is in a hurry
            } catch (TimeoutException e) {
                hang = true;
                throw DeviceException.hangs(String.format(
                        Locale.ROOT,
                        "%s has been under way for %.1f s",
                        what,
                        (System.nanoTime() - startNanos) * 1e-9));
            } catch (ExecutionException e) {
                if (e.getCause() instanceof CudaException failure) throw CudaOps.failed(failure);
                throw new AssertionError(e.getCause());
            }
        }
        if (interrupted) Thread.currentThread().interrupt();
    }

    /** Whether a wait was given up. */
    boolean hang() {
        return hang;
    }

    @Override
    public void close() {
        waiter.shutdown();
        piece.close();
    }
}
