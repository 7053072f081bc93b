package dev.rheostat.op.cuda;

import dev.rheostat.cuda.CudaGraph;
import dev.rheostat.cuda.CudaGraphExec;
import dev.rheostat.cuda.Nvtx;
import java.util.Locale;
import java.util.Optional;

/** Ops that are enqueued one by one, or recorded at the first run and launched whole at each. */
final class CudaProgram implements Runnable, AutoCloseable {
    private final CudaOps ops;
    private final String name;
    private final Runnable calls;
    private final boolean asGraph;
    private CudaGraphExec graph; // null until it is recorded
    private long nodes;
    private String note;

    CudaProgram(CudaOps ops, String name, Runnable calls, boolean asGraph) {
        this.ops = ops;
        this.name = name;
        this.calls = calls;
        this.asGraph = asGraph;
    }

    @Override
    public void run() {
        if (!asGraph) {
            Nvtx.push(name);
            calls.run();
            Nvtx.pop();
            return;
        }
        CudaOps.guarded(() -> {
            if (graph == null) record();
            graph.launch(ops.stream());
        });
    }

    private void record() {
        long startNanos = System.nanoTime();
        ops.rehearse(calls);
        try (CudaGraph recorded = CudaGraph.capture(ops.stream(), calls)) {
            long recordedNanos = System.nanoTime();
            graph = recorded.instantiate();
            graph.upload(ops.stream());
            nodes = recorded.nodeCount();
            note = String.format(
                    Locale.ROOT,
                    "%s: %d nodes, rehearsed and recorded in %.1f ms, instantiated in %.1f ms",
                    name,
                    nodes,
                    (recordedNanos - startNanos) * 1e-6,
                    (System.nanoTime() - recordedNanos) * 1e-6);
        }
    }

    String name() {
        return name;
    }

    boolean recorded() {
        return graph != null;
    }

    /** Of the graph; 0 until it is recorded. */
    long nodes() {
        return nodes;
    }

    /** What recording took. */
    Optional<String> note() {
        return Optional.ofNullable(note);
    }

    @Override
    public void close() {
        if (graph != null) graph.close();
    }
}
