package dev.rheostat.op;

/**
 * The tied or untied output head fused with softmax cross-entropy: logits exist only for a chunk of rows at a time, and
 * each token's loss is added to its domain's sum in the pass that makes its gradient.
 *
 * <p>Sums are integers, so that any order of additions gives the same bits: a loss enters as a signed 64-bit fixed-point
 * number of {@link #FIXED_POINT} units a nat, after a clamp to {@code clampNats} (clamped tokens are counted). A
 * non-finite loss adds nothing and is counted in {@code flags}. Columns V to Vp are padding and take no probability.
 */
public interface LossHead<X extends Tensor> {
    /** Units of a fixed-point loss sum in one nat. */
    double FIXED_POINT = 4294967296.0; // 2^32

    /** Loss of one domain sum must stay below 2^31 nats: the clamp is 2^31 over the tokens of a step. */
    static double clampNats(long tokensPerStep) {
        return 2147483648.0 / tokensPerStep;
    }

    /** @param paddedVocabulary rows of the head's table, at least vocabulary */
    record Shape(long rows, int width, int vocabulary, int paddedVocabulary, int domains, double clampNats) {}

    /**
     * Sums of a step, in backend memory: lossSum (K) i64 fixed-point, tokenCount (K) i64,
     * flags (2) i64: tokens clamped, tokens with a non-finite loss; excessSum (K) i64 fixed-point, null where there are no
     * reference losses. Cleared with {@link #clear}.
     */
    record Sums<X extends Tensor>(X lossSum_K, X tokenCount_K, X flags_2, X excessSum_K) {
        /** Of a step without reference losses. */
        public Sums(X lossSum_K, X tokenCount_K, X flags_2) {
            this(lossSum_K, tokenCount_K, flags_2, null);
        }
    }

    /** Sums of a step without reference losses. */
    Sums<X> allocateSums();

    Sums<X> allocateSumsWithExcess();

    void clear(Sums<X> sums);

    /**
     * @param domain_R i32 in [0, K)
     * @param tokenLoss_R f32 out, nats of each token; null when not wanted
     */
    void forward(Sums<X> sums, X tokenLoss_R, X x_RC, X table_VpC, X targets_R, X domain_R);

    /**
     * Loss and gradient: dx is written. Each token's gradient is scaled by
     * {@code gradientScale * weight[r]}; the sums hold unweighted losses.
     *
     * <p>With reference losses, max(loss - refLoss, 0) of each token, the loss clamped and the excess too, is added to its
     * domain's excess in the same pass; a token whose loss adds nothing has no excess, nor has one whose reference loss is
     * NaN. Excess over a reference model: Xie et al. 2023, arXiv:2305.10429, sec. 2.
     * @param weight_R f32, 1 for an ordinary token
     * @param refLoss_R f32, nats of each token under another model; given exactly where the sums have an excess, else null
     * @param accumulate whether dTable is added to; else it is written, whatever it held
     */
    void forwardBackward(
            Sums<X> sums,
            X dx_RC,
            X dTable_VpC,
            X x_RC,
            X table_VpC,
            X targets_R,
            X domain_R,
            X weight_R,
            X refLoss_R,
            float gradientScale,
            boolean accumulate);
}
