package dev.rheostat.op.cpu;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;

/**
 * Passes over one row of n elements that starts at flat index {@code start}. Each is a loop over whole vectors and a
 * masked rest; kept apart, because only a small method is compiled without boxing vectors (see {@link Lanes#exp}).
 */
final class Rows {
    private Rows() {}

    /** Sum of x. */
    static float sum(MemorySegment x, long start, int n) {
        int whole = (int) Lanes.bound(n), i = 0;
        FloatVector sum = Lanes.zero();
        for (; i < whole; i += Lanes.WIDTH) sum = sum.add(Lanes.load(x, start + i));
        if (i < n) sum = sum.add(Lanes.load(x, start + i, Lanes.below(i, n)));
        return Lanes.sum(sum);
    }

    /** Sum of (x - mean)^2. */
    static float squares(MemorySegment x, long start, int n, float mean) {
        int whole = (int) Lanes.bound(n), i = 0;
        FloatVector sum = Lanes.zero();
        for (; i < whole; i += Lanes.WIDTH) {
            FloatVector d = Lanes.load(x, start + i).sub(mean);
            sum = d.fma(d, sum);
        }
        if (i < n) {
            VectorMask<Float> mask = Lanes.below(i, n);
            FloatVector d = Lanes.load(x, start + i, mask).sub(mean);
            sum = sum.add(d.mul(d), mask);
        }
        return Lanes.sum(sum);
    }

    /** Sum of y (x - mean). */
    static float dot(MemorySegment y, MemorySegment x, long start, int n, float mean) {
        int whole = (int) Lanes.bound(n), i = 0;
        FloatVector sum = Lanes.zero();
        for (; i < whole; i += Lanes.WIDTH)
            sum = Lanes.load(y, start + i).fma(Lanes.load(x, start + i).sub(mean), sum);
        if (i < n) {
            VectorMask<Float> mask = Lanes.below(i, n);
            sum = Lanes.load(y, start + i, mask)
                    .fma(Lanes.load(x, start + i, mask).sub(mean), sum);
        }
        return Lanes.sum(sum);
    }

    /** sum = a + b; any two may be the same memory. */
    static void sum(MemorySegment sum, MemorySegment a, MemorySegment b, long start, int n) {
        int whole = (int) Lanes.bound(n), i = 0;
        for (; i < whole; i += Lanes.WIDTH)
            Lanes.store(Lanes.load(a, start + i).add(Lanes.load(b, start + i)), sum, start + i);
        if (i < n) {
            VectorMask<Float> mask = Lanes.below(i, n);
            Lanes.store(Lanes.load(a, start + i, mask).add(Lanes.load(b, start + i, mask)), sum, start + i, mask);
        }
    }

    /** y = (x - mean) rdev. */
    static void normalise(MemorySegment y, MemorySegment x, long start, int n, float mean, float rdev) {
        int whole = (int) Lanes.bound(n), i = 0;
        for (; i < whole; i += Lanes.WIDTH)
            Lanes.store(Lanes.load(x, start + i).sub(mean).mul(rdev), y, start + i);
        if (i < n) {
            VectorMask<Float> mask = Lanes.below(i, n);
            Lanes.store(Lanes.load(x, start + i, mask).sub(mean).mul(rdev), y, start + i, mask);
        }
    }

    /** y *= factor; the factors are a vector of n. */
    static void multiply(MemorySegment y, MemorySegment factor, long start, int n) {
        int whole = (int) Lanes.bound(n), i = 0;
        for (; i < whole; i += Lanes.WIDTH)
            Lanes.store(Lanes.load(y, start + i).mul(Lanes.load(factor, i)), y, start + i);
        if (i < n) {
            VectorMask<Float> mask = Lanes.below(i, n);
            Lanes.store(Lanes.load(y, start + i, mask).mul(Lanes.load(factor, i, mask)), y, start + i, mask);
        }
    }

    /** y += summand; the summands are a vector of n. */
    static void add(MemorySegment y, MemorySegment summand, long start, int n) {
        int whole = (int) Lanes.bound(n), i = 0;
        for (; i < whole; i += Lanes.WIDTH)
            Lanes.store(Lanes.load(y, start + i).add(Lanes.load(summand, i)), y, start + i);
        if (i < n) {
            VectorMask<Float> mask = Lanes.below(i, n);
            Lanes.store(Lanes.load(y, start + i, mask).add(Lanes.load(summand, i, mask)), y, start + i, mask);
        }
    }

    /** dx += rdev (dy - meanG) - slope (x - mean). */
    static void addNormGradient(
            MemorySegment dx,
            MemorySegment dy,
            MemorySegment x,
            long start,
            int n,
            float mean,
            float rdev,
            float meanG,
            float slope) {
        int whole = (int) Lanes.bound(n), i = 0;
        FloatVector rise = Lanes.broadcast(rdev), fall = Lanes.broadcast(-slope);
        for (; i < whole; i += Lanes.WIDTH) {
            FloatVector d = Lanes.load(dy, start + i).sub(meanG).fma(rise, Lanes.load(dx, start + i));
            Lanes.store(Lanes.load(x, start + i).sub(mean).fma(fall, d), dx, start + i);
        }
        if (i < n) {
            VectorMask<Float> mask = Lanes.below(i, n);
            FloatVector d = Lanes.load(dy, start + i, mask).sub(meanG).fma(rise, Lanes.load(dx, start + i, mask));
            Lanes.store(Lanes.load(x, start + i, mask).sub(mean).fma(fall, d), dx, start + i, mask);
        }
    }

    /** x *= factor. */
    static void scale(MemorySegment x, long start, int n, float factor) {
        int whole = (int) Lanes.bound(n), i = 0;
        for (; i < whole; i += Lanes.WIDTH) Lanes.store(Lanes.load(x, start + i).mul(factor), x, start + i);
        if (i < n) {
            VectorMask<Float> mask = Lanes.below(i, n);
            Lanes.store(Lanes.load(x, start + i, mask).mul(factor), x, start + i, mask);
        }
    }

    static void zero(MemorySegment x, long start, long n) {
        if (n > 0) x.asSlice(4 * start, 4 * n).fill((byte) 0);
    }
}
