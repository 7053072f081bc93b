package dev.rheostat.data;

import java.lang.foreign.MemorySegment;
import java.util.List;

/** Shards end to end as one source of tokens. */
final class ShardedTokens implements TokenSource {
    private final IndexedShard[] shards;
    /** First token of each shard, and the end of the last. */
    private final long[] starts;

    ShardedTokens(List<IndexedShard> shards) {
        this.shards = shards.toArray(IndexedShard[]::new);
        starts = new long[this.shards.length + 1];
        for (int s = 0; s < this.shards.length; s++) starts[s + 1] = starts[s] + this.shards[s].tokens();
    }

    @Override
    public long tokens() {
        return starts[shards.length];
    }

    @Override
    public void copy(long start, int count, MemorySegment destination, long offset) {
        if (start < 0 || start + count > tokens())
            throw new IndexOutOfBoundsException("tokens " + start + " to " + (start + count) + " of " + tokens());
        int s = 0;
        while (starts[s + 1] <= start && s + 1 < shards.length) s++;
        for (int copied = 0; copied < count; s++) {
            int part = (int) Math.min(count - copied, starts[s + 1] - start - copied);
            shards[s].copy(start + copied - starts[s], part, destination, offset + 4L * copied);
            copied += part;
        }
    }
}
