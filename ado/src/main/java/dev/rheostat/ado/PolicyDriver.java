package dev.rheostat.ado;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CancellationException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executor;
import java.util.concurrent.FutureTask;

/**
 * Drives one policy over the steps of a run and lets its refits run beside training. A refit due after step t is started
 * then and adopted when step t + refitDelay has been observed, so it first shows in the mixture held after that step; if a
 * step was skipped and never observed, at the first observed one past it. Delay 0 runs the refit within
 * {@link #observe}. The mixture does not depend on how threads are timed: a refit that is late is waited for, and counted.
 *
 * <p>For one thread; only refits run elsewhere. The executor is the caller's, who closes it.
 */
public final class PolicyDriver implements AutoCloseable {
    /** @param effectStep first step whose mixture the refit may change */
    private record Pending(long effectStep, Refit refit, FutureTask<Refit.Result> task) {}

    private final MixturePolicy policy;
    private final int refitDelay;
    private final Executor executor;
    private final Deque<Pending> pending = new ArrayDeque<>(); // by effectStep: refits start in order, delays are alike

    private PolicyState state;
    private Map<String, Object> untaken = Map.of(); // diagnostics of the newest adoption
    private long refitWaits;
    private boolean closed;

    /**
     * @param refitDelay steps from a refit's start to its effect; {@link MixturePolicy#refitDelay} is what a run takes
     * @param executor runs refits when the delay is above 0; null runs each within observe, at its start
     * @throws IllegalArgumentException if the delay is negative
     */
    public PolicyDriver(MixturePolicy policy, int refitDelay, Executor executor) {
        if (refitDelay < 0) throw new IllegalArgumentException("refitDelay is " + refitDelay + ", must be 0 or more");
        this.policy = policy;
        this.refitDelay = refitDelay;
        this.executor = executor;
        this.state = policy.initial();
    }

    public MixturePolicy policy() {
        return policy;
    }

    /** The mixture held after the last observation; sums to 1. */
    public double[] mixture() {
        return policy.mixture(state);
    }

    /**
     * One step's losses. When it throws, the driver is as it was before the call.
     *
     * @throws CancellationException if the thread is interrupted while a refit is waited for
     */
    public void observe(Observation observation) {
        if (closed) throw new IllegalStateException("the driver is closed");
        PolicyState next = policy.observe(state, observation);
        Map<String, Object> diagnostics = untaken;
        int adopted = 0;
        long waits = 0;
        for (Pending due : pending) {
            if (due.effectStep > observation.step()) break;
            if (!due.task.isDone()) waits++;
            next = policy.adopt(next, result(due.task));
            diagnostics = policy.diagnostics(next);
            adopted++;
        }
        Optional<Refit> refit = policy.refitDue(next);
        if (refit.isPresent() && refitDelay == 0) {
            next = policy.adopt(next, refit.get().run());
            diagnostics = policy.diagnostics(next);
        }
        Optional<Pending> started =
                refit.filter(due -> refitDelay > 0).map(due -> started(observation.step() + refitDelay, due));
        for (; adopted > 0; adopted--) pending.removeFirst();
        started.ifPresent(pending::addLast);
        state = next;
        untaken = diagnostics;
        refitWaits += waits;
    }

    /** The validation losses after so many steps, where the policy says that they are due; else nothing happens. */
    public void validated(long stepsDone, double[] lossNats_K) {
        if (closed) throw new IllegalStateException("the driver is closed");
        if (!policy.validationDue(stepsDone)) return;
        PolicyState next = policy.validated(state, stepsDone, lossNats_K);
        Map<String, Object> diagnostics = policy.diagnostics(next);
        state = next;
        if (!diagnostics.isEmpty()) untaken = diagnostics;
    }

    /** As {@link MixturePolicy#lossWeight_K}, after the last observation. */
    public double[] lossWeight_K() {
        return policy.lossWeight_K(state);
    }

    private Pending started(long effectStep, Refit refit) {
        FutureTask<Refit.Result> task = new FutureTask<>(refit::run);
        if (executor == null) task.run();
        else executor.execute(task);
        return new Pending(effectStep, refit, task);
    }

    private static Refit.Result result(FutureTask<Refit.Result> task) {
        task.run(); // here and now if the executor has not come to it; does nothing once it has
        try {
            return task.get();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new CancellationException("interrupted while waiting for a refit");
        } catch (ExecutionException e) {
            throw new IllegalStateException("a refit failed: " + e.getCause(), e.getCause());
        }
    }

    /** What the policy shows of itself, if a refit was adopted since the last call. */
    public Optional<Map<String, Object>> takeDiagnostics() {
        Optional<Map<String, Object>> taken = Optional.of(untaken).filter(values -> !values.isEmpty());
        untaken = Map.of();
        return taken;
    }

    /** Times that this driver had to wait for a refit: a figure of the machine, so no part of what is saved. */
    public long refitWaits() {
        return refitWaits;
    }

    /** Everything, as plain values: also refits that have not taken effect, by their input. */
    public Map<String, Object> save() {
        Map<String, Object> saved = new LinkedHashMap<>();
        saved.put("state", policy.save(state));
        saved.put("pending", pending.stream().map(this::savePending).toList());
        saved.put("diagnostics", untaken);
        return saved;
    }

    private Map<String, Object> savePending(Pending waiting) {
        Map<String, Object> saved = new LinkedHashMap<>();
        saved.put("effectStep", waiting.effectStep);
        saved.put("refit", policy.saveRefit(waiting.refit));
        return saved;
    }

    /**
     * Goes on from what {@link #save} gave; refits that had not taken effect run again and do so at the step they would have.
     *
     * @throws IllegalArgumentException naming the key that is missing or of the wrong length; the driver is as it was
     */
    public void restore(Map<String, Object> values) {
        Saved saved = new Saved(values);
        PolicyState restored = policy.restore(saved.map("state").values());
        List<Saved> waiting = saved.maps("pending");
        List<Refit> refits = waiting.stream()
                .map(one -> policy.restoreRefit(one.map("refit").values()))
                .toList();
        List<Long> steps = waiting.stream().map(one -> one.number("effectStep")).toList();
        Map<String, Object> diagnostics = saved.map("diagnostics").values();
        cancelAll();
        state = restored;
        untaken = diagnostics;
        for (int i = 0; i < refits.size(); i++) pending.addLast(started(steps.get(i), refits.get(i)));
    }

    private void cancelAll() {
        for (Pending waiting : pending) waiting.task.cancel(true);
        pending.clear();
    }

    /** Gives up refits that have not taken effect; one that is running ends soon after. */
    @Override
    public void close() {
        closed = true;
        cancelAll();
    }
}
