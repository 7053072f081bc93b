package dev.rheostat.cuda.sim;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rheostat.cuda.sim.CudaSimulator.Order;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** What the simulator is for: kernels with a bug are found, in every order of threads, and their fixed twins are not blamed. */
class SeededBugsTest {
    private static final int N = 128;

    /** The code that the context answers after the kernel; one block, or four for kernels about blocks. */
    private static int run(String kernel, Order order, long seed) {
        try (Machine m = new Machine().load("bugs")) {
            CudaSimulator.order(order, seed);
            float[] values = new float[N];
            for (int i = 0; i < N; i++) values[i] = i;
            long in = m.floats(values), out = m.floats(new float[N]);
            assertEquals(0, m.launch(kernel, kernel.contains("block") ? 4 : 1, N, 4096, Machine.LEGACY, out, in, N));
            int code = m.synchronize();
            assertEquals(code, m.synchronize(), "an error of a kernel stays");
            said = CudaSimulator.lastError();
            return code;
        }
    }

    private static String said; // by the last run

    @ParameterizedTest(name = "{0}")
    @CsvSource(
            delimiter = '|',
            value = {
                "missing_barrier          | with_barrier          | 719 | bytes of shared memory",
                "missing_second_barrier   | with_second_barrier   | 719 | of missing_second_barrier::tile, races with",
                "missing_syncwarp         | with_syncwarp         | 719 | races with",
                "halves_of_others         | halves_of_own         | 719 | write of 2 bytes of shared memory",
                "one_past_the_end         | inside                | 700 | thread (127,0,0): write of 4 bytes out of bounds",
                "past_dynamic_shared      | end_of_dynamic_shared | 700 | at byte 4096 of 4096 bytes of dynamic shared",
                "past_static_shared       | end_of_static_shared  | 700 | past the 400 bytes of past_static_shared::small",
                "unwritten_shared         | written_shared        | 719 | thread (5,0,0): read of 4 bytes of shared memory",
                "barrier_in_a_branch      | barrier_for_all       | 719 | thread (0,0,0) to thread (63,0,0) wait at __sync",
                "shuffle_after_some_left  | shuffle_of_all        | 719 | thread (96,0,0) to thread (124,0,0) wait at a sh",
                "shuffle_against_ballot   | shuffle_of_all        | 719 | while other lanes of its warp wait at",
                "partial_mask             | shuffle_of_all        | 719 | a mask that leaves lanes out",
                "early_async_read         | async_read            | 719 | an asynchronous copy is under way to",
                "async_second_stage_early | async_first_stage     | 719 | an asynchronous copy is under way to",
                "async_refill_too_soon    | async_refill          | 719 | races with",
                "misaligned               | inside                | 716 | is not aligned to its size",
                "write_to_null            | inside                | 700 | no memory of the device",
                "trap_of_thread_7         | inside                | 710 | thread (7,0,0): __trap()",
                "blocks_add_plainly       | blocks_add_atomically | 719 | of the same launch",
                "last_block_without_fence | last_block_with_fence | 719 | of the same launch",
            })
    void isFoundInEveryOrderAndItsFixedTwinPasses(String buggy, String fixed, int code, String words) {
        for (Order order : Order.values()) {
            for (long seed = 1; seed <= (order == Order.RANDOM ? 3 : 1); seed++) {
                assertEquals(code, run(buggy, order, seed), order + ": " + said);
                assertTrue(said.contains("kernel " + buggy + ", block (") && said.contains(words), said);
                assertEquals(0, run(fixed, order, seed), order + ": " + said);
            }
        }
    }

    @ParameterizedTest
    @EnumSource(Order.class)
    void useAfterFreeNamesTheAllocation(Order order) {
        try (Machine m = new Machine().load("bugs")) {
            CudaSimulator.order(order, 1);
            long in = m.floats(new float[N]), out = m.floats(new float[N]);
            m.ok("cuMemFree_v2", in);
            assertEquals(0, m.launch("inside", 1, N, 4096, Machine.LEGACY, out, in, N));
            assertEquals(700, m.synchronize());
            String error = CudaSimulator.lastError();
            assertTrue(
                    error.contains("after free") && error.contains("freed device allocation #1 of 512 bytes"), error);
        }
    }

    @Test
    void theSourceLineIsNamedWhereAddr2lineIs() {
        assertEquals(700, run("one_past_the_end", Order.FORWARD, 1));
        if (!said.contains("[")) return; // no binutils
        assertTrue(said.contains("bugs.cu:"), said);
    }

    @Test
    void memoryThatNobodyWroteIsNotANumber() {
        try (Machine m = new Machine().load("bugs")) {
            long in = m.alloc(N * 4), out = m.alloc(N * 4);
            assertEquals(0, m.launch("inside", 1, N, 0, Machine.LEGACY, out, in, N));
            for (float x : m.floats(out, N)) assertTrue(Float.isNaN(x));
        }
    }

    @Test
    void withoutChecksTheSameKernelsRun() {
        try (Machine m = new Machine().load("bugs")) {
            CudaSimulator.checks(false);
            long in = m.floats(new float[N]), out = m.floats(new float[N]);
            assertEquals(0, m.launch("missing_second_barrier", 1, N, 4096, Machine.LEGACY, out, in, N));
            assertEquals(0, m.synchronize());
        }
    }
}
