package dev.rheostat.train;

import java.util.concurrent.CountDownLatch;

/**
 * Asks a run to finish its step, save and end. {@link #onShutdown} ties it to SIGINT and SIGTERM: the JVM then waits in its
 * shutdown until the run is {@link #close closed} and exits with 130 or 143, as it does for these signals.
 */
public final class StopRequest implements AutoCloseable {
    private final CountDownLatch ended = new CountDownLatch(1);
    private volatile boolean requested;
    private Thread hook;

    /** One that a signal makes. Close it when all that must be saved is saved. */
    public static StopRequest onShutdown() {
        StopRequest request = new StopRequest();
        request.hook = Thread.ofPlatform().name("rheostat-stop").unstarted(() -> {
            request.stop();
            try {
                request.ended.await();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        });
        Runtime.getRuntime().addShutdownHook(request.hook);
        return request;
    }

    public void stop() {
        requested = true;
    }

    public boolean requested() {
        return requested;
    }

    @Override
    public void close() {
        ended.countDown();
        if (hook == null || requested) return;
        try {
            Runtime.getRuntime().removeShutdownHook(hook);
        } catch (IllegalStateException e) {
            // A signal came just now: the hook finds the latch open.
        }
    }
}
