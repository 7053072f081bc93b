package dev.rheostat.ado;

import java.util.List;
import java.util.Map;

/** The losses that a mode of ADO remembers, and what it fits to them. A value: nothing changes it. */
interface LossMemory {
    /** @param n sequences of all domains up to this step, this one included. Costs O(K). */
    LossMemory with(long n, Observation observation);

    /** Where each domain's law stands after n sequences of all domains. */
    double[] place_K(long n);

    /** Whether there is enough for a refit to be worth starting. */
    boolean canFit();

    /** Slow and pure. @return one fit a domain */
    List<DomainFit> fit();

    Map<String, Object> save();
}
