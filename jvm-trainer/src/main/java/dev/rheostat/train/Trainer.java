package dev.rheostat.train;

import dev.rheostat.ado.MixturePolicy;
import dev.rheostat.ado.Need;
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
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

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
    private final StopRequest stop;
    private final CaptureRange captured;
    private Map<?, ?> algorithmsBefore = Map.of();
    private final LateRecords.Limits patience;
    private final boolean saved;
    private String referenceIdentity = "";
    private long[] validationTokens_K; // of a validation
    private RunConfig steered; // the config with what an operator has changed so far
    private ExecutorService refits;

    /**
     * Runs the run that its folder holds, on whatever device the backend is.
     * @param config resolved, for the backend's device too: {@link Backends#resolve}
     * @param captured by a profiler
     * @throws RheostatException BAD_REQUEST if dataset and config do not fit; MACHINE if memory or disk run out, or the device
     *     fails; DAMAGED if the checkpoints do not fit or are not good; DIVERGED after too many skipped steps in a row
     */
    public static <X extends Tensor> RunSummary run(
            RunConfig config,
            TokenDataset dataset,
            Backend<X> backend,
            RunFolder folder,
            TrainListener listener,
            StopRequest stop,
            CaptureRange captured) {
        return run(config, dataset, backend, folder, listener, stop, captured, LateRecords.Limits.DEFAULT);
    }

    /** The same without any checkpoint, for who times steps and throws the model away. */
    public static <X extends Tensor> RunSummary runUnsaved(
            RunConfig config, TokenDataset dataset, Backend<X> backend, RunFolder folder, TrainListener listener) {
        return new Trainer<>(
                        config,
                        dataset,
                        backend,
                        folder,
                        listener,
                        new StopRequest(),
                        CaptureRange.NONE,
                        LateRecords.Limits.DEFAULT,
                        false)
                .run();
    }

    /** The same, with another patience for records, so that a test of a silent device need not wait a minute. */
    static <X extends Tensor> RunSummary run(
            RunConfig config,
            TokenDataset dataset,
            Backend<X> backend,
            RunFolder folder,
            TrainListener listener,
            StopRequest stop,
            CaptureRange captured,
            LateRecords.Limits patience) {
        return new Trainer<>(config, dataset, backend, folder, listener, stop, captured, patience, true).run();
    }

    private Trainer(
            RunConfig config,
            TokenDataset dataset,
            Backend<X> backend,
            RunFolder folder,
            TrainListener listener,
            StopRequest stop,
            CaptureRange captured,
            LateRecords.Limits patience,
            boolean saved) {
        this.config = config;
        this.dataset = dataset;
        this.backend = backend;
        this.folder = folder;
        this.listener = listener;
        this.stop = stop;
        this.captured = captured;
        this.patience = patience;
        this.saved = saved;
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

    private RunSummary run() {
        if (dataset.tokenizer().vocabulary() > config.model().vocabulary())
            throw new RheostatException(
                    Kind.BAD_REQUEST,
                    "model.vocabulary is " + config.model().vocabulary() + ", the dataset's tokenizer "
                            + dataset.tokenizer().name() + " has "
                            + dataset.tokenizer().vocabulary() + " ids");
        DomainSampler sampler = RunMixture.sampler(config, dataset);
        Checkpoints checkpoints =
                new Checkpoints(folder.checkpoints(), config.checkpoint().keepNewest());
        Optional<Checkpoints.Loaded> from = checkpoints.newestGood(listener::note);
        from.ifPresent(this::checkFits);
        folder.truncate(from.map(Checkpoints.Loaded::steps).orElse(0L));
        long firstStep = from.map(Checkpoints.Loaded::steps).orElse(0L);
        Steering steering = new Steering(folder.path(), listener::note);
        steered = Steering.before(firstStep, config, steering.changes());
        RunMixture mixture = mixture(steered);
        try (ExecutorService refits = Executors.newSingleThreadExecutor(
                        Thread.ofPlatform().daemon().name("rheostat-refit").factory());
                RunLog log = new RunLog(folder, dataset.names(), mixture.prior_K(), sampler.windows_K())) {
            this.refits = refits;
            return train(new Mixer(mixture, refits), steering, sampler, log, checkpoints, from);
        } catch (DeviceException e) {
            throw new RheostatException(Kind.MACHINE, joined(e.getMessage(), lastGood(checkpoints)), e);
        } catch (OutOfMemoryException e) {
            String cure = "lower batch.sequences, raise batch.microBatches, or see train --plan";
            throw new RheostatException(Kind.MACHINE, joined(e.getMessage(), cure), e);
        }
    }

    private RunSummary train(
            Mixer mixer,
            Steering steering,
            DomainSampler sampler,
            RunLog log,
            Checkpoints checkpoints,
            Optional<Checkpoints.Loaded> from) {
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
            validationTokens_K = before.tokens_K();
            loop.mixer().policies().forEach(this::checkValidated);
            if (from.isEmpty()) loop.validated(before);
            Validation after = before;
            long steps = config.schedule().steps(),
                    validateEvery = config.evaluation().everySteps().orElse(0),
                    saveEvery = config.checkpoint().everySteps().orElse(0),
                    step = firstStep,
                    pausedNanos = 0;
            long startNanos = System.nanoTime();
            while (step < steps && !stop.requested()) {
                steer(steering, loop, step);
                loop.awaitSlot(step);
                if (reference.isPresent()) reference.get().fill(rings.slot(step));
                if (step == captured.first() && captured.end() > step) backend.capture(true);
                trainStep.run();
                loop.launched(step);
                step++;
                if (step == captured.end()) backend.capture(false);
                if (loop.skippedInARow() >= config.checkpoint().maxSkipped()) throw diverged(loop, checkpoints);
                boolean validates = validateEvery > 0 && step % validateEvery == 0 || step == steps;
                boolean saves = saved && (saveEvery > 0 && step % saveEvery == 0 || step == steps);
                boolean tells = loop.validationDue(step);
                if (!validates && !saves && !tells) continue;
                loop.drain(step);
                long pauseNanos = System.nanoTime();
                if (loop.skippedInARow() >= config.checkpoint().maxSkipped()) throw diverged(loop, checkpoints);
                if (validates || tells) {
                    after = validate(validator, step, log, true);
                    loop.validated(after);
                }
                if (saves)
                    save(
                            checkpoints,
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
            if (saved && step < steps) save(checkpoints, step, trainStep, loop, OptionalDouble.empty());
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
        referenceIdentity = reference.identity();
        if (from.isPresent() && !referenceIdentity.equals(from.get().state().get("reference")))
            throw new RheostatException(
                    Kind.DAMAGED,
                    "mixture.referenceRun: the newest model of " + run + " is of " + referenceIdentity
                            + ", and checkpoint "
                            + from.get().path() + " was held against that of "
                            + from.get().state().get("reference") + ": bring that back, or start a new run");
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

    /** Takes what an operator has asked for, and what the log says was taken here before a kill. */
    private void steer(Steering steering, MixtureLoop loop, long step) {
        for (Steering.Change change : steering.logged(step)) obey(change, loop, step);
        Optional<Steering.Change> request = steering.poll(step);
        if (request.isEmpty()) return;
        Steering.Change change = request.get();
        try {
            checkValidated(mixture(Steering.changed(steered, change.set())).policy());
        } catch (RheostatException e) {
            steering.refuse(change);
            listener.note("a change of the mixture was refused: " + e.getMessage());
            return;
        }
        steering.take(change);
        obey(change, loop, step);
        listener.note("before step " + step + ", by " + change.by() + ": " + change.set());
    }

    private void obey(Steering.Change change, MixtureLoop loop, long step) {
        loop.drain(step);
        RunConfig before = steered;
        steered = Steering.changed(before, change.set());
        Mixer mixer = new Mixer(mixture(steered), refits);
        Mixer old = loop.mixer();
        mixer.follow(old, before.mixture().samePolicy(steered.mixture()), folder, step);
        loop.steer(mixer);
        old.close();
    }

    /** @throws RheostatException BAD_REQUEST also for a policy that needs a reference model where the run began without one */
    private RunMixture mixture(RunConfig changed) {
        RunMixture mixture = RunMixture.create(changed.mixture(), RunMixture.Run.of(changed, dataset));
        if (mixture.needs(Need.REFERENCE_LOSS)
                && config.mixture().referenceRun().isEmpty())
            throw new RheostatException(
                    Kind.BAD_REQUEST,
                    "mixture.referenceRun: policy " + mixture.policy().name()
                            + " needs a run that began with a reference model");
        return mixture;
    }

    /** @throws RheostatException BAD_REQUEST if the policy goes by validation losses and a domain has no validation text */
    private void checkValidated(MixturePolicy policy) {
        if (!policy.needs().contains(Need.VALIDATION_LOSS)) return;
        for (int k = 0; k < validationTokens_K.length; k++)
            if (validationTokens_K[k] == 0)
                throw new RheostatException(
                        Kind.BAD_REQUEST,
                        "policy " + policy.name() + " goes by validation losses, and domain "
                                + dataset.names().get(k) + " has no validation text of "
                                + config.model().context()
                                + " tokens: bring some, lower model.context, or take another policy");
    }

    private Validation validate(Validator<X> validator, long step, RunLog log, boolean record) {
        Validation validation = validator.run(step);
        if (record) log.validation(validation);
        listener.validated(validation);
        return validation;
    }

    private void save(
            Checkpoints checkpoints,
            long steps,
            TrainStep<X> trainStep,
            MixtureLoop loop,
            OptionalDouble unweightedMeanNats) {
        Map<String, Object> state = new LinkedHashMap<>();
        state.put("dataset", dataset.fingerprint());
        state.put("domains", dataset.names());
        state.put("tokenizer", dataset.tokenizer().name());
        state.put("backend", backend.describe());
        state.put("algorithms", backend.algorithms());
        if (!referenceIdentity.isEmpty()) state.put("reference", referenceIdentity);
        noteOtherAlgorithms();
        state.put("loop", loop.save(steps));
        listener.saved(checkpoints.save(steps, backend, trainStep.namedTensors(), state, unweightedMeanNats));
    }

    private RheostatException diverged(MixtureLoop loop, Checkpoints checkpoints) {
        return new RheostatException(
                Kind.DIVERGED,
                "training diverged: " + loop.skippedInARow()
                        + " steps in a row had a loss or gradient that is not finite; " + lastGood(checkpoints)
                        + "; lower optimizer.learningRate");
    }

    /** One sentence of a message, which may end in a full stop, and what it leaves to say. */
    private static String joined(String message, String more) {
        return message.replaceFirst("\\.$", "") + "; " + more;
    }

    private static String lastGood(Checkpoints checkpoints) {
        List<Path> all = checkpoints.all();
        return all.isEmpty() ? "there is no checkpoint yet" : "the last good checkpoint is " + all.getLast();
    }

    private void checkFits(Checkpoints.Loaded checkpoint) {
        Object fingerprint = checkpoint.state().get("dataset"),
                names = checkpoint.state().get("domains");
        if (!dataset.names().equals(names))
            throw new RheostatException(
                    Kind.DAMAGED,
                    "checkpoint " + checkpoint.path() + " was trained on the domains " + names + ", the dataset has "
                            + dataset.names() + ": bring that dataset back, or start a new run");
        if (!dataset.fingerprint().equals(fingerprint))
            throw new RheostatException(
                    Kind.DAMAGED,
                    "checkpoint " + checkpoint.path() + " was trained on other tokens of the dataset " + dataset.name()
                            + ": bring that dataset back, or start a new run");
        if (checkpoint.state().get("algorithms") instanceof Map<?, ?> before) algorithmsBefore = before;
        if (!backend.describe().equals(checkpoint.state().get("backend")))
            listener.note(
                    "the checkpoint was computed by: " + checkpoint.state().get("backend") + "; goes on with: "
                            + backend.describe() + "; the last bits may differ");
    }

    /** Once, when this process has chosen its own: a library that chooses otherwise than before gives other last bits. */
    private void noteOtherAlgorithms() {
        List<String> changed = new ArrayList<>();
        backend.algorithms().forEach((product, algorithm) -> {
            Object before = algorithmsBefore.get(product);
            if (before != null && !before.equals(algorithm))
                changed.add(product + ": " + before + ", now " + algorithm);
        });
        algorithmsBefore = Map.of();
        if (!changed.isEmpty())
            listener.note("the last bits may differ from a run without this stop: " + changed.size()
                    + " products are computed by other algorithms, such as " + changed.getFirst());
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
