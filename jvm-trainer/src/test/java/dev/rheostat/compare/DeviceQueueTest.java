package dev.rheostat.compare;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RheostatException.Kind;
import dev.rheostat.train.StopRequest;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.BrokenBarrierException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CyclicBarrier;
import org.junit.jupiter.api.Test;

class DeviceQueueTest {
    private static final List<String> TWO = List.of("cuda:0", "cuda:1");

    private final StopRequest stop = new StopRequest();
    private final List<String> done = Collections.synchronizedList(new ArrayList<>());

    @Test
    void oneDeviceWorksInOrder() {
        assertTrue(DeviceQueue.run(
                List.of("cpu"), List.of("a", "b", "c"), job -> Optional.empty(), (d, job) -> done.add(job), stop));
        assertEquals(List.of("a", "b", "c"), done);
    }

    @Test
    void twoDevicesWorkAtOnceAndEachAtOneJob() {
        CyclicBarrier both = new CyclicBarrier(2); // opens only when two jobs run at once
        Map<String, Integer> working = new ConcurrentHashMap<>();
        assertTrue(DeviceQueue.run(
                TWO,
                List.of("a", "b", "c", "d"),
                job -> Optional.empty(),
                (device, job) -> {
                    assertEquals(1, working.merge(device, 1, Integer::sum));
                    meet(both);
                    working.merge(device, -1, Integer::sum);
                    done.add(job);
                },
                stop));
        assertEquals(4, done.size());
    }

    private static void meet(CyclicBarrier barrier) {
        try {
            barrier.await();
        } catch (InterruptedException | BrokenBarrierException e) {
            throw new IllegalStateException(e);
        }
    }

    @Test
    void aJobThatWasBegunStaysWithItsDevice() {
        Map<String, String> device_J = new ConcurrentHashMap<>();
        assertTrue(DeviceQueue.run(
                TWO,
                List.of("cuda:1 a", "cuda:1 b", "cuda:0 c", "cuda:1 d"),
                job -> Optional.of(job.substring(0, 6)),
                (device, job) -> device_J.put(job, device),
                stop));
        device_J.forEach((job, device) -> assertEquals(job.substring(0, 6), device));
        assertEquals(4, device_J.size());
    }

    @Test
    void askedToStopItBeginsNoMore() {
        assertFalse(DeviceQueue.run(
                List.of("cpu"),
                List.of("a", "b", "c"),
                job -> Optional.empty(),
                (d, job) -> {
                    done.add(job);
                    if (job.equals("b")) stop.stop();
                },
                stop));
        assertEquals(List.of("a", "b"), done);
    }

    @Test
    void aFailureStopsTheOthersAndIsThrown() {
        RheostatException diverged = new RheostatException(Kind.DIVERGED, "training diverged");
        RheostatException thrown = assertThrows(
                RheostatException.class,
                () -> DeviceQueue.run(
                        TWO,
                        List.of("a", "b", "c", "d", "e"),
                        job -> Optional.empty(),
                        (d, job) -> {
                            if (job.equals("a")) throw diverged;
                            while (!stop.requested()) Thread.onSpinWait(); // as a run that goes on until it is asked
                            done.add(job);
                        },
                        stop));
        assertSame(diverged, thrown);
        assertTrue(done.size() <= 1, done.toString());
    }
}
