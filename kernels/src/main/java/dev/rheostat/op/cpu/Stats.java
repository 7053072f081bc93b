package dev.rheostat.op.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import java.lang.foreign.MemorySegment;

/** Pairs of mean and 1/deviation, as the norms keep them for backward. */
final class Stats {
    private Stats() {}

    static float mean(MemorySegment stats, long row) {
        return stats.getAtIndex(JAVA_FLOAT, 2 * row);
    }

    static float rdev(MemorySegment stats, long row) {
        return stats.getAtIndex(JAVA_FLOAT, 2 * row + 1);
    }

    static void set(MemorySegment stats, long row, float mean, float rdev) {
        stats.setAtIndex(JAVA_FLOAT, 2 * row, mean);
        stats.setAtIndex(JAVA_FLOAT, 2 * row + 1, rdev);
    }
}
