package dev.rheostat.model;

/**
 * Random numbers as a function of (seed, purpose, index): no stream that somebody else may have advanced. The mixing
 * function is SplitMix64's; Steele, Lea and Flood 2014, doi:10.1145/2660193.2660195.
 */
public final class CounterRandom {
    private static final long GOLDEN = 0x9E3779B97F4A7C15L;

    private CounterRandom() {}

    /** The key of one purpose: each character and the seed pass the mixer, so near names have far keys. */
    public static long key(long seed, String purpose) {
        long key = mix(seed + GOLDEN);
        for (int i = 0; i < purpose.length(); i++) key = mix(key ^ (purpose.charAt(i) + GOLDEN * (i + 1)));
        return key;
    }

    /** In (0, 1), 53 bits: the midpoint of its cell, so never 0 and never 1. */
    public static double uniform(long key, long index) {
        return ((mix(key + GOLDEN * (index + 1)) >>> 11) + 0.5) * 0x1.0p-53;
    }

    private static long mix(long z) {
        z = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
        z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
        return z ^ (z >>> 31);
    }
}
