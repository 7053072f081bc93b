package dev.rheostat.op;

/**
 * Axes of one attention call. Rows R = batch * tokens. Query head h reads key/value head h / (heads / kvHeads).
 * A packed row of qkv is H query heads, G key heads, G value heads, each headWidth wide.
 */
public record AttentionShape(int batch, int tokens, int heads, int kvHeads, int headWidth) {
    public AttentionShape {
        if (batch < 1
                || tokens < 1
                || heads < 1
                || kvHeads < 1
                || headWidth < 1
                || heads % kvHeads != 0
                || headWidth % 2 != 0)
            throw new IllegalArgumentException(
                    "attention shape: batch=" + batch + " tokens=" + tokens + " heads=" + heads
                            + " kvHeads=" + kvHeads + " headWidth=" + headWidth
                            + "; all must be positive, heads a multiple of kvHeads, headWidth even");
    }

    public long rows() {
        return (long) batch * tokens;
    }

    /** Width of a packed row of qkv: (H + 2G) D. */
    public int qkvWidth() {
        return (heads + 2 * kvHeads) * headWidth;
    }

    /** Width of a row of normalised, rotated queries and keys: (H + G) D. */
    public int qkWidth() {
        return (heads + kvHeads) * headWidth;
    }
}
