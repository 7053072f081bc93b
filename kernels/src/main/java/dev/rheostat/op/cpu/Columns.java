package dev.rheostat.op.cpu;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;

/** Sums down the columns of (R, C), one vector of columns from c on, rows in order. */
final class Columns {
    private Columns() {}

    /** sum[c] += sum_r y[r,c]. */
    static void add(MemorySegment sum, MemorySegment y, long R, int C, int c) {
        VectorMask<Float> mask = Lanes.below(c, C);
        FloatVector total = Lanes.zero();
        for (long r = 0; r < R; r++) total = total.add(Lanes.load(y, r * C + c, mask));
        Lanes.store(Lanes.load(sum, c, mask).add(total), sum, c, mask);
    }

    /** sum[c] += sum_r y[r,c] (x[r,c] - mean[r]) rdev[r]. */
    static void addProducts(
            MemorySegment sum, MemorySegment y, MemorySegment x, MemorySegment stats, long R, int C, int c) {
        VectorMask<Float> mask = Lanes.below(c, C);
        FloatVector total = Lanes.zero();
        for (long r = 0; r < R; r++) {
            FloatVector n =
                    Lanes.load(x, r * C + c, mask).sub(Stats.mean(stats, r)).mul(Stats.rdev(stats, r));
            total = n.fma(Lanes.load(y, r * C + c, mask), total);
        }
        Lanes.store(Lanes.load(sum, c, mask).add(total), sum, c, mask);
    }
}
