package dev.rheostat.train;

import dev.rheostat.config.ModelConfig;
import dev.rheostat.config.RheostatException;
import dev.rheostat.op.LossHead;
import dev.rheostat.op.SlotLayout;

/** The loss head that a model and a batch need. */
final class LossHeads {
    /** A loss that training survives stays below it: chance over 2^22 ids is 15 nats, and a spike is some times chance. */
    private static final double LEAST_CLAMP_NATS = 64;

    /** A step may predict so many. */
    static final long MOST_TOKENS = (long) (LossHead.clampNats(1) / LEAST_CLAMP_NATS);

    private LossHeads() {}

    /**
     * @param config resolved
     * @param domains K
     * @throws RheostatException BAD_REQUEST when a step has so many tokens that a domain's fixed-point sum could not hold
     *     their losses: more than 2^31 / 64
     */
    static LossHead.Shape shape(ModelConfig config, SlotLayout slot, int domains) {
        if (slot.tokensPerStep() > MOST_TOKENS)
            throw new RheostatException(
                    RheostatException.Kind.BAD_REQUEST,
                    "batch.sequences: " + slot.sequences() + " of " + slot.tokens() + " tokens are "
                            + slot.tokensPerStep() + " tokens a step; the loss sums hold " + MOST_TOKENS);
        return new LossHead.Shape(
                slot.rows(),
                config.width(),
                config.vocabulary(),
                config.paddedVocabulary(),
                domains,
                LossHead.clampNats(slot.tokensPerStep()));
    }
}
