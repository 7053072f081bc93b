package dev.rheostat.testbed;

/** Keys and values as bytes, and back; which value is the right one of a key. */
final class PairText {
    private static final String DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    private static final int[] DIGIT = new int[128];

    static {
        for (int i = 0; i < DIGITS.length(); i++) DIGIT[DIGITS.charAt(i)] = i;
    }

    private final BedShape shape;
    private final long seed;

    /** @param seed of which value belongs to which key */
    PairText(BedShape shape, long seed) {
        this.shape = shape;
        this.seed = seed;
    }

    void append(StringBuilder text, int key, int value) {
        text.append((char) ('a' + key / shape.keys()));
        int place = key % shape.keys();
        for (int d = shape.digits() - 1; d >= 0; d--) text.append(DIGITS.charAt(place >>> 6 * d & 63));
        text.append(DIGITS.charAt(value));
    }

    /** @param bytes of a key: letter and digits, as token ids */
    int key(int[] bytes, int from) {
        int place = 0;
        for (int d = 0; d < shape.digits(); d++) place = place << 6 | DIGIT[bytes[from + 1 + d]];
        return (bytes[from] - 'a') * shape.keys() + place;
    }

    int value(int id) {
        return DIGIT[id];
    }

    /** The value of a key: the finaliser of splitmix64; Steele, Lea and Flood 2014. */
    int value(long key) {
        return (int) (mix(seed * 0x9E3779B97F4A7C15L + key) >>> 58);
    }

    static long mix(long x) {
        long z = x + 0x9E3779B97F4A7C15L;
        z = (z ^ z >>> 30) * 0xBF58476D1CE4E5B9L;
        z = (z ^ z >>> 27) * 0x94D049BB133111EBL;
        return z ^ z >>> 31;
    }
}
