package dev.rheostat.op.cpu;

import dev.rheostat.op.Attention;
import dev.rheostat.op.AttentionShape;
import dev.rheostat.op.Doors;
import dev.rheostat.op.HostTensor;

/** The definition: one row of scores at a time. */
final class PlainAttention implements Attention<HostTensor> {
    private final AttentionShape shape;

    PlainAttention(AttentionShape shape) {
        this.shape = shape;
    }

    @Override
    public void forward(
            HostTensor o_RHD, HostTensor lse_RH, HostTensor qk_RhD, HostTensor qkv_RW, HostTensor docStart_R) {
        Doors.HOST.attention(shape, o_RHD, lse_RH, qk_RhD, qkv_RW, docStart_R);
        double[] o = new double[Math.toIntExact(o_RHD.size())], lse = new double[Math.toIntExact(lse_RH.size())];
        forward(shape, o, lse, Doubles.of(qk_RhD), Doubles.of(qkv_RW), Doubles.ints(docStart_R));
        Doubles.write(o_RHD, o);
        Doubles.write(lse_RH, lse);
    }

    @Override
    public void backward(
            HostTensor dQk_RhD,
            HostTensor dQkv_RW,
            HostTensor dO_RHD,
            HostTensor o_RHD,
            HostTensor lse_RH,
            HostTensor qk_RhD,
            HostTensor qkv_RW,
            HostTensor docStart_R) {
        Doors.HOST.attention(shape, o_RHD, lse_RH, qk_RhD, qkv_RW, docStart_R);
        Doors.HOST.attention(shape, dO_RHD, lse_RH, dQk_RhD, dQkv_RW, docStart_R);
        double[] dQk = new double[Math.toIntExact(dQk_RhD.size())], dQkv = Doubles.of(dQkv_RW);
        double[] dO = Doubles.of(dO_RHD), o = Doubles.of(o_RHD), lse = Doubles.of(lse_RH);
        backward(shape, dQk, dQkv, dO, o, lse, Doubles.of(qk_RhD), Doubles.of(qkv_RW), Doubles.ints(docStart_R));
        Doubles.write(dQk_RhD, dQk);
        Doubles.write(dQkv_RW, dQkv);
    }

    static void forward(AttentionShape shape, double[] o, double[] lse, double[] qk, double[] qkv, int[] docStart) {
        int T = shape.tokens(), H = shape.heads(), D = shape.headWidth();
        double[] score_T = new double[T];
        for (int r = 0; r < shape.rows(); r++)
            for (int h = 0; h < H; h++) {
                int sequence = r - r % T, first = sequence + (docStart == null ? 0 : docStart[r]);
                double max = Double.NEGATIVE_INFINITY, sum = 0;
                for (int s = first; s <= r; s++) {
                    score_T[s - sequence] = score(shape, qk, r, s, h);
                    max = Math.max(max, score_T[s - sequence]);
                }
                for (int s = first; s <= r; s++) sum += Math.exp(score_T[s - sequence] - max);
                lse[r * H + h] = max + Math.log(sum);
                for (int d = 0; d < D; d++) {
                    double value = 0;
                    for (int s = first; s <= r; s++)
                        value += Math.exp(score_T[s - sequence] - lse[r * H + h]) * qkv[valueAt(shape, s, h) + d];
                    o[(r * H + h) * D + d] = value;
                }
            }
    }

    /** With p the probabilities and dp = dO . v: dScore = p (dp - dO . o); dq, dk and dv follow by the chain rule. */
    static void backward(
            AttentionShape shape,
            double[] dQk,
            double[] dQkv,
            double[] dO,
            double[] o,
            double[] lse,
            double[] qk,
            double[] qkv,
            int[] docStart) {
        int T = shape.tokens(), H = shape.heads(), D = shape.headWidth(), valueWidth = shape.kvHeads() * D;
        for (int r = 0; r < shape.rows(); r++)
            for (int i = 0; i < valueWidth; i++) dQkv[r * shape.qkvWidth() + shape.qkWidth() + i] = 0;
        for (int r = 0; r < shape.rows(); r++)
            for (int h = 0; h < H; h++) {
                int first = r - r % T + (docStart == null ? 0 : docStart[r]);
                double mean = 0;
                for (int d = 0; d < D; d++) mean += dO[(r * H + h) * D + d] * o[(r * H + h) * D + d];
                for (int s = first; s <= r; s++) {
                    double p = Math.exp(score(shape, qk, r, s, h) - lse[r * H + h]), dp = 0;
                    for (int d = 0; d < D; d++) {
                        dp += dO[(r * H + h) * D + d] * qkv[valueAt(shape, s, h) + d];
                        dQkv[valueAt(shape, s, h) + d] += p * dO[(r * H + h) * D + d];
                    }
                    double dScore = p * (dp - mean) / Math.sqrt(D);
                    for (int d = 0; d < D; d++) {
                        dQk[queryAt(shape, r, h) + d] += dScore * qk[keyAt(shape, s, h) + d];
                        dQk[keyAt(shape, s, h) + d] += dScore * qk[queryAt(shape, r, h) + d];
                    }
                }
            }
    }

    private static double score(AttentionShape shape, double[] qk, int r, int s, int h) {
        double dot = 0;
        for (int d = 0; d < shape.headWidth(); d++) dot += qk[queryAt(shape, r, h) + d] * qk[keyAt(shape, s, h) + d];
        return dot / Math.sqrt(shape.headWidth());
    }

    private static int queryAt(AttentionShape shape, int r, int h) {
        return r * shape.qkWidth() + h * shape.headWidth();
    }

    private static int keyAt(AttentionShape shape, int s, int h) {
        return s * shape.qkWidth() + (shape.heads() + kvHead(shape, h)) * shape.headWidth();
    }

    private static int valueAt(AttentionShape shape, int s, int h) {
        return s * shape.qkvWidth() + shape.qkWidth() + kvHead(shape, h) * shape.headWidth();
    }

    private static int kvHead(AttentionShape shape, int h) {
        return h / (shape.heads() / shape.kvHeads());
    }
}
