package dev.rheostat.ado;

import java.util.List;

/** How a mode of ADO makes a target for the mixture out of laws. */
interface AdoRule {
    /** The mixture before any fit: the prior, made to satisfy the mode's bounds. */
    double[] start();

    LossMemory nothing();

    /** The inverse of {@link LossMemory#save}. */
    LossMemory restore(Saved saved);

    /** What steers after a refit; current is empty before the first. */
    List<DomainFit> adopt(List<DomainFit> current, List<DomainFit> found);

    /**
     * rho_K, the target that the mixture moves towards; sums to 1.
     *
     * @param fits at least one of them ready
     * @param place_K where each law stands: {@link LossMemory#place_K}
     * @param history_K moving average of the shares drawn
     */
    double[] target(List<DomainFit> fits, double[] place_K, double[] history_K);
}
