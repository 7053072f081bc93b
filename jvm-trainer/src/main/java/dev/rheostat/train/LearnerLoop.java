package dev.rheostat.train;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.rheostat.config.RunConfig;
import dev.rheostat.data.SlotFiller;
import dev.rheostat.data.TokenDataset;
import dev.rheostat.op.Backend;
import dev.rheostat.op.LossHead;
import dev.rheostat.op.RecordLayout;
import dev.rheostat.op.SlotLayout;
import dev.rheostat.op.StepIo;
import dev.rheostat.optim.Schedules;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.VarHandle;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.function.Consumer;

/**
 * A run whose batches, rings, mixture and fits are those of {@link Trainer}, and whose model is any other learner of token
 * sequences: it reads the slots that the sampler fills and its losses come back as records. The test-bed's way to a run of seconds.
 */
public final class LearnerLoop implements AutoCloseable {
    private static final VarHandle SEQUENCE = JAVA_LONG.varHandle();

    /** What stands in for the training step. */
    public interface Learner {
        /**
         * Predicts the batch of a slot, then learns it.
         * @param slot in the layout of {@link SlotLayout}
         * @param lossNats_K out, sum of the losses of each domain's predictions
         * @param predictions_K out, how many they are
         */
        void step(MemorySegment slot, double[] lossNats_K, long[] predictions_K);

        /** Mean loss of each domain's held-out predictions, nats, as the learner is now. */
        double[] validationNats_K();
    }

    private final StepIo.Rings rings;
    private final Learner learner;
    private final ExecutorService refits;
    private final MixtureLoop loop;
    private final int K;
    private final double[] lossNats_K;
    private final long[] predictions_K;
    private long step;

    /**
     * @param config resolved, for the backend's device too
     * @param backend gives the memory of the rings
     * @param reports hears of every step, on the thread of the mixture
     * @throws dev.rheostat.config.RheostatException BAD_REQUEST if dataset and config do not fit
     */
    public LearnerLoop(
            RunConfig config, TokenDataset dataset, Backend<?> backend, Learner learner, Consumer<StepReport> reports) {
        this.learner = learner;
        K = dataset.domains().size();
        lossNats_K = new double[K];
        predictions_K = new long[K];
        SlotLayout slotLayout = Trainer.slotLayout(config);
        rings = StepIo.Rings.allocate(
                backend,
                "rings",
                slotLayout,
                new RecordLayout(K, false),
                config.runtime().ringDepth().orElseThrow());
        RunMixture mixture = RunMixture.create(config.mixture(), RunMixture.Run.of(config, dataset));
        refits = Executors.newSingleThreadExecutor(
                Thread.ofPlatform().daemon().name("rheostat-refit").factory());
        loop = new MixtureLoop(new MixtureLoop.Parts(
                rings,
                new LateRecords(backend, LateRecords.Limits.DEFAULT, "step"),
                dataset,
                RunMixture.sampler(config, dataset),
                new SlotFiller(dataset, slotLayout, config.data().documentMask()),
                new Mixer(mixture, refits),
                step -> Schedules.learningRate(
                        config.schedule(), config.optimizer().learningRate(), step),
                reports,
                adopted -> {}));
    }

    /** From step 0. */
    public void start() {
        loop.start();
        validateIfDue();
    }

    /** In place of {@link #start}: goes on from what {@link #save} gave, once it has been JSON. The learner's state is the caller's. */
    public void restart(Map<String, Object> saved) {
        loop.restart(saved);
        step = ((Number) saved.get("steps")).longValue();
    }

    /** Runs up to a step, and waits until all before it are observed and reported. */
    public void runTo(long end) {
        while (step < end) {
            loop.awaitSlot(step);
            learner.step(rings.slot(step), lossNats_K, predictions_K);
            publish();
            loop.launched(step++);
            validateIfDue();
        }
        loop.drain(end);
    }

    /** As the trainer does: at a boundary between two steps, with nothing under way. */
    private void validateIfDue() {
        if (!loop.validationDue(step)) return;
        loop.drain(step);
        loop.validated(new Validation(step, learner.validationNats_K(), new long[K], new long[K], new double[K]));
    }

    private void publish() {
        MemorySegment record = rings.record(step);
        record.set(JAVA_LONG, RecordLayout.STEP_OFFSET, step);
        record.set(JAVA_FLOAT, RecordLayout.GRAD_NORM_OFFSET, 0);
        record.set(JAVA_LONG, RecordLayout.APPLIED_OFFSET, step + 1);
        for (int k = 0; k < lossNats_K.length; k++) {
            record.set(
                    JAVA_LONG, RecordLayout.LOSS_SUM_OFFSET + 8L * k, Math.round(lossNats_K[k] * LossHead.FIXED_POINT));
            record.set(JAVA_LONG, rings.recordLayout().tokenCountOffset() + 8L * k, predictions_K[k]);
        }
        SEQUENCE.setRelease(record, RecordLayout.SEQUENCE_OFFSET, step + 1);
    }

    /** All that sampler, slots and policies remember; call between two calls of {@link #runTo}. */
    public Map<String, Object> save() {
        return loop.save(step);
    }

    @Override
    public void close() {
        loop.close();
        refits.close();
    }
}
