package dev.rheostat.cuda;

/** A queue of device work in order. Not ordered with the default stream. */
public final class CudaStream implements AutoCloseable {
    private final CudaApi api;
    private final long handle;
    private boolean toDestroy; // by close: ours, and not closed yet

    public CudaStream(CudaApi api) {
        this(api, api.streamCreate(), true);
    }

    private CudaStream(CudaApi api, long handle, boolean toDestroy) {
        this.api = api;
        this.handle = handle;
        this.toDestroy = toDestroy;
    }

    /** A CUstream that somebody else has made and destroys; {@link #close} leaves it open. */
    public static CudaStream borrowed(CudaApi api, long handle) {
        return new CudaStream(api, handle, false);
    }

    public CudaApi api() {
        return api;
    }

    /** The CUstream. */
    public long handle() {
        return handle;
    }

    /** Waits for all that was enqueued. @throws CudaException what has failed since the last wait */
    public void synchronize() {
        api.streamSynchronize(handle);
    }

    /** Whether all that was enqueued is done. @throws CudaException what has failed */
    public boolean idle() {
        return api.streamQuery(handle);
    }

    /** What is enqueued later waits for the event. */
    public void waitFor(CudaEvent event) {
        api.streamWaitEvent(handle, event.handle());
    }

    /** Waits for nothing: the driver frees the stream when its work is done. */
    @Override
    public void close() {
        if (!toDestroy) return;
        toDestroy = false;
        Released.now(() -> api.streamDestroy(handle));
    }
}
