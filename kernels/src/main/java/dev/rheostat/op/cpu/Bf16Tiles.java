package dev.rheostat.op.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import dev.rheostat.ffi.OneDnn;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import java.util.HashMap;
import java.util.Map;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/**
 * Products of f32 matrices rounded to bf16, summed in f32: both operands are rounded once into scratch of our own, then
 * each tile is one call of oneDNN's matmul. The library can round by itself (fpmath mode bf16), but does so for every
 * tile and, on processors without AMX, no faster than f32: measured 110 GFLOP/s a step against 178 of f32 on Zen 4.
 *
 * <p>The scratch grows to the largest operands that a product had, so it is all there after the first step; it comes on
 * top of the memory plan. Compiled products are kept, one for each shape and worker. One product at a time.
 */
final class Bf16Tiles {
    private record Key(
            boolean transA, boolean transB, int M, int N, int K, int lda, int ldb, int ldc, boolean accumulate) {}

    private static final VectorSpecies<Integer> INTS = IntVector.SPECIES_PREFERRED;
    private static final VectorSpecies<Short> SHORTS =
            VectorSpecies.of(short.class, VectorShape.forBitSize(INTS.vectorBitSize() / 2));
    private static final ByteOrder ORDER = ByteOrder.nativeOrder();

    /** A NaN stays one: its payload must not carry into the exponent. */
    private static final int NAN = 0x7fc0;

    private final Arena arena;
    private final Map<Key, OneDnn.Bf16Matmul>[] compiled;
    private MemorySegment a = MemorySegment.NULL;
    private MemorySegment b = MemorySegment.NULL;

    /** @param arena owns the scratch */
    @SuppressWarnings({"unchecked", "rawtypes"}) // an array of maps, one a worker
    Bf16Tiles(Arena arena, int workers) {
        this.arena = arena;
        compiled = new Map[workers];
        for (int i = 0; i < workers; i++) compiled[i] = new HashMap<>();
    }

    /** Takes the operands of the tiles that follow. */
    void round(WorkerPool pool, MemorySegment a, long aElements, MemorySegment b, long bElements) {
        this.a = atLeast(this.a, aElements);
        this.b = atLeast(this.b, bElements);
        MemorySegment roundedA = this.a, roundedB = this.b;
        Parts.run(pool, aElements, (from, to, worker) -> round(a, roundedA, from, to));
        Parts.run(pool, bElements, (from, to, worker) -> round(b, roundedB, from, to));
    }

    private MemorySegment atLeast(MemorySegment scratch, long elements) {
        long bytes = elements * JAVA_SHORT.byteSize();
        return scratch.byteSize() >= bytes ? scratch : arena.allocate(bytes, 64);
    }

    /** To the nearest, ties to even, as the processor's own conversion does. */
    static void round(MemorySegment x, MemorySegment rounded, long from, long to) {
        long i = from;
        for (; i + INTS.length() <= to; i += INTS.length()) {
            FloatVector value = FloatVector.fromMemorySegment(Lanes.SPECIES, x, 4 * i, ORDER);
            VectorMask<Integer> nan = value.test(VectorOperators.IS_NAN).cast(INTS);
            IntVector bits = value.reinterpretAsInts();
            IntVector odd = bits.lanewise(VectorOperators.LSHR, 16).and(1);
            IntVector top =
                    bits.add(odd).add(0x7fff).lanewise(VectorOperators.LSHR, 16).blend(NAN, nan);
            ((ShortVector) top.convertShape(VectorOperators.I2S, SHORTS, 0)).intoMemorySegment(rounded, 2 * i, ORDER);
        }
        for (; i < to; i++) rounded.setAtIndex(JAVA_SHORT, i, round(x.getAtIndex(JAVA_FLOAT, i)));
    }

    private static short round(float x) {
        int bits = Float.floatToRawIntBits(x);
        return (short) (Float.isNaN(x) ? NAN : bits + (bits >>> 16 & 1) + 0x7fff >>> 16);
    }

    /** C tile = op(A) op(B) (+ C) from the rounded operands; indices and leading dimensions in elements. */
    void multiply(
            boolean transA,
            boolean transB,
            int M,
            int N,
            int K,
            long aIndex,
            int lda,
            long bIndex,
            int ldb,
            boolean accumulate,
            MemorySegment c,
            long cIndex,
            int ldc,
            int worker) {
        Key key = new Key(transA, transB, M, N, K, lda, ldb, ldc, accumulate);
        OneDnn.Bf16Matmul matmul = compiled[worker].get(key);
        if (matmul == null) {
            matmul = new OneDnn.Bf16Matmul(transA, transB, M, N, K, lda, ldb, ldc, accumulate);
            compiled[worker].put(key, matmul);
        }
        matmul.run(a.address() + 2 * aIndex, b.address() + 2 * bIndex, c.address() + 4 * cIndex);
    }
}
