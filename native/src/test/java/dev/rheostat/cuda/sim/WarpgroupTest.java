package dev.rheostat.cuda.sim;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rheostat.cuda.sim.CudaSimulator.Order;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** Tensor copies, mbarriers and wgmma: hopper.cu's walk gives the products, and each mistake in it is found in every order of threads. */
class WarpgroupTest {
    private static final int TILE = 64 * 64, TILES = 5, SHARED_BYTES = 25 << 10;

    /** Of 0, 1 and -1: sums are exact, and the first product is exact in bf16. */
    private final short[] a = signs(TILE, 1), b = signs(TILES * TILE, 2);

    private float[] out;
    private String said;

    private static short[] signs(int count, long seed) {
        Random random = new Random(seed);
        short[] x = new short[count];
        for (int i = 0; i < count; i++) x[i] = new short[] {0, 0x3f80, (short) 0xbf80}[random.nextInt(3)];
        return x;
    }

    private static int sign(short bf16) {
        return (int) Float.intBitsToFloat(bf16 << 16);
    }

    private int run(String kernel, Order order, long seed) {
        try (Machine m = new Machine().load("hopper")) {
            CudaSimulator.order(order, seed);
            long result = m.floats(new float[TILE]);
            assertEquals(
                    0,
                    m.launch(
                            kernel,
                            1,
                            256,
                            SHARED_BYTES,
                            Machine.LEGACY,
                            result,
                            map(m, m.shorts(a), 64),
                            map(m, m.shorts(b), 64 * TILES),
                            TILES));
            int code = m.synchronize();
            said = CudaSimulator.lastError();
            if (code == 0) out = m.floats(result, TILE);
            return code;
        }
    }

    /** In device memory: of (rows, 64) bf16, boxes of 64 rows. */
    private static long map(Machine m, long address, long rows) {
        MemorySegment map = m.arena.allocate(128, 64);
        m.ok(
                "cuTensorMapEncodeTiled",
                map,
                9,
                2,
                address,
                m.arena.allocateFrom(JAVA_LONG, 64, rows),
                m.arena.allocateFrom(JAVA_LONG, 128),
                m.arena.allocateFrom(JAVA_INT, 64, 64),
                m.arena.allocateFrom(JAVA_INT, 1, 1),
                0,
                3,
                0,
                0);
        long copy = m.alloc(128);
        m.ok("cuMemcpyHtoD_v2", copy, map, 128L);
        return copy;
    }

    /** Tiles of ones, stored by threads that then fence, in place of a copy. */
    @ParameterizedTest
    @EnumSource(Order.class)
    void productsMayReadWhatThreadsStored(Order order) {
        Arrays.fill(a, (short) 0x3f80);
        theWalkGivesTheSumOfProducts("stored_and_fenced", order);
    }

    @ParameterizedTest
    @EnumSource(Order.class)
    void theWalkGivesTheSumOfProducts(Order order) {
        theWalkGivesTheSumOfProducts("right", order);
    }

    private void theWalkGivesTheSumOfProducts(String kernel, Order order) {
        float[] expected = new float[TILE];
        for (int t = 0; t < TILES; t++)
            for (int r = 0; r < 64; r++)
                for (int j = 0; j < 64; j++) {
                    int s = 0;
                    for (int k = 0; k < 64; k++) s += sign(a[r * 64 + k]) * sign(b[(64 * t + j) * 64 + k]);
                    for (int c = 0; c < 64; c++) expected[r * 64 + c] += s * sign(b[(64 * t + j) * 64 + c]);
                }
        assertEquals(0, run(kernel, order, 5), () -> said);
        assertArrayEquals(expected, out);
    }

    @ParameterizedTest(name = "{0}")
    @CsvSource(
            delimiter = '|',
            value = {
                "no_wait_for_copy        | read of 16 bytes of shared memory",
                "no_fence                | without a wgmma.fence",
                "place_given_back_early  | of shared memory",
                "place_not_waited_for    | of shared memory",
                "too_many_bytes_expected | wait at an mbarrier",
                "stored_by_hand          | which an ordinary store wrote with no fence.proxy.async since",
                "tile_not_aligned        | to byte 128, which is no multiple of 1024",
                "product_left_under_way  | ends while a wgmma of its warp is under way",
                "copy_left_under_way     | the block ends while a tensor copy is under way to byte"
            })
    void aMistakeIsFoundInEveryOrder(String kernel, String words) {
        for (Order order : Order.values())
            for (long seed = 1; seed <= (order == Order.RANDOM ? 3 : 1); seed++) {
                assertEquals(719, run(kernel, order, seed), order + ": " + said);
                assertTrue(
                        said.contains("kernel " + kernel + ", block (") && said.contains(words), order + ": " + said);
            }
    }

    /** No access of memory tells that a product's registers were read too early; they hold no number until its wait. */
    @ParameterizedTest
    @EnumSource(Order.class)
    void aProductThatWasNotWaitedForIsNotANumber(Order order) {
        assertEquals(0, run("no_wait_for_product", order, 1), () -> said);
        for (float x : out) assertTrue(Float.isNaN(x));
    }
}
