package dev.rheostat.op.cpu;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;

/** Passes of a softmax over one row of n scores that starts at flat index {@code start}; kept apart as {@link Rows} are. */
final class SoftmaxRows {
    private SoftmaxRows() {}

    /** The largest; a NaN is passed over. */
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

    /** x = e^(factor (x - max)), in place. @return their sum */
    static float exp(MemorySegment x, long start, int n, float max, float factor) {
        int whole = (int) Lanes.bound(n), i = 0;
        FloatVector sum = Lanes.zero();
        for (; i < whole; i += Lanes.WIDTH) {
            FloatVector e = Lanes.exp(Lanes.load(x, start + i).sub(max).mul(factor));
            Lanes.store(e, x, start + i);
            sum = sum.add(e);
        }
        if (i < n) {
            VectorMask<Float> mask = Lanes.below(i, n);
            FloatVector e = Lanes.exp(Lanes.load(x, start + i, mask).sub(max).mul(factor));
            Lanes.store(e, x, start + i, mask);
            sum = sum.add(e, mask);
        }
        return Lanes.sum(sum);
    }

    /** Sum of e^(factor (x - max)); x stays as it is. */
    static float expSum(MemorySegment x, long start, int n, float max, float factor) {
        int whole = (int) Lanes.bound(n), i = 0;
        FloatVector sum = Lanes.zero();
        for (; i < whole; i += Lanes.WIDTH)
            sum = sum.add(Lanes.exp(Lanes.load(x, start + i).sub(max).mul(factor)));
        if (i < n) {
            VectorMask<Float> mask = Lanes.below(i, n);
            sum = sum.add(Lanes.exp(Lanes.load(x, start + i, mask).sub(max).mul(factor)), mask);
        }
        return Lanes.sum(sum);
    }

    /**
     * p = e^(factor s - lse) and dScore = factor p (dp - mean), given scores s in p's place and dp in dScore's.
     */
    static void backward(
            MemorySegment p, MemorySegment dScore, long start, int n, float factor, float lse, float mean) {
        int whole = (int) Lanes.bound(n), i = 0;
        for (; i < whole; i += Lanes.WIDTH) {
            FloatVector e = Lanes.exp(Lanes.load(p, start + i).mul(factor).sub(lse));
            Lanes.store(e, p, start + i);
            Lanes.store(Lanes.load(dScore, start + i).sub(mean).mul(factor).mul(e), dScore, start + i);
        }
        if (i < n) {
            VectorMask<Float> mask = Lanes.below(i, n);
            FloatVector e = Lanes.exp(Lanes.load(p, start + i, mask).mul(factor).sub(lse));
            Lanes.store(e, p, start + i, mask);
            Lanes.store(
                    Lanes.load(dScore, start + i, mask).sub(mean).mul(factor).mul(e), dScore, start + i, mask);
        }
    }
}
