package dev.rheostat.data;

import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/** Tokens in an array, and datasets of them that a tiny model learns at different speed. */
public record MemoryTokens(int[] ids) implements TokenSource {
    @Override
    public long tokens() {
        return ids.length;
    }

    @Override
    public void copy(long start, int count, MemorySegment destination, long offset) {
        for (int i = 0; i < count; i++)
            destination.set(JAVA_INT_UNALIGNED, offset + 4L * i, ids[Math.toIntExact(start + i)]);
    }

    /** Bytes that repeat every {@code period} ids: the longer, the harder; documents of 40 bytes. */
    private static MemoryTokens periodic(int length, int period, long seed) {
        Random random = new Random(seed);
        int[] pattern = random.ints(period, 'a', 'z' + 1).toArray();
        int[] ids = new int[length];
        for (int i = 0; i < length; i++)
            ids[i] = i % 41 == 40 ? 256 : random.nextInt(20) == 0 ? 'a' : pattern[i % period];
        return new MemoryTokens(ids);
    }

    /** K domains, the first twice as large as the second and so on. */
    public static TokenDataset dataset(int K) {
        List<Domain> domains = new ArrayList<>();
        double total = 0;
        for (int k = 0; k < K; k++) total += 1.0 / (1 << k);
        for (int k = 0; k < K; k++)
            domains.add(new Domain(
                    "domain" + k,
                    periodic(20_000 >> k, 3 + 11 * k, k),
                    periodic(900, 3 + 11 * k, k),
                    1.0 / (1 << k) / total));
        return new TokenDataset("memory", "fingerprint-" + K, Tokenizers.byName("bytes"), domains);
    }
}
