package dev.rheostat.ado;

import java.util.List;
import java.util.Map;

/** The losses that a mode of ADO remembers, and what it fits to them. A value: nothing changes it. */
interface LossMemory {
    /** @param n sequences of all domains up to this step, this one included. Costs O(K). */
    LossMemory with(long n, Observation observation);

    /** Where the laws stand after n sequences of all domains: at n, unless they count in something else. */
    default double place(long n) {
        return n;
    }

    /** Whether there is enough for a refit to be worth starting. */
    boolean canFit();

    /** Slow and pure. @return one fit a domain */
    List<DomainFit> fit();

    Map<String, Object> save();
}
