package dev.rheostat.train;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import dev.rheostat.config.ModelConfig;
import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RheostatException.Kind;
import dev.rheostat.data.TokenDataset;
import dev.rheostat.model.Parameters;
import dev.rheostat.op.Backend;
import dev.rheostat.op.SlotLayout;
import dev.rheostat.op.Tensor;
import java.lang.foreign.MemorySegment;

/**
 * A model that was trained before, against whose losses a run holds its own. It computes the reference losses of a slot in
 * evaluation mode, as many sequences at a time as a micro-batch has: its own step reads the slot's tokens and document starts, so
 * the losses depend on the slot and the model's checkpoint alone.
 *
 * <p>For the thread that launches steps: a backend runs one op at a time. On a device the losses wait for the step before, since both
 * run on one stream.
 */
final class ReferenceModel<X extends Tensor> {
    private final SavedModel saved;
    private final SlotLayout slots;
    private final SlotLayout part;
    private final EvalStep<X> evalStep;

    /**
     * @param slots of the run that is trained
     * @param documentMask as that run has it
     * @throws RheostatException BAD_REQUEST if the model reads other tokens, or shorter sequences
     */
    ReferenceModel(SavedModel saved, TokenDataset dataset, Backend<X> backend, SlotLayout slots, boolean documentMask) {
        this.saved = saved;
        this.slots = slots;
        part = partOf(slots);
        String tokenizer = saved.tokenizer().name();
        if (!tokenizer.equals(dataset.tokenizer().name()))
            throw refused("reads tokens of " + tokenizer + ", and " + dataset.name() + " is in those of "
                    + dataset.tokenizer().name());
        int context = saved.config().model().context();
        if (context < slots.tokens())
            throw refused("has a model.context of " + context + ", less than this run's " + slots.tokens());
        int domains = dataset.domains().size();
        ModelConfig model = saved.config().model();
        evalStep = step(backend, model, saved.parameters(backend), slots, domains, documentMask);
    }

    private static SlotLayout partOf(SlotLayout slots) {
        return new SlotLayout(slots.sequences() / slots.microBatches(), 1, slots.tokens());
    }

    private static <X extends Tensor> EvalStep<X> step(
            Backend<X> backend,
            ModelConfig model,
            Parameters<X> parameters,
            SlotLayout slots,
            int domains,
            boolean documentMask) {
        return EvalStep.alone(backend, model, parameters, partOf(slots), domains, documentMask, "reference");
    }

    /** Takes of a planning backend what a reference takes. @param model resolved */
    static <X extends Tensor> void plan(Backend<X> planning, ModelConfig model, SlotLayout slots, int domains) {
        step(planning, model, Parameters.weights(planning, model), slots, domains, false);
    }

    private RheostatException refused(String why) {
        return new RheostatException(
                Kind.BAD_REQUEST,
                "mixture.referenceRun: the model of " + saved.checkpoint().path() + " " + why);
    }

    /** Which model it is: a run that is resumed must have the same. */
    String identity() {
        return saved.checkpoint().steps() + " steps, " + saved.checkpoint().tensorsSha256();
    }

    /**
     * Writes the reference loss of each token of a slot that is filled otherwise.
     * @throws RheostatException DAMAGED if one is no number
     */
    void fill(MemorySegment slot) {
        for (int first = 0; first < slots.sequences(); first += part.sequences()) {
            copyPart(slot, first);
            evalStep.run();
            MemorySegment losses = evalStep.tokenLosses();
            for (long i = 0; i < part.rows(); i++)
                if (!Float.isFinite(losses.getAtIndex(JAVA_FLOAT, i)))
                    throw new RheostatException(
                            Kind.DAMAGED,
                            "the reference model " + saved.checkpoint().path()
                                    + " has a loss that is not finite: take another run as mixture.referenceRun");
            long to = slots.refLossOffset() + 4L * first * slots.tokens();
            MemorySegment.copy(losses, 0, slot, to, 4 * part.rows());
        }
    }

    private void copyPart(MemorySegment slot, int first) {
        MemorySegment to = evalStep.slot();
        long B = part.sequences(), T = slots.tokens();
        MemorySegment.copy(
                slot, SlotLayout.TOKENS_OFFSET + 4 * first * (T + 1), to, SlotLayout.TOKENS_OFFSET, 4 * B * (T + 1));
        MemorySegment.copy(slot, slots.domainOffset() + 4L * first, to, part.domainOffset(), 4 * B);
        MemorySegment.copy(slot, slots.docStartOffset() + 4 * first * T, to, part.docStartOffset(), 4 * B * T);
    }
}
