package dev.rheostat.ado.testbed;

/** Learning rate over a run, as a part of its peak. */
public enum RateCurve {
    CONSTANT,
    /** Linear warm-up over 1 % of the run, then half a cosine down to 1 % of the peak: Loshchilov and Hutter 2017, arXiv:1608.03983. */
    COSINE,
    /** Linear warm-up over 1 %, the peak, then over the last fifth a line down to 1 %: Hu et al. 2024, arXiv:2404.06395. */
    WSD;
    private static final double WARMUP = 0.01, DECAY = 0.2, LAST = 0.01;

    /** @param step 0-based */
    public double at(long step, long steps) {
        if (this == CONSTANT) return 1;
        double progress = (step + 1.0) / steps;
        if (progress < WARMUP) return progress / WARMUP;
        if (this == COSINE) {
            double way = (progress - WARMUP) / (1 - WARMUP);
            return LAST + (1 - LAST) * 0.5 * (1 + StrictMath.cos(StrictMath.PI * way));
        }
        return progress < 1 - DECAY ? 1 : 1 - (1 - LAST) * (progress - (1 - DECAY)) / DECAY;
    }

    /** Sum of the curve over a run. */
    public double sum(long steps) {
        double sum = 0;
        for (long step = 0; step < steps; step++) sum += at(step, steps);
        return sum;
    }
}
