package dev.rheostat.op.cpu;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.concurrent.atomic.AtomicIntegerArray;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class WorkerPoolTest {
    @ParameterizedTest
    @ValueSource(ints = {1, 2, 5})
    void everyTaskRunsOnceOnAWorkerOfThePool(int threads) {
        try (WorkerPool pool = new WorkerPool(threads)) {
            for (int round = 0; round < 2000; round++) {
                int count = round % 7;
                AtomicIntegerArray ran = new AtomicIntegerArray(7);
                pool.run(count, (task, worker) -> ran.addAndGet(task, worker >= 0 && worker < threads ? 1 : 100));
                for (int task = 0; task < 7; task++)
                    assertEquals(task < count ? 1 : 0, ran.get(task), "round " + round);
            }
        }
    }

    @Test
    void anExceptionOfATaskReachesTheCallerAndThePoolGoesOn() {
        WorkerPool pool = new WorkerPool(3);
        IllegalStateException thrown = assertThrows(
                IllegalStateException.class,
                () -> pool.run(10, (task, worker) -> {
                    if (task == 4) throw new IllegalStateException("task 4");
                }));
        assertEquals("task 4", thrown.getMessage());
        AtomicIntegerArray ran = new AtomicIntegerArray(1);
        pool.run(10, (task, worker) -> ran.incrementAndGet(0));
        assertEquals(10, ran.get(0));
        pool.close();
        pool.close();
    }

    @Test
    void partsCoverTheItemsOnce() {
        for (long items : new long[] {0, 1, 7, 1000, 12_345_678_901L})
            for (int parts : new int[] {1, 2, 3, 16}) {
                assertEquals(0, WorkerPool.partStart(items, parts, 0));
                assertEquals(items, WorkerPool.partStart(items, parts, parts));
            }
        assertThrows(IllegalArgumentException.class, () -> new WorkerPool(0));
    }
}
