package dev.rheostat.op;

/** Element types of tensors. */
public enum DType {
    F32(4),
    /** The definitions compute in it, for gradient checks; partial sums of a norm are kept in it. */
    F64(8),
    BF16(2),
    I32(4),
    I64(8);

    private final int bytes;

    DType(int bytes) {
        this.bytes = bytes;
    }

    public int bytes() {
        return bytes;
    }
}
