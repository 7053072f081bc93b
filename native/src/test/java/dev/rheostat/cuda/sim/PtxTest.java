package dev.rheostat.cuda.sim;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rheostat.cuda.sim.CudaSimulator.Order;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** PTX in the simulator: what instructions give, and that mistakes are found which only PTX has. */
class PtxTest {
    private static final int N = 128, SHARED_BYTES = 8192, LANES = 32, INVALID_PTX = 218, NO_BINARY_FOR_GPU = 209;
    private static final float[] VALUES = new float[N];

    static {
        for (int i = 0; i < N; i++) VALUES[i] = i;
    }

    private static String said; // by the last run

    private static int run(String kernel, Order order, long seed) {
        try (Machine m = new Machine().load("bugs.ptx")) {
            CudaSimulator.order(order, seed);
            long in = m.floats(VALUES), out = m.floats(new float[N]);
            assertEquals(0, m.launch(kernel, 1, N, SHARED_BYTES, Machine.LEGACY, out, in, N));
            int code = m.synchronize();
            said = CudaSimulator.lastError();
            if (code == 0) assertArrayEquals(VALUES, m.floats(out, N), kernel);
            return code;
        }
    }

    @ParameterizedTest(name = "{0}")
    @CsvSource(
            delimiter = '|',
            value = {
                "missing_proxy_fence          | with_proxy_fence        | 719 | stored without a fence.proxy.async since",
                "proxy_fence_before_store     | proxy_fence_after_store | 719 | stored without a fence.proxy.async since",
                "store_while_copied           | store_after_copy        | 719 | a bulk copy that was not waited for reads",
                "copy_not_waited_for          | copy_waited_for         | 719 | thread (0,0,0): ends while a bulk copy out of sh",
                "misaligned_vector            | aligned_vector          | 716 | an access of 16 bytes at",
                "misaligned_shared_vector     | aligned_shared_vector   | 716 | an access of 8 bytes at byte",
                "one_past_the_end             | inside                  | 700 | thread (127,0,0): write of 4 bytes out of bounds",
                "past_dynamic_shared          | end_of_shared           | 700 | at byte 8192 of the dynamic part (8192 bytes)",
                "past_static_shared           | end_of_shared           | 700 | at byte 508 of small (508 bytes) of shared",
                "missing_barrier              | with_barrier            | 719 | races with",
                "missing_warp_sync            | with_warp_sync          | 719 | races with a write by thread (",
                "refilled_too_soon            | refilled_when_read      | 719 | races with a read by thread (",
                "global_without_barrier       | global_with_barrier     | 719 | of global memory, at 0x",
                "added_without_barrier        | added_with_barrier      | 719 | bytes), races with a",
                "unwritten_shared             | written_shared          | 719 | which no thread of this block has written",
                "lane_misses_shuffle          | lanes_meet_for_shuffle  | 719 | thread (37,0,0)",
                "barrier_in_a_branch          | barrier_for_all         | 719 | a barrier or phase that not all of its threads",
                "named_barrier_of_other_count | named_barrier           | 719 | comes to barrier 3 for",
                "early_async_read             | async_read              | 719 | an asynchronous copy is under way to",
                "copy_to_unfenced_mbarrier    | copy_to_mbarrier        | 719 | whose initialization no fence.mbarrier_init",
                "copy_of_fewer_bytes          | copy_of_all_bytes       | 719 | a barrier or phase that not all of its threads",
                "product_without_proxy_fence  | product                 | 719 | stored without a fence.proxy.async since",
                "product_without_fence        | product                 | 719 | a wgmma without a wgmma.fence before it",
                "product_of_other_matrix      | product                 | 719 | the warps of a warpgroup give a wgmma different",
                "product_touched_after_fence  | product                 | 719 | since its registers were last touched",
                "product_read_early           | product                 | 719 | a register that a wgmma which was not waited for",
            })
    void aMistakeIsFoundInEveryOrderAndItsFixedTwinPasses(String buggy, String fixed, int code, String words) {
        for (Order order : Order.values()) {
            for (long seed = 1; seed <= (order == Order.RANDOM ? 3 : 1); seed++) {
                assertEquals(code, run(buggy, order, seed), order + ": " + said);
                assertTrue(said.contains("kernel " + buggy + ", block (") && said.contains(words), said);
                assertTrue(said.contains(" of the PTX]"), said);
                assertEquals(0, run(fixed, order, seed), order + ": " + said);
            }
        }
    }

    @Test
    void instructionsRoundAsPtxSays() {
        float nan = Float.NaN, least = Float.MIN_VALUE, big = 1.5f;
        float[] a = {1 + 0x1p-12f, nan, 0f, -0f, -130f, 2.5f, 3.5f, 3e9f, 0x1p-130f, 1.00390625f};
        float[] b = {1 - 0x1p-12f, big, -0f, 0f, least, nan, -1f, 1f, 0x1p10f, 1.01171875f};
        float[] c = {-1f, 1f, 1f, 1f, -least, 1f, 0x1p-30f, 1f, -0x1p-120f, 1f};
        try (Machine m = new Machine().load("arithmetic.ptx")) {
            long out = m.floats(new float[8 * LANES]), in = m.floats(padded(a));
            assertEquals(
                    0,
                    m.launch("floats", 1, LANES, 0, Machine.LEGACY, out, in, m.floats(padded(b)), m.floats(padded(c))));
            assertEquals(0, m.synchronize(), CudaSimulator::lastError);
            MemorySegment got = m.read(out, 8 * LANES * 4);
            for (int i = 0; i < a.length; i++) {
                float[] f = got.asSlice(i * 32L, 32).toArray(ValueLayout.JAVA_FLOAT);
                int[] bits = got.asSlice(i * 32L, 32).toArray(ValueLayout.JAVA_INT);
                assertEquals(Math.fma(a[i], b[i], c[i]), f[0], "fma " + i);
                assertEquals(a[i] * b[i] + c[i], f[1], "mul, add " + i);
                assertEquals(
                        Float.isNaN(a[i]) ? b[i] : Float.isNaN(b[i]) ? a[i] : Math.min(a[i], b[i]), f[2], "min " + i);
                assertEquals(
                        Float.isNaN(a[i]) ? b[i] : Float.isNaN(b[i]) ? a[i] : Math.max(a[i], b[i]), f[3], "max " + i);
                double power = Math.pow(2, a[i]);
                double near = Double.isNaN(power) ? 0 : power * 0x1p-22;
                assertEquals(power, f[4], near + least, "ex2 " + i);
                assertEquals(power < Float.MIN_NORMAL ? 0 : power, f[5], near, "ex2.ftz " + i);
                assertEquals(bf16(a[i]) << 16 | bf16(b[i]), bits[6], "bf16x2 " + i);
                assertEquals((int) Math.rint(a[i]), bits[7], "cvt.rni.s32 " + i);
            }
        }
    }

    /** Nearest, ties to even; 7fff is the NaN. */
    private static int bf16(float x) {
        int bits = Float.floatToRawIntBits(x);
        return Float.isNaN(x) ? 0x7fff : (bits + 0x7fff + (bits >>> 16 & 1)) >>> 16;
    }

    private static float[] padded(float[] x) {
        return Arrays.copyOf(x, LANES);
    }

    @Test
    void lanesThatPartMeetAgain() {
        try (Machine m = new Machine().load("arithmetic.ptx")) {
            long out = m.alloc(LANES * 4);
            assertEquals(0, m.launch("lanes_part", 1, LANES, 0, Machine.LEGACY, out));
            assertEquals(0, m.synchronize(), CudaSimulator::lastError);
            int[] expected =
                    IntStream.range(0, LANES).map(i -> i * (i + 1) / 2 + i % 3).toArray();
            assertArrayEquals(expected, m.read(out, LANES * 4).toArray(ValueLayout.JAVA_INT));
        }
    }

    /** Floats at strides: 32 in 4 sectors without conflicts; at even strides lanes meet in a bank, at 33 none do. */
    @ParameterizedTest
    @CsvSource({"1, 4, 0", "2, 8, 1", "8, 32, 7", "32, 32, 31", "33, 32, 0"})
    void launchesAreCounted(int stride, int sectors, int conflicts) {
        try (Machine m = new Machine().load("arithmetic.ptx")) {
            CudaSimulator.set("count.launches", 1);
            long out = m.floats(new float[LANES]), in = m.floats(new float[LANES * stride]);
            assertEquals(0, m.launch("strided", 1, LANES, LANES * stride * 4, Machine.LEGACY, out, in, stride));
            assertEquals(0, m.synchronize(), CudaSimulator::lastError);
            assertEquals(
                    ("[kernel=strided grid=1,1,1 block=32,1,1 warp_instructions=17 lane_instructions=544 global_accesses=2"
                                    + " global_bytes=256 global_sectors=%d shared_accesses=2 shared_passes=%d shared_conflicts=%d"
                                    + " tensor_operations=0]")
                            .formatted(sectors + 4, 2 * (conflicts + 1), 2 * conflicts),
                    CudaSimulator.launchCounts().toString());
        }
    }

    @Test
    void kernelsSayWhatThePtxSays() {
        try (Machine m = new Machine().load("bugs.ptx")) {
            assertEquals(128, m.getInt("cuFuncGetAttribute", 0, m.kernel("inside")));
            long in = m.floats(VALUES);
            assertEquals(1, m.launch("inside", 1, 256, 0, Machine.LEGACY, in, in, N));
            assertTrue(CudaSimulator.lastError().contains("the 128 of its launch bounds"), CudaSimulator.lastError());
        }
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "add.sat.s32 %r1, %r1, 1;            | line 6: the instruction add.sat.s32 is not known",
                "add.s32 %r1, %r2, 1;                | line 6: nothing has the name %r2",
                "add.s64 %r1, %r1, 1;                | line 6: %r1 is not of the size that add.s64 takes",
                "bra NOWHERE;                        | line 6: no label has the name NOWHERE",
                ".local .b8 depot[16];               | line 6: the directive .local is not known",
            })
    void whatIsNotKnownIsRefusedWithItsLine(String line, String words) {
        assertEquals(INVALID_PTX, load("sm_80", line));
        assertTrue(said.contains(words), said);
    }

    @Test
    void aDeviceRefusesCodeForAnother() {
        assertEquals(0, load("sm_80", "ret;"));
        assertEquals(0, load("sm_90a", "ret;"));
        assertEquals(NO_BINARY_FOR_GPU, load("sm_100a", "ret;"));
        assertEquals(NO_BINARY_FOR_GPU, load("sm_120", "ret;"));
    }

    private static int load(String target, String line) {
        String text = ".version 9.0\n.target %s\n.address_size 64\n.visible .entry k()\n{ .reg .b32 %%r1;\n%s\nret; }\n"
                .formatted(target, line);
        try (Machine m = new Machine()) {
            int code = m.call("cuModuleLoadData", m.arena.allocate(8), m.text(text));
            said = CudaSimulator.lastError();
            return code;
        }
    }
}
