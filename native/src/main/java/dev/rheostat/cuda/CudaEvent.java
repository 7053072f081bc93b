package dev.rheostat.cuda;

/** A mark in a stream: done when all that was enqueued before it is. */
public final class CudaEvent implements AutoCloseable {
    private final CudaApi api;
    private final long handle;
    private boolean closed;

    private CudaEvent(CudaApi api, boolean timing) {
        this.api = api;
        this.handle = api.eventCreate(timing);
    }

    /** An event for order alone, which costs the device less. */
    public static CudaEvent ofOrder(CudaApi api) {
        return new CudaEvent(api, false);
    }

    public static CudaEvent ofTime(CudaApi api) {
        return new CudaEvent(api, true);
    }

    /** The CUevent. */
    public long handle() {
        return handle;
    }

    public void record(CudaStream stream) {
        api.eventRecord(handle, stream.handle());
    }

    public void synchronize() {
        api.eventSynchronize(handle);
    }

    public boolean done() {
        return api.eventQuery(handle);
    }

    /** Device time between two events that were made with {@link #ofTime} and are done. */
    public double secondsSince(CudaEvent start) {
        return api.eventElapsedMillis(start.handle, handle) / 1e3;
    }

    @Override
    public void close() {
        if (closed) return;
        closed = true;
        Released.now(() -> api.eventDestroy(handle));
    }
}
