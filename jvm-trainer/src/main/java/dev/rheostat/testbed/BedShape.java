package dev.rheostat.testbed;

/**
 * How much there is of everything. A pair is the letter of a key's space, the digits of its place and one letter of value; a document is
 * as many pairs as fill a window, its end of text the last token of T + 1, so that no window cuts a pair and every value
 * is a target.
 *
 * @param keys of a domain, V
 * @param digits of a key, base 64
 * @param pairs of a window
 * @param sequences of a step
 */
record BedShape(int keys, int digits, int pairs, int sequences, long steps) {
    /** V is 64 times what any of the four exponents has seen of its head by then; a run reads 768,000 pairs. */
    static final BedShape COUNTING = new BedShape(100_000, 3, 16, 32, 1500);

    /**
     * As many keys as two digits name: after 256,000 pairs, of which one in some thirty teaches a transformer, two of the tails are still far from
     * known. Many small steps rather than few large ones: the text's form costs steps, whatever their size, and laws begin after it.
     */
    static final BedShape NANO = new BedShape(4096, 2, 16, 8, 2000);

    BedShape {
        if (keys < 1 || keys > 1L << 6 * digits)
            throw new IllegalArgumentException(keys + " keys have no room in " + digits + " digits");
    }

    /** Bytes of a pair. */
    int width() {
        return digits + 2;
    }

    /** T. */
    int tokens() {
        return pairs * width();
    }

    /** Pairs that a run reads. */
    long allPairs() {
        return steps * sequences * pairs;
    }
}
