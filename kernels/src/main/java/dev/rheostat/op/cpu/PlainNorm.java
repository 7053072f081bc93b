package dev.rheostat.op.cpu;

import dev.rheostat.op.Doors;
import dev.rheostat.op.HostTensor;
import dev.rheostat.op.Norm;

/** The definition. Row r is normalised as (x - mean) * rdev, where mean is 0 for RMS. */
final class PlainNorm implements Norm<HostTensor> {
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
        double[] x = Doubles.of(x_RC), y = new double[x.length], stats = new double[2 * Math.toIntExact(x_RC.dim(0))];
        forward(kind, y, stats, x, Doubles.of(gain_C), Doubles.of(bias_C), eps);
        Doubles.write(y_RC, y);
        Doubles.write(stats_R2, stats);
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
        double[] dx = Doubles.of(dx_RC), dGain = Doubles.of(dGain_C), dBias = Doubles.of(dBias_C);
        double[] dy = Doubles.of(dy_RC), x = Doubles.of(x_RC), stats = Doubles.of(stats_R2), gain = Doubles.of(gain_C);
        backward(kind, dx, dGain, dBias, dy, x, stats, gain);
        Doubles.write(dx_RC, dx);
        Doubles.write(dGain_C, dGain);
        Doubles.write(dBias_C, dBias);
    }

    static void forward(Kind kind, double[] y, double[] stats, double[] x, double[] gain, double[] bias, double eps) {
        int R = stats.length / 2, C = x.length / R;
        for (int r = 0; r < R; r++) {
            double mean = 0, squares = 0;
            if (kind == Kind.LAYER) {
                for (int c = 0; c < C; c++) mean += x[r * C + c];
                mean /= C;
            }
            for (int c = 0; c < C; c++) squares += (x[r * C + c] - mean) * (x[r * C + c] - mean);
            double rdev = 1 / Math.sqrt(squares / C + eps);
            for (int c = 0; c < C; c++) {
                double g = gain == null ? 1 : gain[c], b = bias == null ? 0 : bias[c];
                y[r * C + c] = (x[r * C + c] - mean) * rdev * g + b;
            }
            stats[2 * r] = mean;
            stats[2 * r + 1] = rdev;
        }
    }

    /** With n the normalised row and g = dy * gain: dx += rdev (g - n mean(g n)) for RMS, and less mean(g) rdev for LAYER. */
    static void backward(
            Kind kind,
            double[] dx,
            double[] dGain,
            double[] dBias,
            double[] dy,
            double[] x,
            double[] stats,
            double[] gain) {
        int R = stats.length / 2, C = x.length / R;
        for (int r = 0; r < R; r++) {
            double mean = stats[2 * r], rdev = stats[2 * r + 1], meanG = 0, meanGn = 0;
            for (int c = 0; c < C; c++) {
                double n = (x[r * C + c] - mean) * rdev, g = dy[r * C + c] * (gain == null ? 1 : gain[c]);
                meanG += g / C;
                meanGn += g * n / C;
            }
            if (kind == Kind.RMS) meanG = 0;
            for (int c = 0; c < C; c++) {
                double n = (x[r * C + c] - mean) * rdev, g = dy[r * C + c] * (gain == null ? 1 : gain[c]);
                dx[r * C + c] += rdev * (g - meanG - n * meanGn);
                if (dGain != null) dGain[c] += dy[r * C + c] * n;
                if (dBias != null) dBias[c] += dy[r * C + c];
            }
        }
    }
}
