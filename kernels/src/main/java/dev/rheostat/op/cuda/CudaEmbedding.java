package dev.rheostat.op.cuda;

import dev.rheostat.cuda.LaunchShape;
import dev.rheostat.op.DType;
import dev.rheostat.op.Doors;
import dev.rheostat.op.Embedding;

/**
 * embedding.cu. Backward sorts the tokens on the device, 9 bits at a time, in as many passes as the vocabulary has digits, so a
 * batch is always the same launches.
 */
final class CudaEmbedding implements Embedding<DeviceTensor> {
    private static final int DIGIT_BITS = 9, DIGITS = 1 << DIGIT_BITS, SORT_TILE = 2048, SORT_THREADS = 512;
    private static final int CHUNK = 32, WARP = 32, JOIN_WARPS = 8, JOIN_COLUMNS = 256;

    private final CudaOps ops;
    private final long rows;
    private final long vocabulary;
    private final long width;
    /** Two sets of pairs (token, row): the sort goes from one to the other. */
    private final DeviceTensor[] sorted_R2 = new DeviceTensor[2];
    /** Pairs of each digit in each tile. */
    private final DeviceTensor counts_PN;
    /** Sums of runs that cross chunks, where they go on and where they begin. */
    private final DeviceTensor partial_P2C;

    /** @throws IllegalArgumentException naming the axis that is too long, or no multiple of 8 */
    CudaEmbedding(CudaOps ops, long rows, long vocabulary, long width) {
        this.ops = ops;
        this.rows = rows;
        this.vocabulary = vocabulary;
        this.width = width;
        Octets.of("an embedding", rows, Octets.of("an embedding", "C", width));
        if (vocabulary > Integer.MAX_VALUE)
            throw new IllegalArgumentException("an embedding on CUDA takes V below 2^31, not V=" + vocabulary);
        for (int i = 0; i < sorted_R2.length; i++) sorted_R2[i] = ops.allocate("scratch", DType.I32, rows, 2);
        counts_PN = ops.allocate("scratch", DType.I32, tiles(), DIGITS);
        partial_P2C = ops.allocate("scratch", DType.F32, chunks(), 2, width);
    }

    @Override
    public void forward(DeviceTensor x_RC, DeviceTensor tokens_R, DeviceTensor table_VC, DeviceTensor positions_TC) {
        check(x_RC, tokens_R, table_VC, positions_TC);
        DeviceTensor table = table_VC.compute(), positions = positions_TC == null ? null : positions_TC.compute();
        Octets.aligned("an embedding", x_RC, table, positions);
        int octetsPerRow = (int) (width / Octets.WIDTH), octets = (int) (rows * octetsPerRow);
        ops.kernel("embedding_forward")
                .pointer(x_RC)
                .pointer(tokens_R)
                .pointer(table)
                .pointer(positions)
                .i32(octets)
                .i32(octetsPerRow)
                .i32(positions == null ? 1 : (int) positions.dim(0))
                .launch(Octets.blocks(octets), Octets.BLOCK_THREADS);
    }

    @Override
    public void backward(
            DeviceTensor dTable_VC, DeviceTensor dPositions_TC, DeviceTensor dx_RC, DeviceTensor tokens_R) {
        check(dx_RC, tokens_R, dTable_VC, dPositions_TC);
        Octets.aligned("an embedding", dTable_VC, dPositions_TC, dx_RC);
        DeviceTensor sorted = sort(tokens_R);
        int C = (int) width;
        int threads = (int) Math.min(Octets.BLOCK_THREADS, (width / Octets.WIDTH + WARP - 1) / WARP * WARP);
        int columnsPerBlock = threads * Octets.WIDTH, columnBlocks = (C + columnsPerBlock - 1) / columnsPerBlock;
        ops.kernel("embedding_sum")
                .pointer(dTable_VC)
                .pointer(partial_P2C)
                .pointer(dx_RC)
                .pointer(sorted)
                .i32((int) rows)
                .i32(C)
                .launch(new LaunchShape(chunks(), columnBlocks, 1, threads, 1, 0));
        ops.kernel("embedding_join")
                .pointer(dTable_VC)
                .pointer(partial_P2C)
                .pointer(sorted)
                .i32((int) rows)
                .i32(C)
                .launch(new LaunchShape(chunks(), (C + JOIN_COLUMNS - 1) / JOIN_COLUMNS, 1, WARP, JOIN_WARPS, 0));
        if (dPositions_TC == null) return;
        long T = dPositions_TC.dim(0);
        int octets = (int) (T * width / Octets.WIDTH);
        ops.kernel("embedding_positions")
                .pointer(dPositions_TC)
                .pointer(dx_RC)
                .i32(octets)
                .i32((int) (rows / T))
                .launch(Octets.blocks(octets), Octets.BLOCK_THREADS);
    }

    /** @return pairs (token, row) in order of tokens, then of rows */
    private DeviceTensor sort(DeviceTensor tokens_R) {
        int bits = Math.max(1, Long.SIZE - Long.numberOfLeadingZeros(vocabulary - 1));
        DeviceTensor from = null;
        for (int shift = 0, to = 0; shift < bits; shift += DIGIT_BITS, to = 1 - to) {
            pass(ops.kernel("embedding_count").pointer(counts_PN), tokens_R, from, shift);
            pass(ops.kernel("embedding_scatter").pointer(sorted_R2[to]).pointer(counts_PN), tokens_R, from, shift);
            from = sorted_R2[to];
        }
        return from;
    }

    private void pass(KernelCall call, DeviceTensor tokens_R, DeviceTensor from, int shift) {
        call.pointer(tokens_R).pointer(from).i32((int) rows).i32(shift).launch(tiles(), SORT_THREADS);
    }

    private void check(DeviceTensor x_RC, DeviceTensor tokens_R, DeviceTensor table_VC, DeviceTensor positions_TC) {
        Doors.DEVICE.embedding(x_RC, tokens_R, table_VC, positions_TC);
        if (x_RC.dim(0) != rows || x_RC.dim(1) != width || table_VC.dim(0) != vocabulary)
            throw new IllegalArgumentException("this embedding is of R=" + rows + " V=" + vocabulary + " C=" + width
                    + ", not of x " + x_RC.describe() + " and table " + table_VC.describe());
    }

    private int tiles() {
        return (int) ((rows + SORT_TILE - 1) / SORT_TILE);
    }

    private int chunks() {
        return (int) ((rows + CHUNK - 1) / CHUNK);
    }
}
