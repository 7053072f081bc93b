package dev.rheostat.op.cpu;

import dev.rheostat.op.Doors;
import dev.rheostat.op.HostTensor;
import dev.rheostat.op.Norm;
import java.lang.foreign.MemorySegment;

/**
 * {@link PlainNorm} in vectors. Rows are independent, and a column of the gains' gradients is summed by one task over all
 * rows in order, so the bits do not depend on the number of threads. A row is passed over two to four times, all but the
 * first from the nearest cache.
 */
final class CpuNorm implements Norm<HostTensor> {
    private final WorkerPool pool;

    CpuNorm(WorkerPool pool) {
        this.pool = pool;
    }

    @Override
    public void forward(
            Kind kind,
            HostTensor y_RC,
            HostTensor stats_R2,
            HostTensor x_RC,
            HostTensor gain_C,
            HostTensor bias_C,
            float eps) {
        Doors.HOST.normForward(y_RC, stats_R2, x_RC, gain_C, bias_C);
        int C = (int) x_RC.dim(1);
        MemorySegment y = y_RC.memory(), stats = stats_R2.memory(), x = x_RC.memory();
        MemorySegment gain = memory(gain_C), bias = memory(bias_C);
        Parts.run(pool, x_RC.dim(0), (from, to, worker) -> {
            for (long r = from; r < to; r++) normRow(kind, y, stats, x, gain, bias, r, C, eps);
        });
    }

    @Override
    public void backward(
            Kind kind,
            HostTensor dx_RC,
            HostTensor dGain_C,
            HostTensor dBias_C,
            HostTensor dy_RC,
            HostTensor x_RC,
            HostTensor stats_R2,
            HostTensor gain_C) {
        Doors.HOST.normBackward(kind, dx_RC, dGain_C, dBias_C, dy_RC, x_RC, stats_R2, gain_C);
        long R = x_RC.dim(0);
        int C = (int) x_RC.dim(1);
        MemorySegment dx = dx_RC.memory(), dy = dy_RC.memory(), x = x_RC.memory(), stats = stats_R2.memory();
        MemorySegment gain = memory(gain_C), dGain = memory(dGain_C), dBias = memory(dBias_C);
        Parts.run(pool, R, (from, to, worker) -> {
            for (long r = from; r < to; r++) {
                if (gain == null) backwardRow(kind, dx, dy, x, stats, r, C);
                else backwardRow(kind, dx, dy, x, stats, gain, r, C);
            }
        });
        if (dGain == null && dBias == null) return;
        pool.run((C + Lanes.WIDTH - 1) / Lanes.WIDTH, (task, worker) -> {
            int c = task * Lanes.WIDTH;
            if (dGain != null) Columns.addProducts(dGain, dy, x, stats, R, C, c);
            if (dBias != null) Columns.add(dBias, dy, R, C, c);
        });
    }

    private static void normRow(
            Kind kind,
            MemorySegment y,
            MemorySegment stats,
            MemorySegment x,
            MemorySegment gain,
            MemorySegment bias,
            long r,
            int C,
            float eps) {
        long start = r * C;
        float mean = kind == Kind.LAYER ? Rows.sum(x, start, C) / C : 0;
        float rdev = (float) (1 / Math.sqrt(Rows.squares(x, start, C, mean) / C + (double) eps));
        Rows.normalise(y, x, start, C, mean, rdev);
        if (gain != null) Rows.multiply(y, gain, start, C);
        if (bias != null) Rows.add(y, bias, start, C);
        Stats.set(stats, r, mean, rdev);
    }

    private static void backwardRow(
            Kind kind, MemorySegment dx, MemorySegment dy, MemorySegment x, MemorySegment stats, long r, int C) {
        long start = r * C;
        float mean = Stats.mean(stats, r), rdev = Stats.rdev(stats, r);
        float meanG = kind == Kind.LAYER ? Rows.sum(dy, start, C) / C : 0;
        float slope = rdev * rdev * rdev * Rows.dot(dy, x, start, C, mean) / C;
        Rows.addNormGradient(dx, dy, x, start, C, mean, rdev, meanG, slope);
    }

    private static void backwardRow(
            Kind kind,
            MemorySegment dx,
            MemorySegment dy,
            MemorySegment x,
            MemorySegment stats,
            MemorySegment gain,
            long r,
            int C) {
        long start = r * C;
        float mean = Stats.mean(stats, r), rdev = Stats.rdev(stats, r);
        float meanG = kind == Kind.LAYER ? GainedRows.sum(dy, gain, start, C) / C : 0;
        float slope = rdev * rdev * rdev * GainedRows.dot(dy, gain, x, start, C, mean) / C;
        GainedRows.addNormGradient(dx, dy, gain, x, start, C, mean, rdev, meanG, slope);
    }

    private static MemorySegment memory(HostTensor x) {
        return x == null ? null : x.memory();
    }
}
