package dev.rheostat.cuda;

/** A graph ready to run: one driver call a launch, however many nodes it has. */
public final class CudaGraphExec implements AutoCloseable {
    private final CudaApi api;
    private final long handle;
    private boolean closed;

    CudaGraphExec(CudaApi api, long handle) {
        this.api = api;
        this.handle = handle;
    }

    /** The CUgraphExec. */
    public long handle() {
        return handle;
    }

    /** Sends it to the device, so that the first launch costs what the others cost. */
    public void upload(CudaStream stream) {
        api.graphUpload(handle, stream.handle());
    }

    /** Enqueues the graph and returns at once. A launch waits for the one before it. */
    public void launch(CudaStream stream) {
        api.graphLaunch(handle, stream.handle());
    }

    /** Takes over the parameters of a graph of the same form. @return false if it could not, and is as it was */
    public boolean update(CudaGraph graph) {
        return api.graphUpdate(handle, graph.handle());
    }

    @Override
    public void close() {
        if (closed) return;
        closed = true;
        Released.now(() -> api.graphExecDestroy(handle));
    }
}
