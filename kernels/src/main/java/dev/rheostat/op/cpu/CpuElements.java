package dev.rheostat.op.cpu;

import dev.rheostat.op.HostTensor;
import java.lang.foreign.MemorySegment;

/** Whole tensors cut into blocks over the pool. */
final class CpuElements {
    private static final long BLOCK = 1 << 15;

    private final WorkerPool pool;

    CpuElements(WorkerPool pool) {
        this.pool = pool;
    }

    void zero(HostTensor x) {
        MemorySegment memory = x.memory();
        blocks(
                memory.byteSize() / 4,
                (start, n) -> memory.asSlice(4 * start, 4L * n).fill((byte) 0));
    }

    void copy(HostTensor to, HostTensor from) {
        MemorySegment target = to.memory(), source = from.memory();
        blocks(target.byteSize() / 4, (start, n) -> MemorySegment.copy(source, 4 * start, target, 4 * start, 4L * n));
    }

    /** y += x. */
    void add(HostTensor y, HostTensor x) {
        MemorySegment sum = y.memory(), summand = x.memory();
        blocks(y.size(), (start, n) -> Rows.sum(sum, sum, summand, start, n));
    }

    @FunctionalInterface
    private interface Block {
        void run(long start, int n);
    }

    private void blocks(long elements, Block body) {
        int count = Math.toIntExact((elements + BLOCK - 1) / BLOCK);
        pool.run(count, (block, worker) -> body.run(block * BLOCK, (int) Math.min(BLOCK, elements - block * BLOCK)));
    }
}
