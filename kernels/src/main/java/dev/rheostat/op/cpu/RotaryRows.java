package dev.rheostat.op.cpu;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorShuffle;

/** Passes over one head of n elements, n even, that starts at a flat index of its own in each tensor. */
final class RotaryRows {
    /** Each lane's neighbour in its pair. Whole vectors hold whole pairs, since widths are even. */
    private static final VectorShuffle<Float> NEIGHBOUR = VectorShuffle.fromOp(Lanes.SPECIES, lane -> lane ^ 1);

    private RotaryRows() {}

    /** y = (x - mean) rdev gain. */
    static void normalise(
            MemorySegment y,
            long yStart,
            MemorySegment x,
            long xStart,
            MemorySegment gain,
            int n,
            float mean,
            float rdev) {
        int whole = (int) Lanes.bound(n), i = 0;
        for (; i < whole; i += Lanes.WIDTH)
            Lanes.store(Lanes.load(x, xStart + i).sub(mean).mul(rdev).mul(Lanes.load(gain, i)), y, yStart + i);
        if (i < n) {
            VectorMask<Float> mask = Lanes.below(i, n);
            FloatVector normed = Lanes.load(x, xStart + i, mask).sub(mean).mul(rdev);
            Lanes.store(normed.mul(Lanes.load(gain, i, mask)), y, yStart + i, mask);
        }
    }

    /** y = x turned by the table's angles; y may be x. */
    static void turn(
            MemorySegment y,
            long yStart,
            MemorySegment x,
            long xStart,
            MemorySegment cos,
            MemorySegment sin,
            long table,
            int n) {
        int whole = (int) Lanes.bound(n), i = 0;
        for (; i < whole; i += Lanes.WIDTH) {
            FloatVector v = Lanes.load(x, xStart + i), crossed = v.rearrange(NEIGHBOUR);
            FloatVector turned = v.mul(Lanes.load(cos, table + i)).add(crossed.mul(Lanes.load(sin, table + i)));
            Lanes.store(turned, y, yStart + i);
        }
        if (i < n) {
            VectorMask<Float> mask = Lanes.below(i, n);
            FloatVector v = Lanes.load(x, xStart + i, mask), crossed = v.rearrange(NEIGHBOUR);
            crossed = crossed.mul(Lanes.load(sin, table + i, mask));
            Lanes.store(v.mul(Lanes.load(cos, table + i, mask)).add(crossed), y, yStart + i, mask);
        }
    }

    /** y = x turned by minus the table's angles. */
    static void turnBack(
            MemorySegment y,
            long yStart,
            MemorySegment x,
            long xStart,
            MemorySegment cos,
            MemorySegment sin,
            long table,
            int n) {
        int whole = (int) Lanes.bound(n), i = 0;
        for (; i < whole; i += Lanes.WIDTH) {
            FloatVector v = Lanes.load(x, xStart + i), crossed = v.rearrange(NEIGHBOUR);
            FloatVector turned = v.mul(Lanes.load(cos, table + i)).sub(crossed.mul(Lanes.load(sin, table + i)));
            Lanes.store(turned, y, yStart + i);
        }
        if (i < n) {
            VectorMask<Float> mask = Lanes.below(i, n);
            FloatVector v = Lanes.load(x, xStart + i, mask), crossed = v.rearrange(NEIGHBOUR);
            crossed = crossed.mul(Lanes.load(sin, table + i, mask));
            Lanes.store(v.mul(Lanes.load(cos, table + i, mask)).sub(crossed), y, yStart + i, mask);
        }
    }

    /** sum += dy (x - mean) rdev, element by element. */
    static void addProducts(
            MemorySegment sum,
            long sumStart,
            MemorySegment dy,
            MemorySegment x,
            long start,
            int n,
            float mean,
            float rdev) {
        int whole = (int) Lanes.bound(n), i = 0;
        for (; i < whole; i += Lanes.WIDTH) {
            FloatVector normed = Lanes.load(x, start + i).sub(mean).mul(rdev);
            Lanes.store(normed.fma(Lanes.load(dy, start + i), Lanes.load(sum, sumStart + i)), sum, sumStart + i);
        }
        if (i < n) {
            VectorMask<Float> mask = Lanes.below(i, n);
            FloatVector normed = Lanes.load(x, start + i, mask).sub(mean).mul(rdev);
            FloatVector total = normed.fma(Lanes.load(dy, start + i, mask), Lanes.load(sum, sumStart + i, mask));
            Lanes.store(total, sum, sumStart + i, mask);
        }
    }
}
