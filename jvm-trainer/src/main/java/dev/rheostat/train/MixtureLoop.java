package dev.rheostat.train;

import dev.rheostat.ado.Observation;
import dev.rheostat.ado.PolicyDriver;
import dev.rheostat.ado.ShareBounds;
import dev.rheostat.data.DomainSampler;
import dev.rheostat.data.SlotFiller;
import dev.rheostat.data.TokenDataset;
import dev.rheostat.op.StepIo;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Consumer;
import java.util.function.LongToDoubleFunction;

/**
 * The way from losses back to batches, beside the training step: two rings of S entries and two threads.
 *
 * <pre>
 * trainer   awaitSlot(t), launch ... the step runs and publishes record t
 * updater   record t arrives -> observe -> mixture for slot t + S
 * sampler   mixture for slot t + S -> draw -> fill slot (t + S) mod S, which record t has freed
 * </pre>
 *
 * The batch of step t is drawn from the policy's state after step t - S; before step S, from its initial state. So the lag is S
 * steps whatever the timing, and a run's bits depend on S but not on which thread is slow. A step that was skipped is not
 * observed: the next mixture is then that of the state before it.
 */
final class MixtureLoop implements AutoCloseable {
    /** Turns before a waiting thread parks: some microseconds, in which a neighbour usually answers. */
    private static final int SPINS = 200;

    /** A parked thread is woken by whom it waits for; this only bounds the wait for a backend that cannot wake it. */
    private static final long PARK_NANOS = 200_000;

    /** Everything that the loop is made of; it owns the mixer alone. */
    record Parts(
            StepIo.Rings rings,
            LateRecords lateRecords,
            TokenDataset dataset,
            DomainSampler sampler,
            SlotFiller filler,
            Mixer mixer,
            LongToDoubleFunction learningRate,
            Consumer<StepReport> reports,
            Consumer<PolicyDriver> adoptions) {}

    private final Parts parts;
    private final int K;
    private final int depth;
    private final boolean references;
    private final LossRing losses;
    private final FilledSlot[] filled;
    private final double[][] mixtures, shadows, lossWeights;
    private final long[] launchNanos, waitNanos;

    private DomainSampler.State samplerState;
    private volatile Mixer mixer;
    private volatile long firstStep;
    private volatile long slotsFilled; // steps whose slot is filled: all below
    private volatile long mixturesHeld; // steps whose mixture is known: all below
    private volatile long launched; // steps under way or done: all below
    private volatile long observed; // steps whose record was taken in: all below
    private volatile long reported; // steps that were reported: all below
    private volatile Throwable failure;
    private volatile boolean closed;
    private volatile Thread trainer;
    private Thread updater, samplerThread;

    private long skippedBefore;
    private volatile long skippedInARow;
    private volatile long ringEmpty;
    private long lastArrivalNanos;

    MixtureLoop(Parts parts) {
        this.parts = parts;
        K = parts.dataset().domains().size();
        depth = parts.rings().depth();
        references = parts.rings().recordLayout().referenceLosses();
        losses = new LossRing(parts.rings());
        filled = new FilledSlot[depth];
        mixtures = new double[depth][];
        shadows = new double[depth][];
        lossWeights = new double[depth][];
        mixer = parts.mixer();
        launchNanos = new long[depth];
        waitNanos = new long[depth];
        samplerState = parts.sampler().initial();
    }

    /** From step 0: the first S slots are drawn from the policy's initial mixture. */
    void start() {
        for (int step = 0; step < depth; step++) hold(step);
        mixturesHeld = depth;
        startThreads();
    }

    /** Keeps what the policies hold now for the batch that will take this entry. */
    private void hold(int entry) {
        mixtures[entry] = mixer.mixture();
        shadows[entry] = mixer.shadowMixture();
        lossWeights[entry] = mixer.lossWeight_K();
    }

    private void startThreads() {
        trainer = Thread.currentThread();
        lastArrivalNanos = System.nanoTime();
        updater = Thread.ofPlatform().daemon().name("rheostat-mixture").unstarted(() -> guarded(this::update));
        samplerThread = Thread.ofPlatform().daemon().name("rheostat-sampler").unstarted(() -> guarded(this::sample));
        updater.start();
        samplerThread.start();
    }

    private void guarded(Runnable body) {
        try {
            body.run();
        } catch (Throwable t) {
            failure = t;
            LockSupport.unpark(trainer);
            LockSupport.unpark(updater);
            LockSupport.unpark(samplerThread);
        }
    }

    /** Waits until the slot of a step is filled; call right before it is launched. @throws whatever ended a thread of the loop */
    void awaitSlot(long step) {
        trainer = Thread.currentThread();
        long start = System.nanoTime();
        boolean waits = slotsFilled <= step;
        await(() -> slotsFilled > step);
        throwFailure();
        // With S = 1 the device waits for the mixture by definition; with more, its steps should last until the next
        // slot is filled.
        if (waits && depth > 1 && step > firstStep && losses.arrived(step - 1)) ringEmpty++;
        long now = System.nanoTime();
        waitNanos[(int) (step % depth)] = now - start;
        launchNanos[(int) (step % depth)] = now;
    }

    /** The step's launch has returned: on the CPU it has published, on a device it is under way. */
    void launched(long step) {
        launched = step + 1;
        LockSupport.unpark(updater);
    }

    /** Waits until every one of the first {@code steps} steps is observed and reported, and the S slots after them are filled. */
    void drain(long steps) {
        trainer = Thread.currentThread();
        await(() -> reported >= steps && slotsFilled >= steps + depth);
        throwFailure();
    }

    /** Skipped steps since the last that was applied. */
    long skippedInARow() {
        return skippedInARow;
    }

    /** Times that the device had nothing to do because no slot was filled. */
    long ringEmpty() {
        return ringEmpty;
    }

    private void throwFailure() {
        switch (failure) {
            case null -> {}
            case RuntimeException e -> throw e;
            case Error e -> throw e;
            case Throwable t -> throw new IllegalStateException(t);
        }
    }

    private interface Condition {
        boolean holds();
    }

    private void await(Condition condition) {
        for (int spins = 0; !condition.holds() && failure == null && !closed; spins++) {
            if (spins < SPINS) Thread.onSpinWait();
            else LockSupport.parkNanos(this, PARK_NANOS);
        }
    }

    /** Whether the record is there; asks the device where it should be by now. */
    private boolean recordOf(long step) {
        if (losses.arrived(step)) return true;
        if (launched <= step) return false;
        parts.lateRecords().waiting(step, System.nanoTime() - begunNanos(step), () -> losses.arrived(step));
        return false;
    }

    /** When the device could begin a step: when it was launched, or when the step before had ended. */
    private long begunNanos(long step) {
        long launch = launchNanos[(int) (step % depth)];
        return launch - lastArrivalNanos > 0 ? launch : lastArrivalNanos;
    }

    private boolean stopped() {
        return closed || failure != null;
    }

    private void update() {
        for (long step = firstStep; ; step++) {
            long current = step;
            await(() -> recordOf(current));
            if (stopped()) return;
            long arrival = System.nanoTime();
            parts.lateRecords().arrived(arrival - begunNanos(step));
            FilledSlot slot = filled[(int) (step % depth)];
            long[] sequences_K = slot.sequences_K(), tokens_K = new long[K];
            double[] lossNats_K = new double[K], excessNats_K = new double[references ? K : 0];
            for (int k = 0; k < K; k++) {
                tokens_K[k] = losses.tokens(step, k);
                lossNats_K[k] = losses.lossNats(step, k);
                if (references) excessNats_K[k] = losses.excessNats(step, k);
            }
            boolean skipped = losses.skipped(step) > skippedBefore;
            skippedBefore = losses.skipped(step);
            skippedInARow = skipped ? skippedInARow + 1 : 0;
            float gradNorm = losses.gradNorm(step);
            long clamped = losses.clamped(step);
            int entry = (int) (step % depth);
            double dataSeconds = waitNanos[entry] * 1e-9, stepSeconds = (arrival - launchNanos[entry]) * 1e-9;

            double learningRate = parts.learningRate().applyAsDouble(step);
            if (!skipped)
                mixer.observe(new Observation(step, learningRate, sequences_K, tokens_K, lossNats_K, excessNats_K));
            hold(entry);
            observed = step + 1;
            mixturesHeld = step + depth + 1;
            LockSupport.unpark(samplerThread);
            double mixtureSeconds = (System.nanoTime() - arrival) * 1e-9;

            parts.reports()
                    .accept(new StepReport(
                            step,
                            learningRate,
                            gradNorm,
                            skipped,
                            clamped,
                            parts.rings().slotLayout().tokensPerStep(),
                            slot.mixture_K(),
                            slot.shadow_K(),
                            slot.lossWeight_K(),
                            sequences_K,
                            tokens_K,
                            lossNats_K,
                            excessNats_K,
                            slot.epochs_K(),
                            dataSeconds,
                            stepSeconds,
                            mixtureSeconds,
                            (arrival - lastArrivalNanos) * 1e-9));
            parts.adoptions().accept(mixer.driver());
            lastArrivalNanos = arrival;
            reported = step + 1;
            LockSupport.unpark(trainer);
        }
    }

    private void sample() {
        for (long step = slotsFilled; ; step++) {
            long current = step;
            await(() -> mixturesHeld > current);
            if (stopped()) return;
            int entry = (int) (step % depth),
                    sequences = parts.rings().slotLayout().sequences();
            ShareBounds bounds = mixer.bounds();
            long[] drawn_K = samplerState.drawn_K();
            double[] mixture_K = bounds.apply(mixtures[entry], drawn_K, sequences);
            double[] shadow_K =
                    shadows[entry].length == 0 ? shadows[entry] : bounds.apply(shadows[entry], drawn_K, sequences);
            DomainSampler.Batch batch = parts.sampler().next(samplerState, mixture_K, sequences, bounds.limit_K());
            samplerState = batch.next();
            fill(new FilledSlot(
                    step,
                    mixture_K,
                    shadow_K,
                    lossWeights[entry],
                    batch.domain_B(),
                    batch.window_B(),
                    parts.sampler().epochs_K(samplerState)));
            slotsFilled = step + 1;
            LockSupport.unpark(trainer);
        }
    }

    private void fill(FilledSlot content) {
        MemorySegment slot = parts.rings().slot(content.step());
        parts.filler().writeStep(slot, content.step(), parts.learningRate().applyAsDouble(content.step()));
        double[] weight_B = content.weight_B();
        for (int b = 0; b < weight_B.length; b++) {
            int k = content.domain_B()[b];
            parts.filler()
                    .writeSequence(
                            slot,
                            b,
                            k,
                            parts.dataset().domains().get(k).train(),
                            parts.sampler().firstToken(content.window_B()[b]));
            parts.filler().writeWeight(slot, b, weight_B[b]);
        }
        filled[(int) (content.step() % depth)] = content;
    }

    Mixer mixer() {
        return mixer;
    }

    /**
     * From the next record on another mixer turns the mixture; the S slots that are filled stay. Call after {@link #drain},
     * before the next launch.
     */
    void steer(Mixer other) {
        mixer = other;
    }

    /**
     * Tells the policies a validation of the state after the steps done. It counts from the next record on, so for the batch
     * S steps later. Call after {@link #drain}, before the next launch.
     */
    void validated(Validation validation) {
        mixer.validated(validation);
    }

    /** Whether a policy is to be told the validation losses after so many steps. */
    boolean validationDue(long stepsDone) {
        return mixer.validationDue(stepsDone);
    }

    /** All that the loop remembers after {@code steps} steps. Call after {@link #drain}. */
    Map<String, Object> save(long steps) {
        Map<String, Object> saved = new LinkedHashMap<>();
        saved.put("steps", steps);
        saved.put("ringDepth", depth);
        saved.put("skipped", skippedBefore);
        saved.put("skippedInARow", skippedInARow);
        saved.put("sampler", samplerState.save());
        List<Map<String, Object>> contents = new ArrayList<>();
        for (long step = steps; step < steps + depth; step++) contents.add(filled[(int) (step % depth)].save());
        saved.put("slots", contents);
        saved.put("policy", mixer.save());
        return saved;
    }

    /**
     * Goes on from what {@link #save} gave, in place of {@link #start}.
     * @throws IllegalArgumentException naming what does not fit
     */
    @SuppressWarnings("unchecked")
    void restart(Map<String, Object> saved) {
        long steps = ((Number) saved.get("steps")).longValue();
        if (((Number) saved.get("ringDepth")).intValue() != depth)
            throw new IllegalArgumentException(
                    "it was saved with runtime.ringDepth " + saved.get("ringDepth") + ", not " + depth);
        skippedBefore = ((Number) saved.get("skipped")).longValue();
        skippedInARow = ((Number) saved.get("skippedInARow")).longValue();
        samplerState = parts.sampler().restore((Map<String, Object>) saved.get("sampler"));
        mixer.restore((Map<String, Object>) saved.get("policy"));
        for (Object content : (List<?>) saved.get("slots")) fill(FilledSlot.restore((Map<?, ?>) content));
        firstStep = launched = observed = reported = steps;
        slotsFilled = mixturesHeld = steps + depth;
        startThreads();
    }

    /** Ends both threads; nothing of theirs is lost that {@link #drain} had waited for. */
    @Override
    public void close() {
        closed = true;
        for (Thread thread : new Thread[] {updater, samplerThread}) {
            if (thread == null) continue;
            LockSupport.unpark(thread);
            try {
                thread.join();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }
        mixer.close();
    }
}
