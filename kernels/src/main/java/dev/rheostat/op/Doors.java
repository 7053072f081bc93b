package dev.rheostat.op;

import java.util.Arrays;

/**
 * The checks at the door of every op, the same for a definition, its fast variants and its kernels. Each throws an
 * IllegalArgumentException that names the tensor, its shape and the shape wanted, before anything is written.
 *
 * <p>An <em>activation</em> is what flows between ops in the backend's own type; gains, statistics, gradients of weights and the
 * optimizer's state are f32 on every backend.
 */
public enum Doors {
    /** Activations are f32, and f64 where the definitions compute in doubles; f32 may be f64 there too. */
    HOST,
    /** Activations are bf16. */
    DEVICE;

    /** An activation of just this shape. */
    public void activation(String name, Tensor x, long... shape) {
        if (this == HOST) f32(name, x, shape);
        else typed(name, x, DType.BF16, shape);
    }

    /** As {@link #activation}, or null. */
    public void activationOrNull(String name, Tensor x, long... shape) {
        if (x != null) activation(name, x, shape);
    }

    /** An f32 tensor (on the host f64 where the definitions compute in doubles) of just this shape. */
    public void f32(String name, Tensor x, long... shape) {
        typed(name, x, this == HOST && x.type() == DType.F64 ? DType.F64 : DType.F32, shape);
    }

    /** As {@link #f32}, or null. */
    public void f32OrNull(String name, Tensor x, long... shape) {
        if (x != null) f32(name, x, shape);
    }

    public void ints(String name, Tensor x, long... shape) {
        typed(name, x, DType.I32, shape);
    }

    public void longs(String name, Tensor x, long... shape) {
        typed(name, x, DType.I64, shape);
    }

    private static void typed(String name, Tensor x, DType type, long... shape) {
        boolean same = x.rank() == shape.length;
        for (int axis = 0; same && axis < shape.length; axis++) same = x.dim(axis) == shape[axis];
        // Views differ in how they fold rows (R against B,T); what an op needs is the number of elements in row order.
        if (x.type() != type || !same && x.size() != product(shape))
            throw new IllegalArgumentException(name + " is " + x.describe() + ", wanted "
                    + type.name().toLowerCase(java.util.Locale.ROOT) + Arrays.toString(shape));
    }

    private static long product(long... shape) {
        long size = 1;
        for (long length : shape) size *= length;
        return size;
    }

    public void normForward(Tensor y, Tensor stats, Tensor x, Tensor gain, Tensor bias) {
        long R = x.dim(0), C = x.dim(1);
        activation("x", x, R, C);
        activation("y", y, R, C);
        f32("stats", stats, R, 2);
        f32OrNull("gain", gain, C);
        f32OrNull("bias", bias, C);
    }

    public void normBackward(
            Norm.Kind kind, Tensor dx, Tensor dGain, Tensor dBias, Tensor dy, Tensor x, Tensor stats, Tensor gain) {
        long C = x.dim(1);
        normForward(dx, stats, x, gain, dBias);
        activation("dy", dy, x.dim(0), C);
        f32OrNull("dGain", dGain, C);
        if ((gain == null) != (dGain == null))
            throw new IllegalArgumentException(kind + " norm: gain and its gradient go together, one is null");
    }

    public void qkRotary(AttentionShape s, Tensor qk, Tensor stats, Tensor qkv, Tensor gainQ, Tensor gainK) {
        activation("qk", qk, s.rows(), s.qkWidth());
        activation("qkv", qkv, s.rows(), s.qkvWidth());
        f32OrNull("gainQ", gainQ, s.headWidth());
        f32OrNull("gainK", gainK, s.headWidth());
        if ((gainQ == null) != (gainK == null) || (gainQ == null) != (stats == null))
            throw new IllegalArgumentException("gainQ, gainK and stats go together: all or none");
        f32OrNull("stats", stats, s.rows(), s.heads() + s.kvHeads(), 2);
    }

    public void attention(AttentionShape s, Tensor o, Tensor lse, Tensor qk, Tensor qkv, Tensor docStart) {
        activation("o", o, s.rows(), (long) s.heads() * s.headWidth());
        f32("lse", lse, s.rows(), s.heads());
        activation("qk", qk, s.rows(), s.qkWidth());
        activation("qkv", qkv, s.rows(), s.qkvWidth());
        if (docStart != null) ints("docStart", docStart, s.rows());
    }

    public void lossHead(
            LossHead.Shape s,
            LossHead.Sums<? extends Tensor> sums,
            Tensor x,
            Tensor table,
            Tensor targets,
            Tensor domain) {
        lossSums(sums, s.domains());
        activation("x", x, s.rows(), s.width());
        f32("table", table, s.paddedVocabulary(), s.width());
        ints("targets", targets, s.rows());
        ints("domain", domain, s.rows());
    }

    /** @param K domains */
    public void lossSums(LossHead.Sums<? extends Tensor> sums, long K) {
        longs("lossSum", sums.lossSum_K(), K);
        longs("tokenCount", sums.tokenCount_K(), K);
        longs("flags", sums.flags_2(), 2);
        if (sums.excessSum_K() != null) longs("excessSum", sums.excessSum_K(), K);
    }

    public void embedding(Tensor x, Tensor tokens, Tensor table, Tensor positions) {
        long R = x.dim(0), C = x.dim(1);
        activation("x", x, R, C);
        ints("tokens", tokens, R);
        f32("table", table, table.dim(0), C);
        if (positions == null) return;
        f32("positions", positions, positions.dim(0), C);
        if (R % positions.dim(0) != 0)
            throw new IllegalArgumentException(
                    "rows " + R + " of x are no multiple of the " + positions.dim(0) + " positions");
    }

    public void swiglu(Tensor h, Tensor gateUp, Tensor dGateUp) {
        long R = h.dim(0), F = h.dim(1);
        activation("h", h, R, F);
        activation("gateUp", gateUp, R, 2 * F);
        activation("dGateUp", dGateUp, R, 2 * F);
    }

    public void gelu(Tensor a, Tensor b, Tensor x) {
        long R = x.dim(0), F = x.dim(1);
        activation("x", x, R, F);
        activation("h", a, R, F);
        activation("dh", b, R, F);
    }

    public void adamW(long N, Tensor parameter, Tensor gradient, Tensor m, Tensor v) {
        f32("parameter", parameter, N);
        f32("gradient", gradient, N);
        f32("m", m, N);
        f32("v", v, N);
    }

    public void add(Tensor y, Tensor x) {
        activation("y", y, y.size());
        activation("x", x, y.size());
    }

    public void lossHeadGradients(
            LossHead.Shape s,
            LossHead.Sums<? extends Tensor> sums,
            Tensor dx,
            Tensor dTable,
            Tensor weight,
            Tensor refLoss) {
        activation("dx", dx, s.rows(), s.width());
        f32("dTable", dTable, s.paddedVocabulary(), s.width());
        lossWeights(sums, s.rows(), weight, refLoss);
    }

    /** @param R tokens */
    public void lossWeights(LossHead.Sums<? extends Tensor> sums, long R, Tensor weight, Tensor refLoss) {
        f32("weight", weight, R);
        f32OrNull("refLoss", refLoss, R);
        if ((refLoss == null) != (sums.excessSum_K() == null))
            throw new IllegalArgumentException("refLoss and the sums' excess go together, "
                    + (refLoss == null ? "refLoss" : "the excess") + " is null");
    }

    public void copy(Tensor to, Tensor from) {
        if (to.type() != from.type() || to.size() != from.size())
            throw new IllegalArgumentException("copy of " + from.describe() + " into " + to.describe());
    }
}
