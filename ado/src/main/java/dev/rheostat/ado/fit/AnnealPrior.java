package dev.rheostat.ado.fit;

/**
 * What is held of C, the annealing coefficient of one domain, before its losses are looked at: normal, in nats a unit of S2.
 *
 * @param sd above 0
 */
public record AnnealPrior(double mean, double sd) {
    /**
     * Loss that a full annealing takes off, as a share of the loss: S2 of a rate that fell to 0 and stayed there for long is
     * 1 / (1 - memory). In published curves it is a few hundredths (Tissue et al. 2024, arXiv:2408.11029); a tenth leaves
     * the data to decide, yet keeps C from standing in for the whole trend while the rate has hardly fallen.
     */
    static final double FULL_SHARE = 0.1;

    /** Of points without S2: there is no coefficient. */
    static final AnnealPrior NONE = new AnnealPrior(0, 1);

    /** When only the size of the loss is known. */
    static AnnealPrior weak(FitPoints points, double memory) {
        return new AnnealPrior(0, FULL_SHARE * (1 - memory) * points.meanLoss());
    }
}
