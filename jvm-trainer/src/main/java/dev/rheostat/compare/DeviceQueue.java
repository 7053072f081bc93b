package dev.rheostat.compare;

import dev.rheostat.train.StopRequest;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;
import java.util.function.BiConsumer;
import java.util.function.Function;

/** Spreads jobs over devices, one a device at a time; a job that belongs to a device waits for it. */
final class DeviceQueue<J> {
    private final List<J> waiting;
    private final Function<J, Optional<String>> belongsTo;
    private final BiConsumer<String, J> work;
    private final StopRequest stop;
    private RuntimeException failure;

    private DeviceQueue(
            List<J> jobs, Function<J, Optional<String>> belongsTo, BiConsumer<String, J> work, StopRequest stop) {
        waiting = new ArrayList<>(jobs);
        this.belongsTo = belongsTo;
        this.work = work;
        this.stop = stop;
    }

    /**
     * Works off all jobs in their order, each by a thread of its device.
     * @param work does one, and returns early when {@code stop} is requested
     * @return whether every job was worked off
     * @throws RuntimeException the first that a job threw; the others were then asked to stop, and have
     */
    static <J> boolean run(
            List<String> devices,
            List<J> jobs,
            Function<J, Optional<String>> belongsTo,
            BiConsumer<String, J> work,
            StopRequest stop) {
        DeviceQueue<J> queue = new DeviceQueue<>(jobs, belongsTo, work, stop);
        List<Thread> threads = devices.stream()
                .map(device -> Thread.ofPlatform().name("rheostat-" + device).start(() -> queue.serve(device)))
                .toList();
        for (Thread thread : threads) queue.await(thread);
        if (queue.failure != null) throw queue.failure;
        return queue.waiting.isEmpty() && !stop.requested();
    }

    private void serve(String device) {
        try {
            for (Optional<J> job = next(device); job.isPresent(); job = next(device)) work.accept(device, job.get());
        } catch (RuntimeException e) {
            fail(e);
        } catch (Error e) {
            fail(new IllegalStateException(e.toString(), e));
        }
    }

    private synchronized Optional<J> next(String device) {
        if (stop.requested()) return Optional.empty();
        for (Iterator<J> i = waiting.iterator(); i.hasNext(); ) {
            J job = i.next();
            if (!belongsTo.apply(job).map(device::equals).orElse(true)) continue;
            i.remove();
            return Optional.of(job);
        }
        return Optional.empty();
    }

    private synchronized void fail(RuntimeException e) {
        if (failure == null) failure = e;
        else failure.addSuppressed(e);
        stop.stop();
    }

    /** A run is left between two steps only: an interrupt asks for that and waits on. */
    private void await(Thread thread) {
        boolean interrupted = false;
        while (true) {
            try {
                thread.join();
                break;
            } catch (InterruptedException e) {
                interrupted = true;
                stop.stop();
            }
        }
        if (interrupted) Thread.currentThread().interrupt();
    }
}
