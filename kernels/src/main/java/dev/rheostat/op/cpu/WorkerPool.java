package dev.rheostat.op.cpu;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;

/**
 * A fixed team of threads, the caller among them, that runs the tasks of one op at a time. Which thread runs which task
 * is left to timing; so a task's result must depend on its number alone, and how an op is cut into tasks on shapes and
 * {@link #threads} alone. Then a run has the same bits whatever the timing.
 *
 * <p>One thread may call {@link #run} at a time, and not from inside a task. Waiting threads spin for some microseconds,
 * since the next op usually follows at once, and then park, so that nobody else is starved.
 */
public final class WorkerPool implements AutoCloseable {
    /** Spins before parking: about 20 microseconds, some times the cost of a wake-up. */
    private static final int SPINS = 2_000;

    /** One unit of work. */
    @FunctionalInterface
    public interface Task {
        /** @param worker in [0, threads): whose scratch memory to use; never influences a result */
        void run(int task, int worker);
    }

    private final Thread[] workers;
    private final AtomicInteger next = new AtomicInteger();
    private final AtomicInteger running = new AtomicInteger();
    private Task body;
    private int tasks;
    private volatile long round;
    private volatile Throwable failure;
    private volatile boolean closed;
    private volatile Thread caller;

    /** @param threads in all, at least 1 */
    public WorkerPool(int threads) {
        if (threads < 1) throw new IllegalArgumentException("threads=" + threads + " must be at least 1");
        workers = new Thread[threads - 1];
        for (int i = 0; i < workers.length; i++) {
            int worker = i + 1;
            workers[i] = Thread.ofPlatform()
                    .daemon()
                    .name("rheostat-worker-" + worker)
                    .start(() -> serve(worker));
        }
    }

    public int threads() {
        return workers.length + 1;
    }

    /** Runs tasks 0 to {@code count - 1} and returns when all are done; the first exception of a task is thrown again. */
    public void run(int count, Task task) {
        if (count <= 0) return;
        if (count == 1 || workers.length == 0) {
            for (int i = 0; i < count; i++) task.run(i, 0);
            return;
        }
        body = task;
        tasks = count;
        failure = null;
        next.set(0);
        caller = Thread.currentThread();
        running.set(workers.length);
        round = round + 1; // publishes the plain fields above
        for (Thread worker : workers) LockSupport.unpark(worker);
        work(0);
        for (int spins = 0; running.get() != 0; spins++) {
            if (spins < SPINS) Thread.onSpinWait();
            else LockSupport.parkNanos(this, 100_000);
        }
        body = null;
        Throwable thrown = failure;
        if (thrown instanceof RuntimeException e) throw e;
        if (thrown instanceof Error e) throw e;
    }

    /** Cuts {@code items} into {@code parts} of nearly equal length; the start of part {@code part}. */
    public static long partStart(long items, int parts, int part) {
        return items * part / parts;
    }

    private void work(int worker) {
        try {
            for (int task = next.getAndIncrement(); task < tasks; task = next.getAndIncrement()) body.run(task, worker);
        } catch (Throwable t) {
            failure = t;
            next.set(tasks);
        }
    }

    private void serve(int worker) {
        long seen = 0;
        while (true) {
            for (int spins = 0; round == seen && !closed; spins++) {
                if (spins < SPINS) Thread.onSpinWait();
                else LockSupport.park(this);
            }
            if (closed) return;
            seen++;
            work(worker);
            if (running.decrementAndGet() == 0) LockSupport.unpark(caller);
        }
    }

    @Override
    public void close() {
        closed = true;
        for (Thread worker : workers) LockSupport.unpark(worker);
    }
}
