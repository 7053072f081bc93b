package dev.rheostat.op.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import dev.rheostat.op.AttentionShape;
import dev.rheostat.op.DType;
import dev.rheostat.op.Doors;
import dev.rheostat.op.HostTensor;
import dev.rheostat.op.QkRotary;
import java.lang.foreign.MemorySegment;

/**
 * {@link PlainQkRotary} in vectors, a head at a time. Cosines and sines come from tables of 2 T D floats, filled at the first
 * call: a plan has no memory to fill. The gains' gradients are summed in parts of rows that depend on the number of threads, merged in order.
 */
final class CpuQkRotary implements QkRotary<HostTensor> {
    private static final int PARTS_PER_THREAD = 4;

    private final AttentionShape shape;
    private final Settings settings;
    private final WorkerPool pool;
    private final HostTensor cos_TD;
    private final HostTensor sin_TD;
    /** Gradients of gainQ and gainK, a pair a part. */
    private final HostTensor dGain_P2D;

    private boolean tablesFilled;

    CpuQkRotary(AttentionShape shape, Settings settings, WorkerPool pool, HostMemory memory) {
        this.shape = shape;
        this.settings = settings;
        this.pool = pool;
        cos_TD = memory.allocate("scratch", DType.F32, shape.tokens(), shape.headWidth());
        sin_TD = memory.allocate("scratch", DType.F32, shape.tokens(), shape.headWidth());
        dGain_P2D = memory.allocate("scratch", DType.F32, parts(), 2, shape.headWidth());
    }

    @Override
    public void forward(
            HostTensor qk_RhD, HostTensor stats_Rh2, HostTensor qkv_RW, HostTensor gainQ_D, HostTensor gainK_D) {
        Doors.HOST.qkRotary(shape, qk_RhD, stats_Rh2, qkv_RW, gainQ_D, gainK_D);
        fillTables();
        Parts.run(pool, shape.rows(), (from, to, worker) -> {
            for (long r = from; r < to; r++) forwardRow(qk_RhD, stats_Rh2, qkv_RW, gainQ_D, gainK_D, r);
        });
    }

    @Override
    public void backward(
            HostTensor dQkv_RW,
            HostTensor dGainQ_D,
            HostTensor dGainK_D,
            HostTensor dQk_RhD,
            HostTensor qkv_RW,
            HostTensor stats_Rh2,
            HostTensor gainQ_D,
            HostTensor gainK_D) {
        Doors.HOST.qkRotary(shape, dQk_RhD, stats_Rh2, qkv_RW, gainQ_D, gainK_D);
        Doors.HOST.qkRotary(shape, dQk_RhD, stats_Rh2, dQkv_RW, dGainQ_D, dGainK_D);
        fillTables();
        dGain_P2D.memory().fill((byte) 0);
        pool.run(parts(), (part, worker) -> {
            long from = WorkerPool.partStart(shape.rows(), parts(), part);
            long to = WorkerPool.partStart(shape.rows(), parts(), part + 1);
            for (long r = from; r < to; r++)
                backwardRow(dQkv_RW, part, dQk_RhD, qkv_RW, stats_Rh2, gainQ_D, gainK_D, r);
        });
        if (gainQ_D == null) return;
        for (int part = 0; part < parts(); part++) {
            addPart(dGainQ_D, part, 0);
            addPart(dGainK_D, part, 1);
        }
    }

    private int parts() {
        return pool.threads() * PARTS_PER_THREAD;
    }

    private void addPart(HostTensor dGain_D, int part, int which) {
        int D = shape.headWidth();
        for (int d = 0; d < D; d++)
            dGain_D.setFloat(d, dGain_D.getFloat(d) + dGain_P2D.getFloat((2L * part + which) * D + d));
    }

    private void forwardRow(
            HostTensor qk, HostTensor stats, HostTensor qkv, HostTensor gainQ, HostTensor gainK, long r) {
        int D = shape.headWidth(), heads = shape.heads() + shape.kvHeads();
        long in = r * shape.qkvWidth(), out = r * heads * D, table = r % shape.tokens() * D;
        for (int h = 0; h < heads; h++, in += D, out += D) {
            if (gainQ == null) {
                MemorySegment.copy(qkv.memory(), 4 * in, qk.memory(), 4 * out, 4L * D);
            } else {
                MemorySegment gain = (h < shape.heads() ? gainQ : gainK).memory();
                float mean = Rows.sum(qkv.memory(), in, D) / D;
                float squares = Rows.squares(qkv.memory(), in, D, mean) / D;
                float rdev = (float) (1 / Math.sqrt(squares + (double) settings.normEps()));
                Stats.set(stats.memory(), r * heads + h, mean, rdev);
                RotaryRows.normalise(qk.memory(), out, qkv.memory(), in, gain, D, mean, rdev);
            }
            if (settings.rotaryBase() != 0)
                RotaryRows.turn(qk.memory(), out, qk.memory(), out, cos_TD.memory(), sin_TD.memory(), table, D);
        }
    }

    private void backwardRow(
            HostTensor dQkv,
            int part,
            HostTensor dQk,
            HostTensor qkv,
            HostTensor stats,
            HostTensor gainQ,
            HostTensor gainK,
            long r) {
        int D = shape.headWidth(), heads = shape.heads() + shape.kvHeads();
        long packed = r * shape.qkvWidth(), in = r * heads * D, table = r % shape.tokens() * D;
        for (int h = 0; h < heads; h++, packed += D, in += D) {
            if (settings.rotaryBase() == 0) MemorySegment.copy(dQk.memory(), 4 * in, dQkv.memory(), 4 * packed, 4L * D);
            else
                RotaryRows.turnBack(
                        dQkv.memory(), packed, dQk.memory(), in, cos_TD.memory(), sin_TD.memory(), table, D);
            if (gainQ == null) continue;
            MemorySegment gain = (h < shape.heads() ? gainQ : gainK).memory();
            MemorySegment dy = dQkv.memory(), x = qkv.memory();
            float mean = Stats.mean(stats.memory(), r * heads + h), rdev = Stats.rdev(stats.memory(), r * heads + h);
            long dGain = (2L * part + (h < shape.heads() ? 0 : 1)) * D;
            RotaryRows.addProducts(dGain_P2D.memory(), dGain, dy, x, packed, D, mean, rdev);
            float meanG = GainedRows.sum(dy, gain, packed, D) / D;
            float slope = rdev * rdev * rdev * GainedRows.dot(dy, gain, x, packed, D, mean) / D;
            GainedRows.toNormGradient(dy, gain, x, packed, D, mean, rdev, meanG, slope);
        }
    }

    /** Both elements of a pair have the pair's cosine; the first has minus its sine. */
    private void fillTables() {
        if (tablesFilled || settings.rotaryBase() == 0) return;
        int D = shape.headWidth();
        for (int t = 0; t < shape.tokens(); t++)
            for (int i = 0; i < D / 2; i++) {
                double angle = PlainQkRotary.angle(t, i, D, settings.rotaryBase());
                float cos = (float) StrictMath.cos(angle), sin = (float) StrictMath.sin(angle);
                long pair = (long) t * D + 2 * i;
                cos_TD.memory().setAtIndex(JAVA_FLOAT, pair, cos);
                cos_TD.memory().setAtIndex(JAVA_FLOAT, pair + 1, cos);
                sin_TD.memory().setAtIndex(JAVA_FLOAT, pair, -sin);
                sin_TD.memory().setAtIndex(JAVA_FLOAT, pair + 1, sin);
            }
        tablesFilled = true;
    }
}
