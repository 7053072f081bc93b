package dev.rheostat.train;

import dev.rheostat.config.ModelConfig;
import dev.rheostat.model.GptModel;
import dev.rheostat.model.Gradients;
import dev.rheostat.model.Initializer;
import dev.rheostat.model.NamedTensor;
import dev.rheostat.model.Parameters;
import dev.rheostat.op.AdamW;
import dev.rheostat.op.Backend;
import dev.rheostat.op.LossHead;
import dev.rheostat.op.RecordLayout;
import dev.rheostat.op.SlotLayout;
import dev.rheostat.op.StepIo;
import dev.rheostat.op.Tensor;
import java.util.ArrayList;
import java.util.List;

/**
 * One step of training: read a slot, forward and backward of each micro-batch, AdamW, publish a record. The objective is
 * the mean over the step's tokens of weight times loss, in nats. Everything is allocated by the constructor.
 */
public final class TrainStep<X extends Tensor> {
    private final Backend<X> backend;
    private final StepIo.Rings rings;
    private final AdamW.Settings settings;
    private final boolean documentMask;
    private final Parameters<X> parameters;
    private final Gradients<X> gradients;
    private final Parameters<X> firstMoment, secondMoment;
    private final GptModel<X> model;
    private final LossHead<X> lossHead;
    private final LossHead.Sums<X> sums;
    private final AdamW<X> adamW;
    private final AdamW.Control<X> control;
    private final StepIo<X> io;
    private final StepIo.MicroBatch<X> batch;
    private final Runnable program;

    /**
     * @param config resolved
     * @param rings of slots, whose tokens a sequence are at most the model's context, and of records
     * @param documentMask no attention across documents: the slot's docStart is obeyed
     * @throws dev.rheostat.op.OutOfMemoryException when the plan does not fit
     */
    public TrainStep(
            Backend<X> backend, ModelConfig config, StepIo.Rings rings, AdamW.Settings settings, boolean documentMask) {
        this.backend = backend;
        this.rings = rings;
        this.settings = settings;
        this.documentMask = documentMask;
        SlotLayout slotLayout = rings.slotLayout();
        if (slotLayout.referenceLosses() != rings.recordLayout().referenceLosses())
            throw new IllegalArgumentException("slots and records must both have reference losses, or neither");
        parameters = Parameters.weights(backend, config);
        gradients = new Gradients<>(backend, config, slotLayout.rows());
        firstMoment = Parameters.of(backend, "optimizer", config);
        secondMoment = Parameters.of(backend, "optimizer", config);
        model = GptModel.forTraining(
                backend, config, parameters, slotLayout.sequences() / slotLayout.microBatches(), slotLayout.tokens());
        lossHead = backend.lossHead(
                LossHeads.shape(config, slotLayout, rings.recordLayout().domains()));
        sums = slotLayout.referenceLosses() ? lossHead.allocateSumsWithExcess() : lossHead.allocateSums();
        adamW = backend.adamW(parameters.layout().size());
        control = adamW.allocateControl();
        io = backend.stepIo(rings);
        batch = io.allocateMicroBatch();
        program = backend.program("training step", this::step);
    }

    /** Fills the weights from the seed; moments and counters are as the constructor left them, zero. */
    public void initialize(long seed) {
        Initializer.initialize(backend, parameters, seed);
    }

    /** The step that {@link #run} does next, 0 at first: it reads that step's slot and publishes that step's record. */
    public void seek(long step) {
        io.seek(step);
    }

    /**
     * Runs the next step, whose slot must be filled; its record's sequence number is written last. On a device this returns when the
     * step is under way.
     */
    public void run() {
        program.run();
    }

    private void step() {
        SlotLayout slotLayout = rings.slotLayout();
        X docStart_R = documentMask ? batch.docStart_R() : null;
        float gradientScale = 1f / slotLayout.tokensPerStep();
        io.begin(control);
        lossHead.clear(sums);
        gradients.clear();
        for (int microBatch = 0; microBatch < slotLayout.microBatches(); microBatch++) {
            boolean accumulate = microBatch > 0;
            io.load(batch, microBatch);
            model.forward(batch.tokens_R(), docStart_R);
            backend.pushRange("loss head");
            lossHead.forwardBackward(
                    sums,
                    gradients.output_RC(),
                    gradients.parameters().head_VpC(),
                    model.output_RC(),
                    parameters.head_VpC(),
                    batch.targets_R(),
                    batch.domain_R(),
                    batch.weight_R(),
                    batch.refLoss_R(),
                    gradientScale,
                    accumulate);
            backend.popRange();
            model.backward(gradients, batch.tokens_R(), docStart_R, accumulate);
        }
        backend.pushRange("optimizer");
        adamW.update(
                parameters.flat_N(),
                gradients.parameters().flat_N(),
                firstMoment.flat_N(),
                secondMoment.flat_N(),
                sums,
                control,
                settings);
        backend.popRange();
        io.publish(sums, control);
    }

    /**
     * All that the step remembers from one run to the next, for checkpoints: weights under their own names, moments as
     * {@code adam.m.} and {@code adam.v.} before the name, {@code adam.counters} (2) i64: updates applied, updates skipped.
     * Read with {@link Backend#download}, restore with {@link Backend#upload}.
     */
    public List<NamedTensor<X>> namedTensors() {
        List<NamedTensor<X>> all = new ArrayList<>(parameters.named(""));
        all.addAll(firstMoment.named("adam.m."));
        all.addAll(secondMoment.named("adam.v."));
        all.add(new NamedTensor<>("adam.counters", control.counters_2()));
        return all;
    }

    public Backend<X> backend() {
        return backend;
    }

    public ModelConfig config() {
        return model.config();
    }

    public SlotLayout slotLayout() {
        return rings.slotLayout();
    }

    public RecordLayout recordLayout() {
        return rings.recordLayout();
    }

    public Parameters<X> parameters() {
        return parameters;
    }

    /** Of the last step, every micro-batch added up, before the clip. */
    Gradients<X> gradients() {
        return gradients;
    }

    boolean documentMask() {
        return documentMask;
    }

    GptModel<X> model() {
        return model;
    }

    LossHead<X> lossHead() {
        return lossHead;
    }
}
