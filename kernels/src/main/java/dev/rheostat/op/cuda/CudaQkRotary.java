package dev.rheostat.op.cuda;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import dev.rheostat.op.AttentionShape;
import dev.rheostat.op.DType;
import dev.rheostat.op.Doors;
import dev.rheostat.op.QkRotary;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** qk_rotary.cu. Head widths are multiples of 8 up to {@value #WIDEST}: a warp holds one in its registers. */
final class CudaQkRotary implements QkRotary<DeviceTensor> {
    private static final int WIDEST = 256, BLOCK_WARPS = 8;

    /** Two blocks of 256 threads fit a multiprocessor's registers in backward; twice that evens out the last rows. */
    private static final int BLOCKS_PER_MULTIPROCESSOR = 4;

    private final CudaOps ops;
    private final AttentionShape shape;
    private final Settings settings;
    /** Cosine and sine of each pair at each position; null without rotation. */
    private final DeviceTensor turns_TD;
    /** Sums of dGainQ and dGainK over the rows of each block. */
    private final DeviceTensor dGain_P2D;

    /** @throws IllegalArgumentException naming a head width that no warp holds */
    CudaQkRotary(CudaOps ops, AttentionShape shape, Settings settings) {
        int D = shape.headWidth();
        Octets.of("rotary positions", "D", D);
        if (D > WIDEST)
            throw new IllegalArgumentException("rotary positions on CUDA take D up to " + WIDEST + ", not D=" + D);
        this.ops = ops;
        this.shape = shape;
        this.settings = settings;
        dGain_P2D = ops.allocate("scratch", DType.F32, BLOCKS_PER_MULTIPROCESSOR * ops.multiprocessors(), 2, D);
        turns_TD = settings.rotaryBase() == 0 ? null : ops.allocate("rotary table", DType.F32, shape.tokens(), D);
        if (turns_TD != null && !ops.planned()) fillTurns();
    }

    @Override
    public void forward(
            DeviceTensor qk_RhD,
            DeviceTensor stats_Rh2,
            DeviceTensor qkv_RW,
            DeviceTensor gainQ_D,
            DeviceTensor gainK_D) {
        Doors.DEVICE.qkRotary(shape, qk_RhD, stats_Rh2, qkv_RW, gainQ_D, gainK_D);
        Octets.aligned("rotary positions", qk_RhD, stats_Rh2, qkv_RW, gainQ_D, gainK_D);
        KernelCall call = ops.kernel("qk_rotary_forward").pointer(qk_RhD).pointer(stats_Rh2);
        axes(call.pointer(qkv_RW).pointer(gainQ_D).pointer(gainK_D))
                .f32(settings.normEps())
                .launch(blocks(), Octets.BLOCK_THREADS);
    }

    @Override
    public void backward(
            DeviceTensor dQkv_RW,
            DeviceTensor dGainQ_D,
            DeviceTensor dGainK_D,
            DeviceTensor dQk_RhD,
            DeviceTensor qkv_RW,
            DeviceTensor stats_Rh2,
            DeviceTensor gainQ_D,
            DeviceTensor gainK_D) {
        Doors.DEVICE.qkRotary(shape, dQk_RhD, stats_Rh2, qkv_RW, gainQ_D, gainK_D);
        Doors.DEVICE.qkRotary(shape, dQk_RhD, stats_Rh2, dQkv_RW, dGainQ_D, dGainK_D);
        Octets.aligned("rotary positions", dQkv_RW, dQk_RhD, qkv_RW, stats_Rh2, gainQ_D, gainK_D);
        int D = shape.headWidth();
        int blocks = (int) Math.min(blocks(), (long) BLOCKS_PER_MULTIPROCESSOR * ops.multiprocessors());
        KernelCall call = ops.kernel("qk_rotary_backward").pointer(dQkv_RW).pointer(dGain_P2D);
        axes(call.pointer(dQk_RhD)
                        .pointer(qkv_RW)
                        .pointer(stats_Rh2)
                        .pointer(gainQ_D)
                        .pointer(gainK_D))
                .launch(blocks, Octets.BLOCK_THREADS);
        if (gainQ_D == null) return;
        CudaElements.addRows(ops, dGainQ_D, dGain_P2D, 0, blocks, 2L * D);
        CudaElements.addRows(ops, dGainK_D, dGain_P2D, D, blocks, 2L * D);
    }

    private KernelCall axes(KernelCall call) {
        return call.pointer(turns_TD)
                .i64(shape.rows())
                .i32(shape.tokens())
                .i32(shape.heads())
                .i32(shape.heads() + shape.kvHeads())
                .i32(shape.headWidth())
                .i32(shape.qkvWidth());
    }

    /** A warp for each row. */
    private long blocks() {
        return (shape.rows() + BLOCK_WARPS - 1) / BLOCK_WARPS;
    }

    /** In doubles: at position 8192 a f32 angle is off by 2^-12. */
    private void fillTurns() {
        int T = shape.tokens(), pairs = shape.headWidth() / 2;
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment turns = arena.allocate(turns_TD.bytes(), Float.BYTES);
            for (int i = 0; i < pairs; i++) {
                double frequency = StrictMath.pow(settings.rotaryBase(), -2.0 * i / shape.headWidth());
                for (int t = 0; t < T; t++) {
                    long at = 2L * ((long) t * pairs + i);
                    turns.setAtIndex(JAVA_FLOAT, at, (float) StrictMath.cos(t * frequency));
                    turns.setAtIndex(JAVA_FLOAT, at + 1, (float) StrictMath.sin(t * frequency));
                }
            }
            ops.fill(turns_TD, turns);
        }
    }
}
