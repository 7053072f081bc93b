package dev.rheostat.op.cpu;

import dev.rheostat.op.AttentionShape;
import dev.rheostat.op.Doors;
import dev.rheostat.op.HostTensor;
import dev.rheostat.op.Norm;
import dev.rheostat.op.QkRotary;
import java.util.Arrays;

/** The definition: every head of a row is normalised by {@link PlainNorm}, then turned pair by pair. */
final class PlainQkRotary implements QkRotary<HostTensor> {
    private final AttentionShape shape;
    private final Settings settings;

    PlainQkRotary(AttentionShape shape, Settings settings) {
        this.shape = shape;
        this.settings = settings;
    }

    @Override
    public void forward(
            HostTensor qk_RhD, HostTensor stats_Rh2, HostTensor qkv_RW, HostTensor gainQ_D, HostTensor gainK_D) {
        Doors.HOST.qkRotary(shape, qk_RhD, stats_Rh2, qkv_RW, gainQ_D, gainK_D);
        double[] qk = new double[Math.toIntExact(qk_RhD.size())];
        double[] stats = stats_Rh2 == null ? null : new double[Math.toIntExact(stats_Rh2.size())];
        forward(shape, qk, stats, Doubles.of(qkv_RW), Doubles.of(gainQ_D), Doubles.of(gainK_D), settings);
        Doubles.write(qk_RhD, qk);
        Doubles.write(stats_Rh2, stats);
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
        double[] dQkv = Doubles.of(dQkv_RW), dGainQ = Doubles.of(dGainQ_D), dGainK = Doubles.of(dGainK_D);
        double[] dQk = Doubles.of(dQk_RhD), qkv = Doubles.of(qkv_RW), stats = Doubles.of(stats_Rh2);
        double[] gainQ = Doubles.of(gainQ_D), gainK = Doubles.of(gainK_D);
        backward(shape, dQkv, dGainQ, dGainK, dQk, qkv, stats, gainQ, gainK, settings);
        Doubles.write(dQkv_RW, dQkv);
        Doubles.write(dGainQ_D, dGainQ);
        Doubles.write(dGainK_D, dGainK);
    }

    static void forward(
            AttentionShape shape,
            double[] qk,
            double[] stats,
            double[] qkv,
            double[] gainQ,
            double[] gainK,
            Settings settings) {
        int R = Math.toIntExact(shape.rows()), D = shape.headWidth(), heads = shape.heads() + shape.kvHeads();
        for (int r = 0; r < R; r++)
            for (int h = 0; h < heads; h++) {
                double[] x = head(qkv, r * shape.qkvWidth() + h * D, D), y = x;
                if (gainQ != null) {
                    double[] stat = new double[2];
                    y = new double[D];
                    double[] gain = h < shape.heads() ? gainQ : gainK;
                    PlainNorm.forward(Norm.Kind.LAYER, y, stat, x, gain, null, settings.normEps());
                    System.arraycopy(stat, 0, stats, 2 * (r * heads + h), 2);
                }
                turn(y, r % shape.tokens(), settings.rotaryBase(), 1);
                System.arraycopy(y, 0, qk, (r * heads + h) * D, D);
            }
    }

    static void backward(
            AttentionShape shape,
            double[] dQkv,
            double[] dGainQ,
            double[] dGainK,
            double[] dQk,
            double[] qkv,
            double[] stats,
            double[] gainQ,
            double[] gainK,
            Settings settings) {
        int R = Math.toIntExact(shape.rows()), D = shape.headWidth(), heads = shape.heads() + shape.kvHeads();
        for (int r = 0; r < R; r++)
            for (int h = 0; h < heads; h++) {
                int packed = r * shape.qkvWidth() + h * D;
                double[] dy = head(dQk, (r * heads + h) * D, D), dx = dy;
                turn(dy, r % shape.tokens(), settings.rotaryBase(), -1);
                if (gainQ != null) {
                    boolean query = h < shape.heads();
                    double[] stat = head(stats, 2 * (r * heads + h), 2), x = head(qkv, packed, D);
                    double[] dGain = query ? dGainQ : dGainK, gain = query ? gainQ : gainK;
                    dx = new double[D];
                    PlainNorm.backward(Norm.Kind.LAYER, dx, dGain, null, dy, x, stat, gain);
                }
                System.arraycopy(dx, 0, dQkv, packed, D);
            }
    }

    /** Angle of pair {@code pair} at a position, in radians. */
    static double angle(int position, int pair, int D, double rotaryBase) {
        return position * StrictMath.pow(rotaryBase, -2.0 * pair / D);
    }

    private static double[] head(double[] x, int start, int length) {
        return Arrays.copyOfRange(x, start, start + length);
    }

    /** Turns pair (2i, 2i+1) of y by its angle, forwards or back; base 0 turns nothing. */
    private static void turn(double[] y, int position, double rotaryBase, int direction) {
        if (rotaryBase == 0) return;
        for (int i = 0; i < y.length / 2; i++) {
            double angle = direction * angle(position, i, y.length, rotaryBase);
            double cos = Math.cos(angle), sin = Math.sin(angle), a = y[2 * i], b = y[2 * i + 1];
            y[2 * i] = a * cos - b * sin;
            y[2 * i + 1] = a * sin + b * cos;
        }
    }
}
