package dev.rheostat.model;

import dev.rheostat.op.DType;
import dev.rheostat.op.Tensor;

/**
 * Where buffers come from: {@code backend::allocate}, or a counter that only adds up what would be taken. Both walk the
 * same code, so a memory plan cannot disagree with the run.
 */
@FunctionalInterface
interface Allocator<X extends Tensor> {
    X allocate(String purpose, DType type, long... shape);
}
