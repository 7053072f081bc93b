package dev.rheostat.op.cpu;

import dev.rheostat.op.Activation;
import dev.rheostat.op.Doors;
import dev.rheostat.op.HostTensor;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;

/** {@link PlainActivation} in vectors, element by element. The tanh of GELU is written as 2 sigmoid(2u) - 1. */
final class CpuActivation implements Activation<HostTensor> {
    /** GELU is x sigmoid(x (LINEAR + CUBIC x^2)). */
    private static final float LINEAR = (float) (2 * PlainActivation.SQRT_2_OVER_PI),
            CUBIC = (float) (2 * PlainActivation.SQRT_2_OVER_PI * PlainActivation.CUBIC);

    private final WorkerPool pool;

    CpuActivation(WorkerPool pool) {
        this.pool = pool;
    }

    @Override
    public void swigluForward(HostTensor h_RF, HostTensor gateUp_R2F) {
        Doors.HOST.swiglu(h_RF, gateUp_R2F, gateUp_R2F);
        int F = (int) h_RF.dim(1);
        MemorySegment h = h_RF.memory(), gateUp = gateUp_R2F.memory();
        Parts.run(pool, h_RF.dim(0), (from, to, worker) -> {
            for (long r = from; r < to; r++) swigluRow(h, gateUp, r, F);
        });
    }

    @Override
    public void swigluBackward(HostTensor dGateUp_R2F, HostTensor dh_RF, HostTensor gateUp_R2F) {
        Doors.HOST.swiglu(dh_RF, gateUp_R2F, dGateUp_R2F);
        int F = (int) dh_RF.dim(1);
        MemorySegment dGateUp = dGateUp_R2F.memory(), dh = dh_RF.memory(), gateUp = gateUp_R2F.memory();
        Parts.run(pool, dh_RF.dim(0), (from, to, worker) -> {
            for (long r = from; r < to; r++) swigluBackwardRow(dGateUp, dh, gateUp, r, F);
        });
    }

    @Override
    public void geluForward(HostTensor h_RF, HostTensor x_RF) {
        Doors.HOST.gelu(h_RF, x_RF, x_RF);
        int F = (int) x_RF.dim(1);
        MemorySegment h = h_RF.memory(), x = x_RF.memory();
        Parts.run(pool, x_RF.dim(0), (from, to, worker) -> {
            for (long r = from; r < to; r++) geluRow(h, x, r * F, F);
        });
    }

    @Override
    public void geluBackward(HostTensor dx_RF, HostTensor dh_RF, HostTensor x_RF) {
        Doors.HOST.gelu(dx_RF, dh_RF, x_RF);
        int F = (int) x_RF.dim(1);
        MemorySegment dx = dx_RF.memory(), dh = dh_RF.memory(), x = x_RF.memory();
        Parts.run(pool, x_RF.dim(0), (from, to, worker) -> {
            for (long r = from; r < to; r++) geluBackwardRow(dx, dh, x, r * F, F);
        });
    }

    private static void swigluRow(MemorySegment h, MemorySegment gateUp, long r, int F) {
        long gate = 2 * r * F, up = gate + F, out = r * F;
        int whole = (int) Lanes.bound(F), i = 0;
        for (; i < whole; i += Lanes.WIDTH) {
            FloatVector x = Lanes.load(gateUp, gate + i);
            Lanes.store(x.mul(Lanes.sigmoid(x)).mul(Lanes.load(gateUp, up + i)), h, out + i);
        }
        if (i < F) {
            VectorMask<Float> mask = Lanes.below(i, F);
            FloatVector x = Lanes.load(gateUp, gate + i, mask);
            Lanes.store(x.mul(Lanes.sigmoid(x)).mul(Lanes.load(gateUp, up + i, mask)), h, out + i, mask);
        }
    }

    private static void swigluBackwardRow(
            MemorySegment dGateUp, MemorySegment dh, MemorySegment gateUp, long r, int F) {
        long gate = 2 * r * F, up = gate + F, in = r * F;
        int whole = (int) Lanes.bound(F), i = 0;
        for (; i < whole; i += Lanes.WIDTH) {
            FloatVector x = Lanes.load(gateUp, gate + i),
                    s = Lanes.sigmoid(x),
                    ds = Lanes.load(dh, in + i).mul(s);
            FloatVector slope = x.sub(x.mul(s)).add(1f).mul(Lanes.load(gateUp, up + i));
            Lanes.store(ds.mul(slope), dGateUp, gate + i);
            Lanes.store(ds.mul(x), dGateUp, up + i);
        }
        if (i < F) {
            VectorMask<Float> mask = Lanes.below(i, F);
            FloatVector x = Lanes.load(gateUp, gate + i, mask), s = Lanes.sigmoid(x);
            FloatVector ds = Lanes.load(dh, in + i, mask).mul(s);
            FloatVector slope = x.sub(x.mul(s)).add(1f).mul(Lanes.load(gateUp, up + i, mask));
            Lanes.store(ds.mul(slope), dGateUp, gate + i, mask);
            Lanes.store(ds.mul(x), dGateUp, up + i, mask);
        }
    }

    private static void geluRow(MemorySegment h, MemorySegment x, long start, int F) {
        int whole = (int) Lanes.bound(F), i = 0;
        for (; i < whole; i += Lanes.WIDTH) Lanes.store(gelu(Lanes.load(x, start + i)), h, start + i);
        if (i < F) {
            VectorMask<Float> mask = Lanes.below(i, F);
            Lanes.store(gelu(Lanes.load(x, start + i, mask)), h, start + i, mask);
        }
    }

    private static void geluBackwardRow(MemorySegment dx, MemorySegment dh, MemorySegment x, long start, int F) {
        int whole = (int) Lanes.bound(F), i = 0;
        for (; i < whole; i += Lanes.WIDTH)
            Lanes.store(Lanes.load(dh, start + i).mul(geluSlope(Lanes.load(x, start + i))), dx, start + i);
        if (i < F) {
            VectorMask<Float> mask = Lanes.below(i, F);
            FloatVector slope = geluSlope(Lanes.load(x, start + i, mask));
            Lanes.store(Lanes.load(dh, start + i, mask).mul(slope), dx, start + i, mask);
        }
    }

    private static FloatVector gelu(FloatVector x) {
        return x.mul(Lanes.sigmoid(x.mul(x.mul(x).mul(CUBIC).add(LINEAR))));
    }

    /** With s = sigmoid(w), w = x (LINEAR + CUBIC x^2): s + x s (1 - s) w'. */
    private static FloatVector geluSlope(FloatVector x) {
        FloatVector squared = x.mul(x),
                s = Lanes.sigmoid(x.mul(squared.mul(CUBIC).add(LINEAR)));
        FloatVector rise = x.mul(squared.mul(3 * CUBIC).add(LINEAR));
        return s.add(s.sub(s.mul(s)).mul(rise));
    }
}
