package dev.rheostat.bench;

import dev.rheostat.op.AttentionShape;
import dev.rheostat.op.SlotLayout;
import dev.rheostat.op.cuda.CudaBackend;
import java.util.List;

/**
 * What one op must move through device memory and compute, by closed formulas: those of the kernels' headers, in one place. What
 * is read again while L2 still holds it is not counted.
 *
 * @param bytes of device memory, read and written
 * @param flops as the literature counts them: of a matrix product 2 M N K, of attention half of the square of positions, its
 *     backward pass 2.5 times the forward one; of ops bound by memory 0
 * @param launches kernels, copies and fills that it enqueues on a GPU
 */
record OpCost(String op, Limit limit, double bytes, double flops, long inner, int launches) {
    /** What an op is judged against. */
    enum Limit {
        /** A device copy, in bytes a second. */
        MEMORY,
        /** The bus between host and device. */
        LINK,
        /** A large bf16 product of cuBLASLt, in FLOP/s. */
        PRODUCT,
        /** The same product, which no attention comes near. */
        ATTENTION_FORWARD,
        ATTENTION_BACKWARD_BY_HEADS,
        ATTENTION_BACKWARD_BY_TILES;

        boolean ofMemory() {
            return this == MEMORY || this == LINK;
        }
    }

    /** A third of a batch's tokens are different ones: what English text of 64 Ki tokens in a vocabulary of 50,257 has, nearly. */
    static final double DISTINCT_TOKENS = 1.0 / 3;

    private static final int SORT_DIGIT_BITS = 9, SORT_CHUNK = 32;

    private static OpCost memory(String op, double bytes, int launches) {
        return new OpCost(op, Limit.MEMORY, bytes, 0, 0, launches);
    }

    /**
     * C (M,N) = op(A) op(B), operands bf16.
     * @param outBytes of an element of C
     * @param added tensors of C's size that are read and added, C itself if it accumulates; on average over the runs
     */
    static OpCost product(String op, long M, long N, long K, int outBytes, double added) {
        double bytes = 2.0 * (M * (double) K + K * (double) N) + (1 + added) * outBytes * M * N;
        return new OpCost(op, Limit.PRODUCT, bytes, 2.0 * M * N * K, K, 1);
    }

    static OpCost embeddingForward(long R, long C) {
        return memory("embedding forward", 4.0 * R * C + 4.0 * R, 1);
    }

    /** dx once, each different token's row of the f32 gradient read and written, the pairs of a sort by digits. */
    static OpCost embeddingBackward(long R, long C, long V) {
        int digits = (Long.SIZE - Long.numberOfLeadingZeros(V - 1) + SORT_DIGIT_BITS - 1) / SORT_DIGIT_BITS;
        double rows = DISTINCT_TOKENS * R + (double) R / SORT_CHUNK;
        return memory("embedding backward", 2.0 * R * C + 8.0 * C * rows + 20.0 * R * digits, 2 * digits + 2);
    }

    static OpCost normForward(long R, long C) {
        return memory("norm forward", 4.0 * R * C + 8.0 * R, 1);
    }

    static OpCost normBackward(long R, long C) {
        return memory("norm backward", 8.0 * R * C + 8.0 * R, 1);
    }

    /** With gain and bias, whose gradients take a launch each. */
    static OpCost layerNormBackward(long R, long C) {
        return memory("layer norm backward", 8.0 * R * C + 8.0 * R, 3);
    }

    static OpCost rotaryForward(AttentionShape s) {
        return memory("qk rotary forward", s.rows() * (4.0 * s.qkWidth() + 8.0 * (s.heads() + s.kvHeads())), 1);
    }

    static OpCost rotaryBackward(AttentionShape s) {
        return memory("qk rotary backward", s.rows() * (6.0 * s.qkWidth() + 8.0 * (s.heads() + s.kvHeads())), 3);
    }

    static OpCost attentionForward(AttentionShape s) {
        double bytes = s.rows() * (4.0 * s.qkWidth() + 4.0 * s.heads());
        return new OpCost("attention forward", Limit.ATTENTION_FORWARD, bytes, causalFlops(s), s.headWidth(), 1);
    }

    /** By heads (attention_hopper_heads.cu) or by tiles (attention_hopper.cu), as a device of so many multiprocessors makes it. */
    static OpCost attentionBackward(AttentionShape s, int multiprocessors) {
        boolean byHeads = CudaBackend.backwardByHeads(s, multiprocessors);
        int tensors = byHeads ? 5 * s.heads() + 4 * s.kvHeads() : 6 * s.heads() + 6 * s.kvHeads();
        return new OpCost(
                "attention backward",
                byHeads ? Limit.ATTENTION_BACKWARD_BY_HEADS : Limit.ATTENTION_BACKWARD_BY_TILES,
                s.rows() * (2.0 * s.headWidth() * tensors + 20.0 * s.heads()),
                2.5 * causalFlops(s),
                s.headWidth(),
                2);
    }

    /** Two products of a query and, on average, T / 2 keys. */
    private static double causalFlops(AttentionShape s) {
        return 2.0 * s.rows() * s.tokens() * s.heads() * s.headWidth();
    }

    static OpCost swigluForward(long R, long F) {
        return memory("swiglu forward", 6.0 * R * F, 1);
    }

    static OpCost swigluBackward(long R, long F) {
        return memory("swiglu backward", 10.0 * R * F, 1);
    }

    static OpCost geluForward(long R, long F) {
        return memory("gelu forward", 4.0 * R * F, 1);
    }

    static OpCost geluBackward(long R, long F) {
        return memory("gelu backward", 6.0 * R * F, 1);
    }

    /** Logits of so many rows read once, gradients written in their place. */
    static OpCost lossKernel(String op, long rows, long Vp) {
        return memory(op, rows * (4.0 * Vp + 24), 1);
    }

    /** One op of several parts that are bound by different things; of its products' kind. */
    static OpCost together(String op, List<OpCost> parts) {
        double bytes = parts.stream().mapToDouble(OpCost::bytes).sum();
        double flops = parts.stream().mapToDouble(OpCost::flops).sum();
        int launches = parts.stream().mapToInt(OpCost::launches).sum();
        return new OpCost(op, Limit.PRODUCT, bytes, flops, parts.getFirst().inner, launches);
    }

    /** The norm reads the gradient; the update reads four arrays and writes three of them and the bf16 copy. */
    static OpCost adamW(long N) {
        return memory("adamw", 34.0 * N, 3);
    }

    static OpCost fill(String op, double bytes) {
        return memory(op, bytes, 1);
    }

    static OpCost copy(double bytes) {
        return memory("copy", 2 * bytes, 1);
    }

    static OpCost add(long N) {
        return memory("add", 6.0 * N, 1);
    }

    static OpCost biasBackward(long R, long O) {
        return memory("bias backward", 2.0 * R * O, 2);
    }

    static OpCost stepBegin(SlotLayout slot) {
        return new OpCost("step begin", Limit.LINK, slot.bytes(), 0, 0, 1);
    }

    static OpCost stepLoad(SlotLayout slot) {
        return memory("step load", 32.0 * slot.rows(), 1);
    }

    static OpCost stepPublish(int domains) {
        return new OpCost("step publish", Limit.LINK, 64 + 16.0 * domains, 0, 0, 1);
    }

    /** As a rate of what limits it: FLOP/s, or bytes a second. */
    double rate(double seconds) {
        return (limit.ofMemory() ? bytes : flops) / seconds;
    }
}
