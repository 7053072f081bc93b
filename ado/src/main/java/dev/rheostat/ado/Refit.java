package dev.rheostat.ado;

/** A fit over frozen input, to be run on any thread. */
public interface Refit {
    /** What a fit found; only the policy that asked for it knows the type. */
    interface Result {}

    /** Pure: the same input gives the same bits. */
    Result run();
}
