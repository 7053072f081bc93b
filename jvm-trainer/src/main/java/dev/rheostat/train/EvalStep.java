package dev.rheostat.train;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.rheostat.config.ModelConfig;
import dev.rheostat.model.GptModel;
import dev.rheostat.model.Parameters;
import dev.rheostat.op.Backend;
import dev.rheostat.op.DType;
import dev.rheostat.op.LossHead;
import dev.rheostat.op.RecordLayout;
import dev.rheostat.op.SlotLayout;
import dev.rheostat.op.StepIo;
import dev.rheostat.op.Tensor;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;

/**
 * The loss of every token of a slot, forward only. Beside a training step it works in that step's activations, which hold
 * nothing between steps; everything that outlives a step is its own, so evaluating changes no bit of the training.
 *
 * <p>Use: fill {@link #slot} (tokens, domains, document starts; weights are not read) with up to {@code
 * slotLayout().sequences()} windows, call {@link #run}, then read {@link #tokenLosses} or add to {@link Totals}. Sequences
 * of the slot beyond those that are asked for are computed and ignored, so a slot may be filled in part.
 *
 * <p>A pass ends with a record, as a step of training does, and {@link LateRecords} looks into one that does not come: whoever waited
 * for the device itself would wait for one that hangs for ever.
 */
public final class EvalStep<X extends Tensor> {
    /** Loss sums and predicted tokens by domain; sums are taken in the order of the slots, in double precision. */
    public record Totals(double[] lossNats_K, long[] tokens_K) {
        public Totals(int domains) {
            this(new double[domains], new long[domains]);
        }

        /** Mean nats a token of domain k; NaN before its first token. */
        public double meanNats(int k) {
            return lossNats_K[k] / tokens_K[k];
        }
    }

    private static final String EVALUATION = "evaluation";

    /** Turns before the waiting thread parks, and how long: nothing beside a pass of milliseconds. */
    private static final int SPINS = 200;

    private static final long PARK_NANOS = 50_000;

    private final Backend<X> backend;
    private final GptModel<X> model;
    private final LossHead<X> lossHead;
    private final boolean documentMask;
    private final StepIo.Rings rings;
    private final StepIo<X> io;
    private final StepIo.MicroBatch<X> batch;
    private final LossHead.Sums<X> sums;
    private final X tokenLoss_R;
    private final MemorySegment losses;
    private final Runnable program;
    private final LossRing records;
    private final LateRecords lateRecords;
    private long pass;

    private EvalStep(
            Backend<X> backend,
            GptModel<X> model,
            LossHead<X> lossHead,
            SlotLayout slotLayout,
            int domains,
            boolean documentMask,
            String name,
            LateRecords.Limits patience) {
        this.backend = backend;
        this.model = model;
        this.lossHead = lossHead;
        this.documentMask = documentMask;
        rings = StepIo.Rings.allocate(backend, name, slotLayout, new RecordLayout(domains), 1);
        io = backend.stepIo(rings);
        batch = io.allocateMicroBatch();
        sums = lossHead.allocateSums();
        tokenLoss_R = backend.allocate(name, DType.F32, slotLayout.rows());
        losses = backend.allocateShared(name, 4 * slotLayout.rows());
        program = backend.program(name, this::step);
        records = new LossRing(rings);
        lateRecords = new LateRecords(backend, patience, name + " pass");
    }

    /** Evaluates the weights that {@code training} trains, in its memory, as many sequences at a time as its micro-batch has. */
    public static <X extends Tensor> EvalStep<X> beside(TrainStep<X> training) {
        return beside(training, LateRecords.Limits.DEFAULT);
    }

    static <X extends Tensor> EvalStep<X> beside(TrainStep<X> training, LateRecords.Limits patience) {
        SlotLayout trained = training.slotLayout();
        return new EvalStep<>(
                training.backend(),
                training.model(),
                training.lossHead(),
                new SlotLayout(trained.sequences() / trained.microBatches(), 1, trained.tokens()),
                training.recordLayout().domains(),
                training.documentMask(),
                EVALUATION,
                patience);
    }

    /** Evaluates given weights; of what only training needs nothing is allocated but scratch of attention. @param domains K */
    public static <X extends Tensor> EvalStep<X> alone(
            Backend<X> backend,
            ModelConfig config,
            Parameters<X> parameters,
            SlotLayout slotLayout,
            int domains,
            boolean documentMask) {
        return alone(backend, config, parameters, slotLayout, domains, documentMask, EVALUATION);
    }

    /** The same under another name in memory plans and profiles, where there is an evaluation besides. */
    static <X extends Tensor> EvalStep<X> alone(
            Backend<X> backend,
            ModelConfig config,
            Parameters<X> parameters,
            SlotLayout slotLayout,
            int domains,
            boolean documentMask,
            String name) {
        if (slotLayout.microBatches() != 1)
            throw new IllegalArgumentException("microBatches=" + slotLayout.microBatches() + "; evaluation has one");
        GptModel<X> model =
                GptModel.forInference(backend, config, parameters, slotLayout.sequences(), slotLayout.tokens());
        LossHead<X> lossHead = backend.lossHead(LossHeads.shape(config, slotLayout, domains));
        return new EvalStep<>(
                backend, model, lossHead, slotLayout, domains, documentMask, name, LateRecords.Limits.DEFAULT);
    }

    public ModelConfig config() {
        return model.config();
    }

    public SlotLayout slotLayout() {
        return rings.slotLayout();
    }

    /** Filled by the caller before each {@link #run}. All its tokens must be ids, those of unused sequences too; zeros are. */
    public MemorySegment slot() {
        return rings.slot(0);
    }

    /**
     * Computes the loss of every token of the slot and waits for it.
     * @throws dev.rheostat.op.DeviceException if the device has failed or hangs
     */
    public void run() {
        slot().set(JAVA_LONG, SlotLayout.STEP_OFFSET, pass);
        long startNanos = System.nanoTime();
        program.run();
        BooleanSupplier arrived = () -> records.arrived(pass);
        for (int turns = 0; !arrived.getAsBoolean(); turns++) {
            lateRecords.waiting(pass, System.nanoTime() - startNanos, arrived);
            if (turns < SPINS) Thread.onSpinWait();
            else LockSupport.parkNanos(this, PARK_NANOS);
        }
        lateRecords.arrived(System.nanoTime() - startNanos);
        pass++;
        backend.download(losses, tokenLoss_R);
    }

    private void step() {
        io.begin(null);
        io.load(batch, 0);
        lossHead.clear(sums);
        model.forward(batch.tokens_R(), documentMask ? batch.docStart_R() : null);
        lossHead.forward(
                sums,
                tokenLoss_R,
                model.output_RC(),
                model.parameters().head_VpC(),
                batch.targets_R(),
                batch.domain_R());
        io.publish(sums, null);
    }

    /** {@link #run}, then adds the first {@code sequences} sequences to {@code totals}, each to the domain that the slot names. */
    public void run(int sequences, Totals totals) {
        run();
        SlotLayout slotLayout = rings.slotLayout();
        MemorySegment slot = slot();
        int T = slotLayout.tokens();
        for (int b = 0; b < sequences; b++) {
            int k = slot.getAtIndex(JAVA_INT, slotLayout.domainOffset() / 4 + b);
            double nats = 0;
            for (int t = 0; t < T; t++) nats += losses.getAtIndex(JAVA_FLOAT, (long) b * T + t);
            totals.lossNats_K[k] += nats;
            totals.tokens_K[k] += T;
        }
    }

    /** Nats of each predicted token of the last {@link #run}, f32 (B, T); overwritten by the next. */
    public MemorySegment tokenLosses() {
        return losses;
    }
}
