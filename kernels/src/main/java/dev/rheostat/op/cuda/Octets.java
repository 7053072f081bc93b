package dev.rheostat.op.cuda;

/** Kernels that move data take it eight values at a time: 16 bytes of bf16, the widest load of a thread. */
final class Octets {
    static final int WIDTH = 8, BLOCK_THREADS = 256;

    private static final int ALIGNMENT = WIDTH * Short.BYTES;

    private Octets() {}

    /** Octets of an axis. @throws IllegalArgumentException naming the axis and its length where it does not divide */
    static int of(String op, String axis, long length) {
        if (length % WIDTH != 0)
            throw new IllegalArgumentException(
                    op + " on CUDA takes " + axis + " in multiples of " + WIDTH + ", not " + axis + "=" + length);
        return Math.toIntExact(length / WIDTH);
    }

    /** Octets of rows, where a thread has one and counts them in 31 bits. @throws IllegalArgumentException past that */
    static int of(String op, long rows, int octetsPerRow) {
        long octets = Math.multiplyExact(rows, octetsPerRow);
        if (octets > Integer.MAX_VALUE)
            throw new IllegalArgumentException(
                    op + " on CUDA takes up to 2^34 elements a call, not " + rows + " rows of " + WIDTH * octetsPerRow);
        return (int) octets;
    }

    /** Blocks of {@link #BLOCK_THREADS} threads, one for each octet, a last one that is not whole included. */
    static long blocks(long octets) {
        return (octets + BLOCK_THREADS - 1) / BLOCK_THREADS;
    }

    /** @throws IllegalArgumentException naming a tensor that does not start on 16 bytes; null for a tensor that is not there */
    static void aligned(String op, DeviceTensor... tensors) {
        for (DeviceTensor x : tensors)
            if (x != null && x.address() % ALIGNMENT != 0)
                throw new IllegalArgumentException(op + " on CUDA takes tensors that start on " + ALIGNMENT
                        + " bytes; a view " + x.describe() + " starts " + x.address() % ALIGNMENT + " bytes past that");
    }
}
