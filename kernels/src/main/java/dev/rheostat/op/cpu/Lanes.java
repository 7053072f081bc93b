package dev.rheostat.op.cpu;

import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShuffle;
import jdk.incubator.vector.VectorSpecies;

/**
 * What the vector kernels are made of. Everything here has the same bits whether the JVM interprets or has compiled it,
 * because a resumed run meets its first steps interpreted: so no {@code reduceLanes} of a sum, whose order is not
 * specified, and no {@code lanewise(EXP)}, which is one library when interpreted and another when compiled.
 */
final class Lanes {
    static final VectorSpecies<Float> SPECIES = FloatVector.SPECIES_PREFERRED;
    static final int WIDTH = SPECIES.length();

    private static final VectorShuffle<Float> ROTATE_8 = rotation(8);
    private static final VectorShuffle<Float> ROTATE_4 = rotation(4);
    private static final VectorShuffle<Float> ROTATE_2 = rotation(2);
    private static final VectorShuffle<Float> ROTATE_1 = rotation(1);

    /** exp saturates above and is zero below: e^88.3 and e^-87.3 are the last whole powers of two in range. */
    private static final float EXP_HIGH = 88.3f, EXP_LOW = -87.3f;

    /** Adding and taking away 1.5 * 2^23 rounds to an integer, which is then in the low bits. */
    private static final float ROUNDER = 12582912f;

    private static final float LOG2_E = 1.44269504f;
    /** ln 2 as a float of few bits and the rest, so that n ln2 is exact enough to cancel. Cephes expf, as the polynomial. */
    private static final float LN2_HIGH = 0.693359375f, LN2_LOW = -2.12194440e-4f;

    private Lanes() {}

    private static VectorShuffle<Float> rotation(int by) {
        return VectorShuffle.iota(SPECIES, by % WIDTH, 1, true);
    }

    /** Elements from a flat index on. */
    static FloatVector load(MemorySegment x, long index) {
        return FloatVector.fromMemorySegment(SPECIES, x, 4 * index, ByteOrder.nativeOrder());
    }

    /** Elements from a flat index on; lanes that the mask leaves out are 0 and their memory is not touched. */
    static FloatVector load(MemorySegment x, long index, VectorMask<Float> mask) {
        return FloatVector.fromMemorySegment(SPECIES, x, 4 * index, ByteOrder.nativeOrder(), mask);
    }

    static void store(FloatVector v, MemorySegment x, long index) {
        v.intoMemorySegment(x, 4 * index, ByteOrder.nativeOrder());
    }

    static void store(FloatVector v, MemorySegment x, long index, VectorMask<Float> mask) {
        v.intoMemorySegment(x, 4 * index, ByteOrder.nativeOrder(), mask);
    }

    /** The lanes that lie below {@code end} when the first is element {@code index}. */
    static VectorMask<Float> below(long index, long end) {
        return SPECIES.indexInRange(index, end);
    }

    /** The first of the last, incomplete vector of n elements. */
    static long bound(long n) {
        return n - n % WIDTH;
    }

    static FloatVector zero() {
        return FloatVector.zero(SPECIES);
    }

    static FloatVector broadcast(float value) {
        return FloatVector.broadcast(SPECIES, value);
    }

    /** Sum of the lanes: neighbours at half the distance each time. */
    static float sum(FloatVector v) {
        if (WIDTH > 8) v = v.add(v.rearrange(ROTATE_8));
        if (WIDTH > 4) v = v.add(v.rearrange(ROTATE_4));
        if (WIDTH > 2) v = v.add(v.rearrange(ROTATE_2));
        return v.add(v.rearrange(ROTATE_1)).lane(0);
    }

    /** The larger of each lane; a NaN in {@code b} is passed over, so that it shows in the sum that follows. */
    static FloatVector larger(FloatVector a, FloatVector b) {
        return a.blend(b, b.compare(VectorOperators.GT, a));
    }

    static float largest(FloatVector v) {
        if (WIDTH > 8) v = larger(v, v.rearrange(ROTATE_8));
        if (WIDTH > 4) v = larger(v, v.rearrange(ROTATE_4));
        if (WIDTH > 2) v = larger(v, v.rearrange(ROTATE_2));
        return larger(v, v.rearrange(ROTATE_1)).lane(0);
    }

    /**
     * e^x, off by at most 2 units in the last place on [-87.3, 88.3]; 0 below, e^88.3 above, NaN for NaN.
     * x = n ln2 + r, then a polynomial in r and n added to the exponent. It calls the Vector API alone and no helper of
     * ours: past some thousand nodes C2 inlines only methods that the JDK marks, and a vector that crosses a call is boxed.
     */
    static FloatVector exp(FloatVector x) {
        FloatVector in = x.blend(EXP_HIGH, x.compare(VectorOperators.GT, EXP_HIGH));
        VectorMask<Float> tiny = in.compare(VectorOperators.LT, EXP_LOW);
        FloatVector shifted = in.lanewise(VectorOperators.FMA, LOG2_E, ROUNDER);
        FloatVector n = shifted.sub(ROUNDER);
        FloatVector r = n.lanewise(VectorOperators.FMA, FloatVector.broadcast(SPECIES, -LN2_HIGH), in);
        r = n.lanewise(VectorOperators.FMA, FloatVector.broadcast(SPECIES, -LN2_LOW), r);
        FloatVector p = r.lanewise(VectorOperators.FMA, 1.9875691500e-4f, 1.3981999507e-3f);
        p = p.lanewise(VectorOperators.FMA, r, 8.3334519073e-3f);
        p = p.lanewise(VectorOperators.FMA, r, 4.1665795894e-2f);
        p = p.lanewise(VectorOperators.FMA, r, 1.6666665459e-1f);
        p = p.lanewise(VectorOperators.FMA, r, 5.0000001201e-1f);
        p = p.fma(r.mul(r), r).add(1f);
        FloatVector scaled = p.reinterpretAsInts()
                .add(shifted.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23))
                .reinterpretAsFloats();
        return scaled.blend(0f, tiny);
    }

    /** 1 / (1 + e^-x). */
    static FloatVector sigmoid(FloatVector x) {
        return FloatVector.broadcast(SPECIES, 1f).div(exp(x.neg()).add(1f));
    }
}
