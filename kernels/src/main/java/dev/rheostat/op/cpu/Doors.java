package dev.rheostat.op.cpu;

import dev.rheostat.op.AttentionShape;
import dev.rheostat.op.DType;
import dev.rheostat.op.HostTensor;
import dev.rheostat.op.LossHead;
import dev.rheostat.op.Norm;
import java.util.Arrays;

/**
 * The checks at the door of every op on host tensors, the same for a definition and its fast variant. Each throws an
 * IllegalArgumentException that names the tensor, its shape and the shape wanted, before anything is written.
 */
final class Doors {
    private Doors() {}

    /** An f32 tensor (f64 where the definitions compute in doubles) of just this shape. */
    static void real(String name, HostTensor x, long... shape) {
        if (!Doubles.isReal(x.type())) refuse(name, x, "f32", shape);
        shape(name, x, x.type(), shape);
    }

    /** As {@link #real}, or null. */
    static void realOrNull(String name, HostTensor x, long... shape) {
        if (x != null) real(name, x, shape);
    }

    static void ints(String name, HostTensor x, long... shape) {
        if (x.type() != DType.I32) refuse(name, x, "i32", shape);
        shape(name, x, DType.I32, shape);
    }

    static void longs(String name, HostTensor x, long... shape) {
        if (x.type() != DType.I64) refuse(name, x, "i64", shape);
        shape(name, x, DType.I64, shape);
    }

    private static void shape(String name, HostTensor x, DType type, long... shape) {
        boolean same = x.rank() == shape.length;
        for (int axis = 0; same && axis < shape.length; axis++) same = x.dim(axis) == shape[axis];
        // Views differ in how they fold rows (R against B,T); what an op needs is the number of elements in row order.
        if (!same && x.size() != product(shape)) refuse(name, x, type.name().toLowerCase(java.util.Locale.ROOT), shape);
    }

    private static long product(long... shape) {
        long size = 1;
        for (long length : shape) size *= length;
        return size;
    }

    private static void refuse(String name, HostTensor x, String type, long... shape) {
        throw new IllegalArgumentException(name + " is " + x.describe() + ", wanted " + type + Arrays.toString(shape));
    }

    static void normForward(HostTensor y, HostTensor stats, HostTensor x, HostTensor gain, HostTensor bias) {
        long R = x.dim(0), C = x.dim(1);
        real("x", x, R, C);
        real("y", y, R, C);
        real("stats", stats, R, 2);
        realOrNull("gain", gain, C);
        realOrNull("bias", bias, C);
    }

    static void normBackward(
            Norm.Kind kind,
            HostTensor dx,
            HostTensor dGain,
            HostTensor dBias,
            HostTensor dy,
            HostTensor x,
            HostTensor stats,
            HostTensor gain) {
        long C = x.dim(1);
        normForward(dx, stats, x, gain, dBias);
        real("dy", dy, x.dim(0), C);
        realOrNull("dGain", dGain, C);
        if ((gain == null) != (dGain == null))
            throw new IllegalArgumentException(kind + " norm: gain and its gradient go together, one is null");
    }

    static void qkRotary(
            AttentionShape s, HostTensor qk, HostTensor stats, HostTensor qkv, HostTensor gainQ, HostTensor gainK) {
        real("qk", qk, s.rows(), s.qkWidth());
        real("qkv", qkv, s.rows(), s.qkvWidth());
        realOrNull("gainQ", gainQ, s.headWidth());
        realOrNull("gainK", gainK, s.headWidth());
        if ((gainQ == null) != (gainK == null) || (gainQ == null) != (stats == null))
            throw new IllegalArgumentException("gainQ, gainK and stats go together: all or none");
        realOrNull("stats", stats, s.rows(), s.heads() + s.kvHeads(), 2);
    }

    static void attention(
            AttentionShape s, HostTensor o, HostTensor lse, HostTensor qk, HostTensor qkv, HostTensor docStart) {
        real("o", o, s.rows(), (long) s.heads() * s.headWidth());
        real("lse", lse, s.rows(), s.heads());
        real("qk", qk, s.rows(), s.qkWidth());
        real("qkv", qkv, s.rows(), s.qkvWidth());
        if (docStart != null) ints("docStart", docStart, s.rows());
    }

    static void lossHead(
            LossHead.Shape s,
            LossHead.Sums<HostTensor> sums,
            HostTensor x,
            HostTensor table,
            HostTensor targets,
            HostTensor domain) {
        longs("lossSum", sums.lossSum_K(), s.domains());
        longs("tokenCount", sums.tokenCount_K(), s.domains());
        longs("flags", sums.flags_2(), 2);
        real("x", x, s.rows(), s.width());
        real("table", table, s.paddedVocabulary(), s.width());
        ints("targets", targets, s.rows());
        ints("domain", domain, s.rows());
    }

    static void embedding(HostTensor x, HostTensor tokens, HostTensor table, HostTensor positions) {
        long R = x.dim(0), C = x.dim(1);
        real("x", x, R, C);
        ints("tokens", tokens, R);
        real("table", table, table.dim(0), C);
        if (positions == null) return;
        real("positions", positions, positions.dim(0), C);
        if (R % positions.dim(0) != 0)
            throw new IllegalArgumentException(
                    "rows " + R + " of x are no multiple of the " + positions.dim(0) + " positions");
    }

    static void swiglu(HostTensor h, HostTensor gateUp, HostTensor dGateUp) {
        long R = h.dim(0), F = h.dim(1);
        real("h", h, R, F);
        real("gateUp", gateUp, R, 2 * F);
        real("dGateUp", dGateUp, R, 2 * F);
    }

    static void gelu(HostTensor a, HostTensor b, HostTensor x) {
        long R = x.dim(0), F = x.dim(1);
        real("x", x, R, F);
        real("h", a, R, F);
        real("dh", b, R, F);
    }

    static void adamW(long N, HostTensor parameter, HostTensor gradient, HostTensor m, HostTensor v) {
        real("parameter", parameter, N);
        real("gradient", gradient, N);
        real("m", m, N);
        real("v", v, N);
    }

    static void add(HostTensor y, HostTensor x) {
        real("y", y, y.size());
        real("x", x, y.size());
    }

    static void lossHeadGradients(LossHead.Shape s, HostTensor dx, HostTensor dTable, HostTensor weight) {
        real("dx", dx, s.rows(), s.width());
        real("dTable", dTable, s.paddedVocabulary(), s.width());
        real("weight", weight, s.rows());
    }

    static void copy(HostTensor to, HostTensor from) {
        if (to.type() != from.type() || to.size() != from.size())
            throw new IllegalArgumentException("copy of " + from.describe() + " into " + to.describe());
    }
}
