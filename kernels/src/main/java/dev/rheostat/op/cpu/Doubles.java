package dev.rheostat.op.cpu;

import dev.rheostat.op.DType;
import dev.rheostat.op.HostTensor;

/**
 * Tensors as arrays of doubles, for the definitions: an op reads its operands whole, computes in doubles and rounds once
 * when it writes. Arrays hold up to 2^31 elements, enough for an oracle.
 */
final class Doubles {
    private Doubles() {}

    /** A copy of an f32 or f64 tensor; null for null. */
    static double[] of(HostTensor x) {
        if (x == null) return null;
        double[] values = new double[Math.toIntExact(x.size())];
        for (int i = 0; i < values.length; i++) values[i] = x.getDouble(i);
        return values;
    }

    /** A copy of an i32 tensor; null for null. */
    static int[] ints(HostTensor x) {
        if (x == null) return null;
        int[] values = new int[Math.toIntExact(x.size())];
        for (int i = 0; i < values.length; i++) values[i] = x.getInt(i);
        return values;
    }

    /** Nothing for a null tensor. */
    static void write(HostTensor x, double[] values) {
        if (x == null) return;
        for (int i = 0; i < values.length; i++) x.setDouble(i, values[i]);
    }

    /** Whether a tensor of this type holds real numbers that {@link #of} can read. */
    static boolean isReal(DType type) {
        return type == DType.F32 || type == DType.F64;
    }
}
