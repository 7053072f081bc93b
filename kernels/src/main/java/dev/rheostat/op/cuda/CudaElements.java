package dev.rheostat.op.cuda;

import dev.rheostat.cuda.LaunchShape;
import dev.rheostat.op.DType;
import dev.rheostat.op.Doors;

/** Sums element by element, gradients of biases, and the bf16 copy of f32 masters: elements.cu. */
final class CudaElements {
    /** Floats of the partial sums of biases, 4 MiB: widths of 65,536 in 16 slices, or 768 in all the slices we use. */
    private static final long PARTIAL_FLOATS = 1 << 20;

    /** Blocks that keep a multiprocessor busy: of 256 threads, so that half of its threads have a load under way. */
    private static final int BLOCKS_PER_MULTIPROCESSOR = 4;

    private static final int COLUMNS_PER_BLOCK = 256, COLUMN_WARPS = 8, ROW_SLICES = 16, WARP = 32;

    private final CudaOps ops;
    private final DeviceTensor partial_PO;

    CudaElements(CudaOps ops) {
        this.ops = ops;
        partial_PO = ops.allocate("scratch", DType.F32, PARTIAL_FLOATS);
    }

    /** y += x, both bf16 or both f32. @throws IllegalArgumentException naming both where they differ in type or size */
    void add(DeviceTensor y, DeviceTensor x) {
        if (y.type() != x.type() || y.size() != x.size() || y.type() != DType.BF16 && y.type() != DType.F32)
            throw new IllegalArgumentException("sum of " + y.describe() + " and " + x.describe());
        Octets.aligned("add", y, x);
        if (y.size() == 0) return;
        ops.kernel(y.type() == DType.BF16 ? "elements_add_bf16" : "elements_add_f32")
                .pointer(y)
                .pointer(x)
                .i64(y.size())
                .launch(Octets.blocks(octetsOrPart(y.size())), Octets.BLOCK_THREADS);
    }

    /** y = x, f32 rounded to bf16: the copy of a weight from its master. @throws IllegalArgumentException naming the wrong one */
    void round(DeviceTensor y_N, DeviceTensor x_N) {
        Doors.DEVICE.f32("x", x_N, x_N.size());
        Doors.DEVICE.activation("y", y_N, x_N.size());
        Octets.aligned("rounding", y_N, x_N);
        if (x_N.size() == 0) return;
        ops.kernel("elements_round")
                .pointer(y_N)
                .pointer(x_N)
                .i64(x_N.size())
                .launch(Octets.blocks(octetsOrPart(x_N.size())), Octets.BLOCK_THREADS);
    }

    /** dBias[o] += sum_r dy[r,o]. */
    void biasBackward(DeviceTensor dBias_O, DeviceTensor dy_RO) {
        long R = dy_RO.dim(0), O = dy_RO.dim(1);
        Doors.DEVICE.activation("dy", dy_RO, R, O);
        Doors.DEVICE.f32("dBias", dBias_O, O);
        Octets.of("a bias", "O", O);
        Octets.aligned("a bias", dy_RO);
        if (O > PARTIAL_FLOATS)
            throw new IllegalArgumentException("a bias on CUDA has up to " + PARTIAL_FLOATS + " values, not " + O);
        int columnBlocks = Math.toIntExact((O + COLUMNS_PER_BLOCK - 1) / COLUMNS_PER_BLOCK);
        long busy = (BLOCKS_PER_MULTIPROCESSOR * (long) ops.multiprocessors() + columnBlocks - 1) / columnBlocks;
        long slices = Math.min(busy, Math.min(PARTIAL_FLOATS / O, (R + COLUMN_WARPS - 1) / COLUMN_WARPS));
        ops.kernel("elements_column_sums")
                .pointer(partial_PO)
                .pointer(dy_RO)
                .i64(R)
                .i32((int) O)
                .launch(new LaunchShape(columnBlocks, (int) slices, 1, WARP, COLUMN_WARPS, 0));
        addRows(ops, dBias_O, partial_PO, 0, (int) slices, O);
    }

    /**
     * {@code y[c] += sum over p of partial[p * stride + first + c]}, rows in fixed order.
     * @param partial f32, of at least {@code rows * stride} elements
     */
    static void addRows(CudaOps ops, DeviceTensor y_C, DeviceTensor partial, long first, int rows, long stride) {
        ops.kernel("elements_add_rows")
                .pointer(y_C)
                .pointer(partial, first)
                .i32(rows)
                .i64(stride)
                .i32(Math.toIntExact(y_C.size()))
                .launch(new LaunchShape(Math.toIntExact((y_C.size() + WARP - 1) / WARP), 1, 1, WARP, ROW_SLICES, 0));
    }

    /** Octets, a last one that is not whole included. */
    private static long octetsOrPart(long elements) {
        return (elements + Octets.WIDTH - 1) / Octets.WIDTH;
    }
}
