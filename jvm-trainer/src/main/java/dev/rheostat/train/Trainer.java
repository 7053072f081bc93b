package dev.rheostat.train;

import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RheostatException.Kind;
import dev.rheostat.config.RunConfig;
import dev.rheostat.data.DomainSampler;
import dev.rheostat.data.SlotFiller;
import dev.rheostat.data.TokenDataset;
import dev.rheostat.op.AdamW;
import dev.rheostat.op.Backend;
import dev.rheostat.op.DeviceException;
import dev.rheostat.op.OutOfMemoryException;
import dev.rheostat.op.RecordLayout;
import dev.rheostat.op.SlotLayout;
import dev.rheostat.op.StepIo;
import dev.rheostat.op.Tensor;
import dev.rheostat.optim.Schedules;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;

/**
 * One run from its first step, or from its newest good checkpoint, to its last. Everything is allocated here before the first
 * step; the loop itself only launches steps, and stops between two of them to validate, save or end.
 */
public final class Trainer<X extends Tensor> {
    private final RunConfig config;
    private final TokenDataset dataset;
    private final Backend<X> backend;
    private final RunFolder folder;
    private final TrainListener listener;
    private final RunCheckpoints<X> checkpoints;
    private StopRequest stop = new StopRequest();
    private CaptureRange captured = CaptureRange.NONE;
    private LateRecords.Limits patience = LateRecords.Limits.DEFAULT;
    private boolean saved = true;

    /**
     * The run that a folder holds, on whatever device the backend is.
     * @param config resolved, for the backend's device too: {@link Backends#resolve}
     */
    public Trainer(
            RunConfig config, TokenDataset dataset, Backend<X> backend, RunFolder folder, TrainListener listener) {
        this.config = config;
        this.dataset = dataset;
        this.backend = backend;
        this.folder = folder;
        this.listener = listener;
        checkpoints = new RunCheckpoints<>(config, folder, dataset, backend, listener::note);
    }

    /** Ends at the next step's boundary, with a checkpoint, once it is asked to. */
    public Trainer<X> stoppedBy(StopRequest request) {
        stop = request;
        return this;
    }

    /** Has an attached profiler capture these steps. */
    public Trainer<X> capturing(CaptureRange steps) {
        captured = steps;
        return this;
    }

    /** Without any checkpoint, for who times steps and throws the model away. */
    public Trainer<X> unsaved() {
        saved = false;
        return this;
    }

    /** Another patience for records, so that a test of a silent device need not wait a minute. */
    Trainer<X> patient(LateRecords.Limits limits) {
        patience = limits;
        return this;
    }

    /** With reference losses exactly where the run names a reference. */
    public static SlotLayout slotLayout(RunConfig config) {
        return new SlotLayout(
                config.batch().sequences(),
                config.batch().microBatches(),
                config.model().context(),
                !config.mixture().referenceRun().isEmpty());
    }

    public static AdamW.Settings adamW(RunConfig.Optimizer o) {
        return new AdamW.Settings(
                (float) o.beta1(), (float) o.beta2(), (float) o.epsilon(), (float) o.weightDecay(), (float)
                        o.clipNorm());
    }

    /**
     * Once.
     * @throws RheostatException BAD_REQUEST if dataset and config do not fit; MACHINE if memory or disk run out, or the device
     *     fails; DAMAGED if the checkpoints do not fit or are not good; DIVERGED after too many skipped steps in a row
     */
    public RunSummary run() {
        if (dataset.tokenizer().vocabulary() > config.model().vocabulary())
            throw new RheostatException(
                    Kind.BAD_REQUEST,
                    "model.vocabulary is " + config.model().vocabulary() + ", the dataset's tokenizer "
                            + dataset.tokenizer().name() + " has "
                            + dataset.tokenizer().vocabulary() + " ids");
        DomainSampler sampler = RunMixture.sampler(config, dataset);
        Optional<Checkpoints.Loaded> from = checkpoints.newestGood();
        long firstStep = from.map(Checkpoints.Loaded::steps).orElse(0L);
        folder.truncate(firstStep);
        try (SteeredMixture mixture = new SteeredMixture(config, dataset, folder, firstStep, listener::note);
                RunLog log = new RunLog(folder, dataset.names(), mixture.prior_K(), sampler.windows_K())) {
            return train(mixture, sampler, log, from);
        } catch (DeviceException e) {
            throw new RheostatException(Kind.MACHINE, joined(e.getMessage(), checkpoints.lastGood()), e);
        } catch (OutOfMemoryException e) {
            String cure = "lower batch.sequences, raise batch.microBatches, or see train --plan";
            throw new RheostatException(Kind.MACHINE, joined(e.getMessage(), cure), e);
        }
    }

    private RunSummary train(
            SteeredMixture mixture, DomainSampler sampler, RunLog log, Optional<Checkpoints.Loaded> from) {
        SlotLayout slotLayout = slotLayout(config);
        int K = dataset.domains().size();
        StepIo.Rings rings = StepIo.Rings.allocate(
                backend,
                "rings",
                slotLayout,
                new RecordLayout(K, slotLayout.referenceLosses()),
                config.runtime().ringDepth().orElseThrow());
        LateRecords lateRecords = new LateRecords(backend, patience, "step");
        TrainStep<X> trainStep = new TrainStep<>(
                backend,
                config.model(),
                rings,
                adamW(config.optimizer()),
                config.data().documentMask());
        Validator<X> validator = new Validator<>(
                EvalStep.beside(trainStep, patience),
                dataset,
                config.evaluation().windows(),
                config.data().documentMask());
        Optional<ReferenceModel<X>> reference = reference(slotLayout, from);
        Mixer mixer = mixture.mixer();
        Progress progress = new Progress();
        try (MixtureLoop loop = new MixtureLoop(new MixtureLoop.Parts(
                rings,
                lateRecords,
                dataset,
                sampler,
                new SlotFiller(dataset, slotLayout, config.data().documentMask()),
                mixer,
                step -> Schedules.learningRate(
                        config.schedule(), config.optimizer().learningRate(), step),
                report -> {
                    log.step(report);
                    progress.step(report);
                    listener.step(report);
                },
                adopted -> adopted.takeDiagnostics().ifPresent(fits -> log.fits(progress.lastStep(), fits))))) {
            long firstStep = begin(trainStep, loop, from);
            Validation before = validate(validator, firstStep, log, from.isEmpty());
            mixture.validates(before.tokens_K(), mixer);
            if (from.isEmpty()) loop.validated(before);
            Validation after = before;
            long steps = config.schedule().steps(),
                    validateEvery = config.evaluation().everySteps().orElse(0),
                    saveEvery = config.checkpoint().everySteps().orElse(0),
                    step = firstStep,
                    pausedNanos = 0;
            long startNanos = System.nanoTime();
            while (step < steps && !stop.requested()) {
                mixture.steer(loop, step);
                loop.awaitSlot(step);
                if (reference.isPresent()) reference.get().fill(rings.slot(step));
                if (step == captured.first() && captured.end() > step) backend.capture(true);
                trainStep.run();
                loop.launched(step);
                step++;
                if (step == captured.end()) backend.capture(false);
                if (loop.skippedInARow() >= config.checkpoint().maxSkipped()) throw diverged(loop);
                boolean validates = validateEvery > 0 && step % validateEvery == 0 || step == steps;
                boolean saves = saved && (saveEvery > 0 && step % saveEvery == 0 || step == steps);
                boolean tells = loop.validationDue(step);
                if (!validates && !saves && !tells) continue;
                loop.drain(step);
                long pauseNanos = System.nanoTime();
                if (loop.skippedInARow() >= config.checkpoint().maxSkipped()) throw diverged(loop);
                if (validates || tells) {
                    after = validate(validator, step, log, true);
                    loop.validated(after);
                }
                if (saves)
                    save(
                            step,
                            trainStep,
                            loop,
                            validates || tells
                                    ? OptionalDouble.of(after.unweightedMeanNats())
                                    : OptionalDouble.empty());
                pausedNanos += System.nanoTime() - pauseNanos;
            }
            loop.drain(step);
            double seconds = (System.nanoTime() - startNanos - pausedNanos) * 1e-9;
            if (saved && step < steps) save(step, trainStep, loop, OptionalDouble.empty());
            return new RunSummary(
                    step,
                    step < steps,
                    before,
                    after,
                    step == firstStep ? 0 : (step - firstStep) * slotLayout.tokensPerStep() / seconds,
                    seconds,
                    progress.skipped,
                    new RunSummary.Stalls(
                            loop.ringEmpty(), lateRecords.late(), mixer.driver().refitWaits()));
        }
    }

    /** @throws RheostatException BAD_REQUEST if there is no such model; DAMAGED if it is not the one that the run began with */
    private Optional<ReferenceModel<X>> reference(SlotLayout slotLayout, Optional<Checkpoints.Loaded> from) {
        if (!slotLayout.referenceLosses()) return Optional.empty();
        Path run = Path.of(config.mixture().referenceRun());
        ReferenceModel<X> reference = new ReferenceModel<>(
                SavedModel.open(run, "newest", config.device(), listener::note),
                dataset,
                backend,
                slotLayout,
                config.data().documentMask());
        checkpoints.heldAgainst(reference.identity(), run, from);
        return Optional.of(reference);
    }

    /** The first step that is to be done. */
    private long begin(TrainStep<X> trainStep, MixtureLoop loop, Optional<Checkpoints.Loaded> from) {
        if (from.isEmpty()) {
            trainStep.initialize(config.seed());
            loop.start();
            return 0;
        }
        Checkpoints.readTensors(from.get(), backend, trainStep.namedTensors());
        try {
            @SuppressWarnings("unchecked") // JSON objects are maps by string
            Map<String, Object> loopState =
                    (Map<String, Object>) from.get().state().get("loop");
            loop.restart(loopState);
        } catch (IllegalArgumentException | ClassCastException | NullPointerException e) {
            throw new RheostatException(
                    Kind.DAMAGED, "checkpoint " + from.get().path() + " does not fit this run: " + e.getMessage(), e);
        }
        trainStep.seek(from.get().steps());
        return from.get().steps();
    }

    private Validation validate(Validator<X> validator, long step, RunLog log, boolean record) {
        Validation validation = validator.run(step);
        if (record) log.validation(validation);
        listener.validated(validation);
        return validation;
    }

    private void save(long steps, TrainStep<X> trainStep, MixtureLoop loop, OptionalDouble unweightedMeanNats) {
        listener.saved(checkpoints.save(steps, trainStep.namedTensors(), loop.save(steps), unweightedMeanNats));
    }

    private RheostatException diverged(MixtureLoop loop) {
        return new RheostatException(
                Kind.DIVERGED,
                "training diverged: " + loop.skippedInARow()
                        + " steps in a row had a loss or gradient that is not finite; " + checkpoints.lastGood()
                        + "; lower optimizer.learningRate");
    }

    /** One sentence of a message, which may end in a full stop, and what it leaves to say. */
    private static String joined(String message, String more) {
        return message.replaceFirst("\\.$", "") + "; " + more;
    }

    /** What the summary needs of the steps; written by the mixture's thread, read after a drain. */
    private static final class Progress {
        private volatile long lastStep = -1;
        private long skipped;

        void step(StepReport report) {
            if (report.skipped()) skipped++;
            lastStep = report.step();
        }

        long lastStep() {
            return lastStep;
        }
    }
}
