package dev.rheostat.ado.fit;

import java.util.ArrayList;
import java.util.List;

/**
 * Fits of all domains with the learning rate counted: L_k = epsilon_k + beta_k S1^-alpha_k - C_k S2. What annealing takes
 * off comes from the optimizer, not from the text, so C is shared up to a scale, the domain's mean loss M_k: C_k / M_k is
 * drawn around one mean with a variance between domains that is estimated (random effects; DerSimonian and Laird 1986).
 *
 * <p>Each domain is fitted under {@link AnnealPrior#weak}, then again under the normal prior that the OTHER domains give, so
 * that no loss is counted twice. Fewer than two others tell nothing of how domains differ: then the first fit stands.
 * Costs two {@link RobustFit} a domain.
 */
public final class AnnealedFit {
    /** What the losses of one domain alone say of C / M. */
    private record Estimate(double mean, double variance) {}

    private AnnealedFit() {}

    /**
     * @param points_K with S2
     * @param memory of S2, as {@link RateHistory#with} has it
     * @return one a domain
     */
    public static List<RobustFit.Result> fit(List<FitPoints> points_K, RobustFit.Settings settings, double memory) {
        List<RobustFit.Result> alone_K = new ArrayList<>(), shared_K = new ArrayList<>();
        List<Estimate> estimate_K = new ArrayList<>();
        for (FitPoints points : points_K) {
            AnnealPrior weak = AnnealPrior.weak(points, memory);
            RobustFit.Result alone = RobustFit.fit(points, settings, weak);
            alone_K.add(alone);
            estimate_K.add(estimate(alone, weak, points.meanLoss()));
        }
        for (int k = 0; k < points_K.size(); k++) {
            List<Estimate> others = new ArrayList<>();
            for (int j = 0; j < points_K.size(); j++)
                if (j != k && estimate_K.get(j) != null) others.add(estimate_K.get(j));
            if (others.size() < 2 || estimate_K.get(k) == null) {
                shared_K.add(alone_K.get(k));
                continue;
            }
            AnnealPrior prior = prior(others, points_K.get(k), memory);
            shared_K.add(RobustFit.fit(points_K.get(k), settings, prior));
        }
        return shared_K;
    }

    /** The weak prior taken out again; null where the losses say nothing, as at a constant rate. */
    private static Estimate estimate(RobustFit.Result found, AnnealPrior weak, double meanLoss) {
        double both = 1 / (found.annealSd() * found.annealSd()), ofPrior = 1 / (weak.sd() * weak.sd());
        double precision = both - ofPrior;
        if (!(precision > 1e-3 * ofPrior)) return null;
        return new Estimate(found.anneal() * both / precision / meanLoss, 1 / (precision * meanLoss * meanLoss));
    }

    /** Of one more domain: the others' mean, with the variance of that mean and the variance between domains; weak with it. */
    private static AnnealPrior prior(List<Estimate> others, FitPoints points, double memory) {
        double w = 0, wx = 0, ww = 0;
        for (Estimate one : others) {
            w += 1 / one.variance;
            wx += one.mean / one.variance;
            ww += 1 / (one.variance * one.variance);
        }
        double scatter = 0;
        for (Estimate one : others) scatter += (one.mean - wx / w) * (one.mean - wx / w) / one.variance;
        double between = Math.max(0, (scatter - (others.size() - 1)) / (w - ww / w));
        w = wx = 0;
        for (Estimate one : others) {
            w += 1 / (one.variance + between);
            wx += one.mean / (one.variance + between);
        }
        double meanLoss = points.meanLoss(),
                weakSd = AnnealPrior.weak(points, memory).sd();
        double variance = (1 / w + between) * meanLoss * meanLoss;
        double precision = 1 / variance + 1 / (weakSd * weakSd);
        return new AnnealPrior(wx / w * meanLoss / variance / precision, Math.sqrt(1 / precision));
    }
}
