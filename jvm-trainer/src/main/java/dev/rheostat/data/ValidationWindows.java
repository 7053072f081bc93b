package dev.rheostat.data;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * The windows that validation looks at: the first of each domain's validation split, T + 1 tokens at stride T + 1, always the same.
 * Bytes are those of the predicted tokens, so that nats and bytes are of the same text.
 */
public final class ValidationWindows {
    private final TokenDataset dataset;
    private final int tokens;
    private final int[] windows_K;
    private final long[] bytes_K;

    /** @param most windows of one domain; a domain with less has all it has */
    public ValidationWindows(TokenDataset dataset, int tokens, int most) {
        this.dataset = dataset;
        this.tokens = tokens;
        int K = dataset.domains().size();
        windows_K = new int[K];
        bytes_K = new long[K];
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment window = arena.allocate(4L * (tokens + 1), 4);
            for (int k = 0; k < K; k++) {
                TokenSource valid = dataset.domains().get(k).valid();
                windows_K[k] = (int) Math.min(most, valid.tokens() / (tokens + 1));
                for (int w = 0; w < windows_K[k]; w++) {
                    valid.copy(firstToken(w), tokens + 1, window, 0);
                    for (int t = 1; t <= tokens; t++)
                        bytes_K[k] += dataset.tokenizer().byteLength(window.getAtIndex(JAVA_INT, t));
                }
            }
        }
    }

    /** Windows of domain k; 0 where its validation split is shorter than one. */
    public int windows(int k) {
        return windows_K[k];
    }

    /** UTF-8 bytes of the predicted tokens of domain k's windows. */
    public long bytes(int k) {
        return bytes_K[k];
    }

    public TokenSource source(int k) {
        return dataset.domains().get(k).valid();
    }

    public long firstToken(int window) {
        return (long) window * (tokens + 1);
    }
}
