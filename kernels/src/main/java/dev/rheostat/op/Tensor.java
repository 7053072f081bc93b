package dev.rheostat.op;

/**
 * A contiguous row-major array that lives where its backend computes. The type of a tensor says where: a host tensor
 * can never reach a device op. A tensor is a view; the backend that allocated the memory frees it.
 */
public interface Tensor {
    DType type();

    /** Number of axes. */
    int rank();

    /** Length of axis {@code axis}, the slowest first. */
    long dim(int axis);

    /** Number of elements, the product of all lengths. */
    default long size() {
        long size = 1;
        for (int axis = 0; axis < rank(); axis++) size *= dim(axis);
        return size;
    }

    default long bytes() {
        return size() * type().bytes();
    }

    /** For messages, as in {@code f32[8, 256]}. */
    default String describe() {
        StringBuilder text = new StringBuilder(type().name().toLowerCase(java.util.Locale.ROOT)).append('[');
        for (int axis = 0; axis < rank(); axis++)
            text.append(axis == 0 ? "" : ", ").append(dim(axis));
        return text.append(']').toString();
    }
}
