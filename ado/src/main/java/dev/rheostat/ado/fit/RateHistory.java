package dev.rheostat.ado.fit;

/**
 * What the learning rate has done so far, as the learning-rate-aware law needs it:
 *
 * <pre>
 * S1 = sum over steps of sequences * rate / peak                         {@link #place}, in sequences
 * S2 = sum over steps of m / peak,  m = memory * m + (rate before - rate)  {@link #anneal}, in steps
 * </pre>
 *
 * At a constant rate S1 is n and S2 is 0. A rate above all before it is warm-up, not the opposite of annealing, and adds
 * nothing to m. Kept in units of the rate, since the peak is not known before it is reached. Tissue et al. 2024,
 * arXiv:2408.11029, eq. 1 and 2, whose S1 counts steps.
 *
 * @param peak highest rate so far
 * @param newest rate of the last step; 0 before the first
 * @param travelled S1 * peak
 * @param momentum m
 * @param area S2 * peak
 */
public record RateHistory(double peak, double newest, double travelled, double momentum, double area) {
    public static final RateHistory NONE = new RateHistory(0, 0, 0, 0, 0);

    /** After one more step. @param memory in (0, 1): the part of m that a step later is left */
    public RateHistory with(double rate, long sequences, double memory) {
        double fall = rate > peak ? 0 : newest - rate;
        double m = memory * momentum + fall;
        return new RateHistory(Math.max(peak, rate), rate, travelled + sequences * rate, m, area + m);
    }

    public double place() {
        return travelled / peak;
    }

    public double anneal() {
        return area / peak;
    }
}
