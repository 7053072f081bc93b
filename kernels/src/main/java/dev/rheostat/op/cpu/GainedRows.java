package dev.rheostat.op.cpu;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;

/** Passes of {@link Rows} in which the gradient is multiplied by a vector of n gains: g = dy gain. */
final class GainedRows {
    private GainedRows() {}

    /** Sum of g. */
    static float sum(MemorySegment dy, MemorySegment gain, long start, int n) {
        int whole = (int) Lanes.bound(n), i = 0;
        FloatVector sum = Lanes.zero();
        for (; i < whole; i += Lanes.WIDTH) sum = Lanes.load(dy, start + i).fma(Lanes.load(gain, i), sum);
        if (i < n) {
            VectorMask<Float> mask = Lanes.below(i, n);
            sum = Lanes.load(dy, start + i, mask).fma(Lanes.load(gain, i, mask), sum);
        }
        return Lanes.sum(sum);
    }

    /** Sum of g (x - mean). */
    static float dot(MemorySegment dy, MemorySegment gain, MemorySegment x, long start, int n, float mean) {
        int whole = (int) Lanes.bound(n), i = 0;
        FloatVector sum = Lanes.zero();
        for (; i < whole; i += Lanes.WIDTH) {
            FloatVector g = Lanes.load(dy, start + i).mul(Lanes.load(gain, i));
            sum = g.fma(Lanes.load(x, start + i).sub(mean), sum);
        }
        if (i < n) {
            VectorMask<Float> mask = Lanes.below(i, n);
            FloatVector g = Lanes.load(dy, start + i, mask).mul(Lanes.load(gain, i, mask));
            sum = g.fma(Lanes.load(x, start + i, mask).sub(mean), sum);
        }
        return Lanes.sum(sum);
    }

    /** dx += rdev (g - meanG) - slope (x - mean). */
    static void addNormGradient(
            MemorySegment dx,
            MemorySegment dy,
            MemorySegment gain,
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
            FloatVector g = Lanes.load(dy, start + i).mul(Lanes.load(gain, i)).sub(meanG);
            FloatVector d = g.fma(rise, Lanes.load(dx, start + i));
            Lanes.store(Lanes.load(x, start + i).sub(mean).fma(fall, d), dx, start + i);
        }
        if (i < n) {
            VectorMask<Float> mask = Lanes.below(i, n);
            FloatVector g = Lanes.load(dy, start + i, mask)
                    .mul(Lanes.load(gain, i, mask))
                    .sub(meanG);
            FloatVector d = g.fma(rise, Lanes.load(dx, start + i, mask));
            Lanes.store(Lanes.load(x, start + i, mask).sub(mean).fma(fall, d), dx, start + i, mask);
        }
    }

    /** dy becomes rdev (g - meanG) - slope (x - mean). */
    static void toNormGradient(
            MemorySegment dy,
            MemorySegment gain,
            MemorySegment x,
            long start,
            int n,
            float mean,
            float rdev,
            float meanG,
            float slope) {
        int whole = (int) Lanes.bound(n), i = 0;
        FloatVector fall = Lanes.broadcast(-slope);
        for (; i < whole; i += Lanes.WIDTH) {
            FloatVector g = Lanes.load(dy, start + i)
                    .mul(Lanes.load(gain, i))
                    .sub(meanG)
                    .mul(rdev);
            Lanes.store(Lanes.load(x, start + i).sub(mean).fma(fall, g), dy, start + i);
        }
        if (i < n) {
            VectorMask<Float> mask = Lanes.below(i, n);
            FloatVector g = Lanes.load(dy, start + i, mask)
                    .mul(Lanes.load(gain, i, mask))
                    .sub(meanG)
                    .mul(rdev);
            Lanes.store(Lanes.load(x, start + i, mask).sub(mean).fma(fall, g), dy, start + i, mask);
        }
    }
}
