package dev.rheostat.op.cpu;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;

/** Passes over one row of scores, each a loop that the compiler keeps in vector registers. */
final class CpuSoftmaxRow {
    private CpuSoftmaxRow() {}

    /** Largest of n elements; a NaN is passed over. */
    static float max(MemorySegment x, long start, int n) {
        int whole = (int) Lanes.bound(n), i = 0;
        FloatVector a = Lanes.broadcast(Float.NEGATIVE_INFINITY), b = a, c = a, d = a;
        for (; i < whole - 3 * Lanes.WIDTH; i += 4 * Lanes.WIDTH) {
            a = Lanes.larger(a, Lanes.load(x, start + i));
            b = Lanes.larger(b, Lanes.load(x, start + i + Lanes.WIDTH));
            c = Lanes.larger(c, Lanes.load(x, start + i + 2 * Lanes.WIDTH));
            d = Lanes.larger(d, Lanes.load(x, start + i + 3 * Lanes.WIDTH));
        }
        for (; i < whole; i += Lanes.WIDTH) a = Lanes.larger(a, Lanes.load(x, start + i));
        if (i < n) {
            VectorMask<Float> mask = Lanes.below(i, n);
            b = b.blend(Lanes.larger(b, Lanes.load(x, start + i, mask)), mask);
        }
        return Lanes.largest(Lanes.larger(Lanes.larger(a, b), Lanes.larger(c, d)));
    }

    /** x = exp(x - max) over n elements, in place. @return their sum */
    static float exp(MemorySegment x, long start, int n, float max) {
        int whole = (int) Lanes.bound(n), i = 0;
        FloatVector sum = Lanes.zero();
        for (; i < whole; i += Lanes.WIDTH) {
            FloatVector e = Lanes.exp(Lanes.load(x, start + i).sub(max));
            Lanes.store(e, x, start + i);
            sum = sum.add(e);
        }
        if (i < n) {
            VectorMask<Float> mask = Lanes.below(i, n);
            FloatVector e = Lanes.exp(Lanes.load(x, start + i, mask).sub(max));
            Lanes.store(e, x, start + i, mask);
            sum = sum.add(e, mask);
        }
        return Lanes.sum(sum);
    }

    /** Sum of exp(x - max) over n elements, which stay as they are. */
    static float expSum(MemorySegment x, long start, int n, float max) {
        int whole = (int) Lanes.bound(n), i = 0;
        FloatVector sum = Lanes.zero();
        for (; i < whole; i += Lanes.WIDTH)
            sum = sum.add(Lanes.exp(Lanes.load(x, start + i).sub(max)));
        if (i < n) {
            VectorMask<Float> mask = Lanes.below(i, n);
            sum = sum.add(Lanes.exp(Lanes.load(x, start + i, mask).sub(max)), mask);
        }
        return Lanes.sum(sum);
    }

    /** x *= factor over n elements. */
    static void scale(MemorySegment x, long start, int n, float factor) {
        int whole = (int) Lanes.bound(n), i = 0;
        for (; i < whole; i += Lanes.WIDTH) Lanes.store(Lanes.load(x, start + i).mul(factor), x, start + i);
        if (i < n) {
            VectorMask<Float> mask = Lanes.below(i, n);
            Lanes.store(Lanes.load(x, start + i, mask).mul(factor), x, start + i, mask);
        }
    }
}
