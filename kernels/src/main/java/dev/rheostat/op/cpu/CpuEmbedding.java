package dev.rheostat.op.cpu;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import dev.rheostat.op.Doors;
import dev.rheostat.op.Embedding;
import dev.rheostat.op.HostTensor;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.VectorMask;

/**
 * {@link PlainEmbedding} in vectors. Backward: a task owns some columns of the tables and takes all rows in order, since
 * two rows may name the same token; so the bits do not depend on the number of threads.
 */
final class CpuEmbedding implements Embedding<HostTensor> {
    /** Columns a task: four cache lines, so that the stride between rows costs little. */
    private static final int COLUMNS = 64;

    private final WorkerPool pool;

    CpuEmbedding(WorkerPool pool) {
        this.pool = pool;
    }

    @Override
    public void forward(HostTensor x_RC, HostTensor tokens_R, HostTensor table_VC, HostTensor positions_TC) {
        Doors.HOST.embedding(x_RC, tokens_R, table_VC, positions_TC);
        int C = (int) x_RC.dim(1);
        long T = positions_TC == null ? 1 : positions_TC.dim(0);
        MemorySegment x = x_RC.memory(), tokens = tokens_R.memory(), table = table_VC.memory();
        MemorySegment positions = positions_TC == null ? null : positions_TC.memory();
        Parts.run(pool, x_RC.dim(0), (from, to, worker) -> {
            for (long r = from; r < to; r++) {
                long row = tokens.getAtIndex(JAVA_INT, r);
                MemorySegment.copy(table, 4 * row * C, x, 4 * r * C, 4L * C);
                if (positions != null) addRow(x, r * C, positions, r % T * C, 0, C);
            }
        });
    }

    @Override
    public void backward(HostTensor dTable_VC, HostTensor dPositions_TC, HostTensor dx_RC, HostTensor tokens_R) {
        Doors.HOST.embedding(dx_RC, tokens_R, dTable_VC, dPositions_TC);
        long R = dx_RC.dim(0), T = dPositions_TC == null ? 1 : dPositions_TC.dim(0);
        int C = (int) dx_RC.dim(1);
        MemorySegment dTable = dTable_VC.memory(), dx = dx_RC.memory(), tokens = tokens_R.memory();
        MemorySegment dPositions = dPositions_TC == null ? null : dPositions_TC.memory();
        pool.run((C + COLUMNS - 1) / COLUMNS, (task, worker) -> {
            int from = task * COLUMNS, to = Math.min(C, from + COLUMNS);
            for (long r = 0; r < R; r++) {
                addRow(dTable, tokens.getAtIndex(JAVA_INT, r) * (long) C, dx, r * C, from, to);
                if (dPositions != null) addRow(dPositions, r % T * C, dx, r * C, from, to);
            }
        });
    }

    /** Columns from to {@code to} of the row of y that starts at yStart += those of x. */
    private static void addRow(MemorySegment y, long yStart, MemorySegment x, long xStart, int from, int to) {
        int i = from;
        for (; i <= to - Lanes.WIDTH; i += Lanes.WIDTH)
            Lanes.store(Lanes.load(y, yStart + i).add(Lanes.load(x, xStart + i)), y, yStart + i);
        if (i < to) {
            VectorMask<Float> mask = Lanes.below(i, to);
            Lanes.store(Lanes.load(y, yStart + i, mask).add(Lanes.load(x, xStart + i, mask)), y, yStart + i, mask);
        }
    }
}
