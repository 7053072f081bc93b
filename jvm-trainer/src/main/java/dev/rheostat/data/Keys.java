package dev.rheostat.data;

/**
 * Random numbers as a function of (seed, purpose, index): nobody can advance somebody else's stream, and any element is
 * there without those before it. The mixing function is SplitMix64's finaliser; Steele, Lea and Flood 2014.
 */
final class Keys {
    /** What a number is drawn for; part of its key. */
    enum Purpose {
        WINDOW_ORDER,
        BATCH_ORDER,
        DOMAIN_DRAW
    }

    private Keys() {}

    static long key(long seed, Purpose purpose, long a, long b) {
        return mix(mix(mix(mix(seed) + purpose.ordinal() + 1) + a) + b);
    }

    static long mix(long x) {
        x += 0x9E3779B97F4A7C15L;
        x = (x ^ (x >>> 30)) * 0xBF58476D1CE4E5B9L;
        x = (x ^ (x >>> 27)) * 0x94D049BB133111EBL;
        return x ^ (x >>> 31);
    }

    /** In [0, 1), 53 bits. */
    static double unit(long key) {
        return (mix(key) >>> 11) * 0x1p-53;
    }
}
