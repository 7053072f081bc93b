package dev.rheostat.model;

import dev.rheostat.op.Tensor;

/** A tensor that a checkpoint holds, under the name that it has there. */
public record NamedTensor<X extends Tensor>(String name, X tensor) {}
