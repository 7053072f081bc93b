package dev.rheostat.cuda;

/** Work that was captured from a stream, as nodes and their order. Launched through {@link #instantiate}. */
public final class CudaGraph implements AutoCloseable {
    private final CudaApi api;
    private final long handle;
    private boolean closed;

    private CudaGraph(CudaApi api, long handle) {
        this.api = api;
        this.handle = handle;
    }

    /**
     * Runs {@code work} with the stream recording: what it enqueues there becomes the graph and does not run. It may not
     * wait for the stream nor allocate; other threads may do as they like.
     * @throws RuntimeException of the work; the stream then records no longer, and there is no graph
     */
    public static CudaGraph capture(CudaStream stream, Runnable work) {
        CudaApi api = stream.api();
        api.streamBeginCapture(stream.handle());
        try {
            work.run();
        } catch (RuntimeException | Error e) {
            try {
                api.graphDestroy(api.streamEndCapture(stream.handle()));
            } catch (CudaException invalidated) {
                e.addSuppressed(invalidated); // what broke the capture is told by e
            }
            throw e;
        }
        return new CudaGraph(api, api.streamEndCapture(stream.handle()));
    }

    /** The CUgraph. */
    public long handle() {
        return handle;
    }

    public long nodeCount() {
        return api.graphNodeCount(handle);
    }

    /** Compiles it for launches; the graph may be closed after that. */
    public CudaGraphExec instantiate() {
        return new CudaGraphExec(api, api.graphInstantiate(handle));
    }

    @Override
    public void close() {
        if (closed) return;
        closed = true;
        Released.now(() -> api.graphDestroy(handle));
    }
}
