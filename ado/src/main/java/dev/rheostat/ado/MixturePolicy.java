package dev.rheostat.ado;

import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Decides how much of the next batch each domain gets. A policy has no clock, no random source and does no I/O: what it
 * remembers is a state value, so saving, resuming, replaying and testing it are the same act.
 *
 * <p>Slow work (a fit) is split off: {@link #refitDue} hands out its frozen input, {@link Refit#run} may run on any
 * thread, {@link #adopt} lets its result take effect at a step the driver chooses.
 */
public interface MixturePolicy {
    double[] NO_WEIGHTS = {};

    /** As in {@code mixture.policy} of a run file. */
    String name();

    /** Number of domains, K. */
    int domains();

    /** What it must be told; the rest it may ignore. */
    default Set<Need> needs() {
        return Set.of(Need.TRAIN_LOSS);
    }

    PolicyState initial();

    /** The state after a step that was not skipped; the old state is unchanged. */
    PolicyState observe(PolicyState state, Observation observation);

    /** @return share_K: sums to 1, every entry in its bounds; may be asked any number of times */
    double[] mixture(PolicyState state);

    /**
     * Share of the gradient that each domain's losses are to have, sums to 1: a token weighs this over the share that its
     * batch was drawn by, made to be 1 in the mean of the batch. Empty where all tokens count the same.
     */
    default double[] lossWeight_K(PolicyState state) {
        return NO_WEIGHTS;
    }

    /** Whether {@link #validated} must be told the validation losses after so many steps; a function of the count alone. */
    default boolean validationDue(long stepsDone) {
        return false;
    }

    /**
     * The state after a validation that was due; the old state is unchanged.
     *
     * @param stepsDone steps before it, all of them observed or skipped
     * @param lossNats_K mean loss a token of each domain's validation text, nats
     */
    default PolicyState validated(PolicyState state, long stepsDone, double[] lossNats_K) {
        throw new IllegalStateException(name() + " never asks for a validation");
    }

    /** Steps from a refit's start to its effect. */
    default int refitDelay() {
        return 0;
    }

    /** The refit that is due right after the last observation, if any. */
    default Optional<Refit> refitDue(PolicyState state) {
        return Optional.empty();
    }

    /** The state once the refit's result takes effect. */
    default PolicyState adopt(PolicyState state, Refit.Result result) {
        throw new IllegalStateException(name() + " never refits");
    }

    /**
     * What a reader of the run wants to see of the state, as plain values; empty if there is nothing. ADO gives
     * {@code "fits"}: a list, one map a domain, of epsilon, beta, alpha (Double), ready (Boolean), reason (String), and
     * the points it was fitted to, n and lossNats (double[]).
     */
    default Map<String, Object> diagnostics(PolicyState state) {
        return Map.of();
    }

    /** Plain values (String, Long, Double, Boolean, long[], double[], List, Map) that {@link #restore} reads back bit for bit. */
    Map<String, Object> save(PolicyState state);

    /** @throws IllegalArgumentException naming the key that is missing or of the wrong length */
    PolicyState restore(Map<String, Object> saved);

    default Map<String, Object> saveRefit(Refit refit) {
        throw new IllegalStateException(name() + " never refits");
    }

    default Refit restoreRefit(Map<String, Object> saved) {
        throw new IllegalStateException(name() + " never refits");
    }
}
