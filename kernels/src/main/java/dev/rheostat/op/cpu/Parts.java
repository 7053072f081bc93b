package dev.rheostat.op.cpu;

/**
 * Cuts independent items over a pool: a few parts a thread, so that a thread that is held up leaves work to the others.
 * Only for ops in which an item's result does not depend on the part it falls into.
 */
final class Parts {
    private static final int PARTS_PER_THREAD = 4;

    private Parts() {}

    /** A range of items. */
    @FunctionalInterface
    interface Range {
        void run(long from, long to, int worker);
    }

    static void run(WorkerPool pool, long items, Range body) {
        int parts = (int) Math.min(items, pool.threads() == 1 ? 1 : (long) pool.threads() * PARTS_PER_THREAD);
        pool.run(
                parts,
                (part, worker) -> body.run(
                        WorkerPool.partStart(items, parts, part),
                        WorkerPool.partStart(items, parts, part + 1),
                        worker));
    }
}
