package dev.rheostat.data;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.rheostat.config.RheostatException;
import dev.rheostat.op.SlotLayout;
import java.lang.foreign.MemorySegment;

/**
 * Writes sequences into slots of {@link SlotLayout}: tokens, domains, weights of 1, and where each token's document starts. Allocates
 * nothing. A token after an end of text starts a new document.
 */
public final class SlotFiller {
    private final TokenDataset dataset;
    private final SlotLayout layout;
    private final boolean documents;

    /** @param documents whether document starts are told apart; else they are all 0 */
    public SlotFiller(TokenDataset dataset, SlotLayout layout, boolean documents) {
        this.dataset = dataset;
        this.layout = layout;
        this.documents = documents;
    }

    /** Step number and learning rate. */
    public void writeStep(MemorySegment slot, long step, double learningRate) {
        slot.set(JAVA_LONG, SlotLayout.STEP_OFFSET, step);
        slot.set(JAVA_FLOAT, SlotLayout.LEARNING_RATE_OFFSET, (float) learningRate);
    }

    /**
     * Sequence {@code b} of the slot: T + 1 tokens of a domain's source from {@code firstToken} on.
     * @throws RheostatException DAMAGED, naming domain and position of a token that is no id of the tokenizer
     */
    public void writeSequence(MemorySegment slot, int b, int domain, TokenSource source, long firstToken) {
        int T = layout.tokens();
        long tokens = SlotLayout.TOKENS_OFFSET + 4L * b * (T + 1);
        source.copy(firstToken, T + 1, slot, tokens);
        int vocabulary = dataset.tokenizer().vocabulary(),
                endOfText = dataset.tokenizer().endOfText(),
                start = 0;
        long starts = layout.docStartOffset() + 4L * b * T;
        for (int t = 0; t <= T; t++) {
            int token = slot.get(JAVA_INT, tokens + 4L * t);
            if (token < 0 || token >= vocabulary)
                throw new RheostatException(
                        RheostatException.Kind.DAMAGED,
                        "domain " + dataset.domains().get(domain).name() + " has token id " + token + " at token "
                                + (firstToken + t) + ", the vocabulary of "
                                + dataset.tokenizer().name() + " ends at "
                                + (vocabulary - 1) + ": prepare the dataset again");
            if (t < T) slot.set(JAVA_INT, starts + 4L * t, start);
            if (documents && token == endOfText) start = t + 1;
        }
        slot.set(JAVA_INT, layout.domainOffset() + 4L * b, domain);
        writeWeight(slot, b, 1);
    }

    /** Of every token of sequence {@code b}, in place of the 1 that {@link #writeSequence} leaves. */
    public void writeWeight(MemorySegment slot, int b, double weight) {
        slot.set(JAVA_FLOAT, layout.weightOffset() + 4L * b, (float) weight);
    }
}
