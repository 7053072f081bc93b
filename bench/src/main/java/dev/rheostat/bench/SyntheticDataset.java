package dev.rheostat.bench;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import dev.rheostat.data.Domain;
import dev.rheostat.data.TokenDataset;
import dev.rheostat.data.TokenSource;
import dev.rheostat.data.Tokenizers;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/** Domains of bytes that repeat with a period of their own, made as they are read, so that no disk is measured. */
final class SyntheticDataset {
    private static final long TRAIN_TOKENS = 1L << 30, VALID_TOKENS = 1L << 14;

    private record Periodic(long tokens, int period) implements TokenSource {
        @Override
        public void copy(long start, int count, MemorySegment destination, long offset) {
            for (int i = 0; i < count; i++)
                destination.set(JAVA_INT, offset + 4L * i, (int) ((start + i) % period * 7 % 256));
        }
    }

    private SyntheticDataset() {}

    static TokenDataset of(int domains) {
        List<Domain> all = new ArrayList<>();
        for (int k = 0; k < domains; k++)
            all.add(new Domain(
                    "domain" + k,
                    new Periodic(TRAIN_TOKENS, 5 + 17 * k),
                    new Periodic(VALID_TOKENS, 5 + 17 * k),
                    1.0 / domains));
        return new TokenDataset("synthetic", "synthetic-" + domains, Tokenizers.byName("bytes"), all);
    }
}
