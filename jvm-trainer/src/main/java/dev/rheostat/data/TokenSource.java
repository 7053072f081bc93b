package dev.rheostat.data;

import java.lang.foreign.MemorySegment;

/** A domain's tokens of one split, as one long sequence: documents end to end, each closed by the end-of-text id. */
public interface TokenSource {
    long tokens();

    /** Copies tokens {@code start} to {@code start + count} as i32 to {@code destination} from byte {@code offset} on. */
    void copy(long start, int count, MemorySegment destination, long offset);
}
