package dev.rheostat.train;

/**
 * Steps that an attached profiler captures.
 * @param first 0-based
 * @param end the step after the last
 */
public record CaptureRange(long first, long end) {
    /** No step. */
    public static final CaptureRange NONE = new CaptureRange(0, 0);

    public CaptureRange {
        if (first < 0 || end < first)
            throw new IllegalArgumentException("steps " + first + ":" + end + "; write FIRST:END with END after FIRST");
    }

    /** @param text FIRST:END, as in 20:25 for the five steps from 20 on @throws IllegalArgumentException for anything else */
    public static CaptureRange parse(String text) {
        if (!text.matches("\\d{1,18}:\\d{1,18}"))
            throw new IllegalArgumentException(text + " is no range of steps: write FIRST:END, as in 20:25");
        int colon = text.indexOf(':');
        return new CaptureRange(Long.parseLong(text.substring(0, colon)), Long.parseLong(text.substring(colon + 1)));
    }
}
