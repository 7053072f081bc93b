package dev.rheostat.data;

import dev.rheostat.data.Keys.Purpose;

/**
 * A keyed order of the windows 0 to n-1: a Feistel network over the smallest even number of bits that holds n - 1, walked along
 * its cycles until it lands below n (fewer than four steps on average). No memory, random access, any n from 1 on.
 * Black and Rogaway 2002, "Ciphers with arbitrary finite domains".
 */
final class WindowPermutation {
    /** Four rounds make a strong pseudo-random permutation; Luby and Rackoff 1988. Two more cost nothing here. */
    private static final int ROUNDS = 6;

    private WindowPermutation() {}

    /**
     * @param n windows of the domain, at least 1
     * @param i in [0, n): place in the order
     * @return the window at that place; for fixed (seed, domain, epoch, n) a bijection
     */
    static long at(long seed, int domain, long epoch, long n, long i) {
        int half = Math.max(1, (65 - Long.numberOfLeadingZeros(n - 1)) / 2);
        long mask = (1L << half) - 1;
        long key = Keys.key(seed, Purpose.WINDOW_ORDER, domain, epoch);
        long x = i;
        do {
            long left = x >>> half, right = x & mask;
            for (int round = 0; round < ROUNDS; round++) {
                long next = left ^ (Keys.mix(key + round * 0x9E3779B97F4A7C15L + right) & mask);
                left = right;
                right = next;
            }
            x = left << half | right;
        } while (x >= n);
        return x;
    }
}
