package dev.rheostat.cuda;

import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.rheostat.ffi.load.NativeMemory;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.junit.jupiter.api.Test;

class KernelArgsTest {
    private static MemorySegment value(KernelArgs args, int index, long bytes) {
        return NativeMemory.at(args.pointers().getAtIndex(JAVA_LONG, index), bytes);
    }

    @Test
    void eachValueLiesAlignedBehindItsPointer() {
        try (KernelArgs args = new KernelArgs();
                Arena arena = Arena.ofConfined()) {
            MemorySegment struct = arena.allocate(128, 64).fill((byte) 9);
            args.i32(1).f64(2.5).f32(3.5f).ptr(1L << 50).i64(-7).struct(struct, 64);
            assertEquals(6, args.count());
            long first = args.pointers().getAtIndex(JAVA_LONG, 0);
            long[] offsets = {0, 8, 16, 24, 32, 64};
            for (int i = 0; i < offsets.length; i++)
                assertEquals(offsets[i], args.pointers().getAtIndex(JAVA_LONG, i) - first);
            assertEquals(0, first % 128);
            assertEquals(1, value(args, 0, 4).get(JAVA_INT, 0));
            assertEquals(2.5, value(args, 1, 8).get(JAVA_DOUBLE, 0));
            assertEquals(3.5f, value(args, 2, 4).get(JAVA_FLOAT, 0));
            assertEquals(1L << 50, value(args, 3, 8).get(JAVA_LONG, 0));
            assertEquals(-7, value(args, 4, 8).get(JAVA_LONG, 0));
            assertEquals(-1, value(args, 5, 128).mismatch(struct));
        }
    }

    @Test
    void resetStartsAgainInTheSamePlace() {
        try (KernelArgs args = new KernelArgs()) {
            args.i64(1).i64(2);
            long first = args.pointers().getAtIndex(JAVA_LONG, 0);
            args.reset().i64(3);
            assertEquals(1, args.count());
            assertEquals(first, args.pointers().getAtIndex(JAVA_LONG, 0));
            assertEquals(3, value(args, 0, 8).get(JAVA_LONG, 0));
        }
    }

    @Test
    void moreThanAKernelTakesIsRefused() {
        try (KernelArgs args = new KernelArgs();
                Arena arena = Arena.ofConfined()) {
            for (int i = 0; i < 64; i++) args.i32(i);
            assertThrows(IllegalStateException.class, () -> args.i32(64));
            assertEquals(64, args.count());
            MemorySegment large = arena.allocate(4096);
            args.reset().struct(large, 8);
            assertThrows(IllegalStateException.class, () -> args.i32(1));
        }
    }

    @Test
    void launchesThatNoDeviceTakesAreRefused() {
        new LaunchShape(Integer.MAX_VALUE, 65_535, 65_535, 32, 32, 0);
        for (int[] shape : new int[][] {
            {0, 1, 1, 32, 1, 0}, {1, 65_536, 1, 32, 1, 0}, {1, 1, 65_536, 32, 1, 0}, {1, 1, 1, 1025, 1, 0},
            {1, 1, 1, 32, 33, 0}, {1, 1, 1, 0, 1, 0}, {1, 1, 1, 32, 1, -1}, {1, 1, 1, 1 << 16, 1 << 16, 0}
        })
            assertThrows(
                    IllegalArgumentException.class,
                    () -> new LaunchShape(shape[0], shape[1], shape[2], shape[3], shape[4], shape[5]));
        assertThrows(IllegalArgumentException.class, () -> LaunchShape.of(1L << 31, 32));
        assertEquals(new LaunchShape(7, 1, 1, 64, 1, 128), LaunchShape.of(7, 64).withSharedBytes(128));
    }
}
