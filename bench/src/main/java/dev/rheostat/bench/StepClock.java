package dev.rheostat.bench;

import dev.rheostat.cuda.CudaEvent;
import dev.rheostat.op.Backend;
import dev.rheostat.op.cuda.CudaBackend;
import java.util.ArrayList;
import java.util.List;

/** Events before and after each step on a GPU's stream: how long the device worked, and how long it had nothing to do. */
final class StepClock implements AutoCloseable {
    private final CudaBackend backend; // null on the CPU, which has no such thing
    private final List<CudaEvent> begins = new ArrayList<>(), ends = new ArrayList<>();
    private int begun, ended;

    private StepClock(CudaBackend backend) {
        this.backend = backend;
    }

    /** For so many steps. */
    static StepClock of(Backend<?> backend, int steps) {
        StepClock clock = new StepClock(backend instanceof CudaBackend cuda ? cuda : null);
        for (int i = 0; clock.backend != null && i < steps; i++) {
            clock.begins.add(CudaEvent.ofTime(clock.backend.stream().api()));
            clock.ends.add(CudaEvent.ofTime(clock.backend.stream().api()));
        }
        return clock;
    }

    void begin() {
        if (backend != null) begins.get(begun++).record(backend.stream());
    }

    void end() {
        if (backend != null) ends.get(ended++).record(backend.stream());
    }

    /** What was measured; waits for the last step. Null on the CPU. @param step one more of them, which is waited for */
    StepBench.Device device(boolean graph, Runnable step) {
        if (backend == null) return null;
        backend.stream().synchronize();
        double[] busy = new double[ended], gap = new double[Math.max(0, ended - 1)];
        for (int i = 0; i < ended; i++) busy[i] = ends.get(i).secondsSince(begins.get(i));
        double largest = 0;
        for (int i = 0; i < gap.length; i++) {
            gap[i] = begins.get(i + 1).secondsSince(ends.get(i));
            largest = Math.max(largest, gap[i]);
        }
        long nodes = backend.graphNodes().values().stream().mapToLong(n -> n).sum();
        return new StepBench.Device(
                backend.device().name(),
                nodes,
                graph,
                Samples.median(busy),
                gap.length == 0 ? 0 : Samples.median(gap),
                largest,
                Clocks.during(step, backend.device()));
    }

    @Override
    public void close() {
        begins.forEach(CudaEvent::close);
        ends.forEach(CudaEvent::close);
    }
}
