package dev.rheostat.ado.fit;

import dev.rheostat.ado.fit.LinearPart.Column;
import java.util.ArrayList;
import java.util.List;

/**
 * Fits L(n) = epsilon + beta n^-alpha by variable projection: with u = ln(n / n_end) and z = (exp(-alpha u) - 1) / alpha
 * the law is L = level + potential * z, linear in its value and its potential -dL/d(ln n) at the newest point, so only
 * alpha is searched for. Minimises Q = sum_i w_i Huber(r_i) / sigma^2 + ((alpha - mean) / sd)^2 over the domain
 * 0 <= epsilon <= ceiling, ALPHA_MIN <= alpha <= ALPHA_MAX, potential > 0; residuals r_i in nats, sigma^2 the variance of
 * one sequence's loss, estimated from the residuals.
 *
 * <p>Points with {@link FitPoints#anneal} are fitted L = epsilon + beta S1^-alpha - C S2 (Tissue et al. 2024,
 * arXiv:2408.11029), C at least 0 and one more linear column, with a normal prior ({@link AnnealPrior}) that is one more
 * term of Q. The potential is -dL/d(ln S1) at a fixed S2. A sequence of domain k trained on at rate r adds r / peak to S1,
 * so it is worth (r / peak) potential_k / S1 nats, and the factor before the potential is the same for every domain: what
 * a policy should compare is the potential. S2 comes from the schedule alone; what C S2 takes off comes
 * whatever is drawn, so it counts for no domain. A plain law takes that fall for learning.
 *
 * <p>Points with {@link FitPoints#share} are fitted L = epsilon + beta n^-alpha - g r, r = ln of the domain's recent share over its
 * share of the prior; g, of either sign, is one more column with a normal prior about 0. A law says what a loss gains from
 * data; g is what it gains beyond that from a larger share now: above 0 where a model of fixed capacity forgets what it is
 * shown less of, below where other domains teach what its own share would have.
 *
 * <p>epsilon, beta and alpha are not identifiable one by one for thousands of steps; the potential is, and it is all that
 * a mixture policy needs. ln potential gets a normal interval from the information matrix. epsilon, whose likelihood is far
 * from normal, gets the values that the profile of Q does not reject: min Q at that epsilon is at most the least Q plus the
 * square of Student's t, between 0 and the lowest loss.
 *
 * <p>Pure and free of any state; cost per domain: about rounds * 60 passes over the bins, and 60 to 90 for the interval of
 * epsilon. Variable projection: Golub and Pereyra 1973; scale: Huber's proposal 2, Huber and Ronchetti, Robust Statistics,
 * sec. 6.4; profile likelihood: Venzon and Moolgavkar 1988.
 */
public final class RobustFit {
    /**
     * @param ceiling upper bound of epsilon as a share of the lowest recent mean loss, so that the potential cannot
     *     collapse to nothing
     * @param huber residuals beyond this many standard deviations count linearly
     * @param alphaMean where a fit that the data do not decide puts the exponent
     * @param alphaSd how strongly: the standard deviation of the normal prior
     * @param shareSpread prior standard deviation of the share's gain as a part of the potential, read if the points have shares
     */
    public record Settings(double ceiling, double huber, double alphaMean, double alphaSd, double shareSpread) {}

    /** A 90 % interval, nats. */
    public record Interval(double low, double high) {
        public boolean holds(double value) {
            return low <= value && value <= high;
        }
    }

    /**
     * @param law the fit; not finite when there were too few points
     * @param potential of the law at the newest point, nats
     * @param spread standard deviation of ln potential
     * @param potentials 90 % interval of the potential
     * @param epsilons 90 % interval of epsilon
     * @param sigmaNats estimated standard deviation of one sequence's loss
     * @param anneal C, nats a unit of S2; 0 without S2
     * @param annealSd standard deviation of C; NaN without S2
     * @param shareGain g, nats; 0 without shares
     * @param shareGainSd standard deviation of g; NaN without shares
     */
    public record Result(
            PowerLaw law,
            double potential,
            double spread,
            Interval potentials,
            Interval epsilons,
            double sigmaNats,
            double anneal,
            double annealSd,
            double shareGain,
            double shareGainSd) {
        /** 90 % interval of g; NaN without shares. */
        public Interval shareGains() {
            return new Interval(shareGain - NORMAL_95 * shareGainSd, shareGain + NORMAL_95 * shareGainSd);
        }

        static Result nothing() {
            double none = Double.NaN;
            Interval unknown = new Interval(none, none);
            PowerLaw law = new PowerLaw(none, none, none);
            return new Result(law, none, Double.POSITIVE_INFINITY, unknown, unknown, none, none, none, none, none);
        }
    }

    private static final double NORMAL_95 = 1.6449; // 0.95 quantile

    /** Three are fitted and one is needed to see any noise. */
    public static final int MIN_POINTS = 4;

    /** Exponents lie between: at the ends the law is a straight line in ln n, or spent at once. */
    public static final double ALPHA_MIN = 0.02, ALPHA_MAX = 1;

    private static final int GRID = 32; // values of alpha tried first, evenly spaced in ln alpha: 13 % apart
    private static final int GOLDEN = 26; // bracket of two grid steps shrinks by .618^26 = 4e-6
    private static final int GOLDEN_OF_END = 14; // by .618^14 = 1e-3, at a flat top: its square is what is lost
    private static final int MAX_ROUNDS = 12;
    private static final double SETTLED = 1e-6; // change of alpha, and of the potential relative, that ends the rounds

    private final FitPoints points;
    private final Settings settings;
    private final int size, fitted;
    private final double lnEnd;
    private final LinearPart linear;
    private final Column anneal, share; // null where the points have none
    private final List<Column> columns = new ArrayList<>();
    private final double[] alpha_A; // the grid
    private final double[][] z_AX;
    private final double[] weight; // of the points in this round: sequences times the Huber factor
    private final double[] z, residual;

    private double sigma;

    private RobustFit(FitPoints points, Settings settings, AnnealPrior prior) {
        this.points = points;
        this.settings = settings;
        size = points.size();
        anneal = points.anneal().length == 0
                ? null
                : new Column(negative(points.anneal()), prior.mean(), prior.sd(), true);
        share = points.share().length == 0 ? null : new Column(negative(points.share()), 0, 0, false);
        if (anneal != null) columns.add(anneal);
        if (share != null) columns.add(share);
        fitted = 3 + columns.size();
        lnEnd = points.lnN()[size - 1];
        double[] u = new double[size];
        for (int i = 0; i < size; i++) u[i] = points.lnN()[i] - lnEnd;
        weight = points.weight().clone();
        z = new double[size];
        residual = new double[size];
        linear = new LinearPart(points, u, columns);
        alpha_A = new double[GRID];
        z_AX = new double[GRID][size];
        double ratio = Math.pow(ALPHA_MAX / ALPHA_MIN, 1.0 / (GRID - 1));
        for (int a = 0; a < GRID; a++) {
            alpha_A[a] = a == GRID - 1 ? ALPHA_MAX : ALPHA_MIN * Math.pow(ratio, a);
            linear.basis(alpha_A[a], z_AX[a]);
        }
    }

    /** @param points ordered by n, without S2. @return a result that is not finite if there are fewer than {@link #MIN_POINTS} */
    public static Result fit(FitPoints points, Settings settings) {
        return fit(points, settings, AnnealPrior.NONE);
    }

    /** @param prior on C, read if the points have S2 */
    static Result fit(FitPoints points, Settings settings, AnnealPrior prior) {
        return points.size() < MIN_POINTS ? Result.nothing() : new RobustFit(points, settings, prior).run();
    }

    private static double[] negative(double[] values) {
        double[] negative = new double[values.length];
        for (int i = 0; i < values.length; i++) negative[i] = -values[i];
        return negative;
    }

    private static double of(Column column) {
        return column == null ? 0 : column.coefficient;
    }

    /** Not under 0, where a gain below it can take the losses of a large share. */
    private double lowestRecentMean(double annealNats) {
        return Math.max(0, points.lowestRecentMean(annealNats, of(share)));
    }

    private Result run() {
        double smallest =
                1e-7 * points.meanLoss(); // far under any noise; keeps a noise-free series from dividing by zero
        sigma = Math.max(smallest, NoiseScale.ofDifferences(points));
        // From above, a potential as of losses that can all be learnt: a law alone takes what a cut share cost for the
        // end of learning,
        // and a prior as narrow as the potential that is left then would never let the gain be seen.
        if (share != null) share.spread(settings.shareSpread * settings.alphaMean * points.meanLoss());
        double alpha = Double.NaN, before, potential = 0;
        for (int round = 0; round < MAX_ROUNDS; round++) {
            double potentialBefore = potential;
            before = alpha;
            alpha = bestAlpha();
            potential = linear.potential;
            boolean settled =
                    Math.abs(alpha - before) < SETTLED && Math.abs(potential - potentialBefore) < SETTLED * potential;
            linear.residuals(z, residual);
            sigma = Math.max(smallest, NoiseScale.ofResiduals(points, residual, fitted, settings.huber, sigma));
            if (settled) break;
            if (share != null) share.spread(settings.shareSpread * potential);
            for (int i = 0; i < size; i++) {
                double far = Math.sqrt(points.weight()[i]) * Math.abs(residual[i]) / sigma;
                weight[i] = points.weight()[i] * (far > settings.huber ? settings.huber / far : 1);
            }
        }
        return result(alpha);
    }

    /** With the linear part of alpha at hand. */
    private Result result(double alpha) {
        double potential = linear.potential, reducible = potential / alpha;
        double epsilon = linear.bound ? linear.epsilon : Math.max(0, linear.level - reducible);
        PowerLaw law = new PowerLaw(epsilon, reducible * Math.exp(alpha * lnEnd), alpha);
        double[][] covariance = linear.covariance(alpha, z, sigma, settings.alphaSd);
        double spread = Math.sqrt(covariance[0][0]) / potential, reach = studentReach(size - fitted);
        Interval potentials = new Interval(potential * Math.exp(-reach * spread), potential * Math.exp(reach * spread));
        double annealNats = of(anneal), annealSd = deviation(anneal, covariance);
        double gain = of(share), gainSd = deviation(share, covariance);
        double mostAnneal = anneal == null ? 0 : annealNats + reach * annealSd;
        Interval epsilons = epsilons(alpha, epsilon, reach, mostAnneal);
        return new Result(law, potential, spread, potentials, epsilons, sigma, annealNats, annealSd, gain, gainSd);
    }

    private double deviation(Column column, double[][] covariance) {
        int c = 1 + columns.indexOf(column);
        return c == 0 ? Double.NaN : Math.sqrt(covariance[c][c]);
    }

    /** Grid, then golden section between the neighbours of the best; leaves the linear part of the best alpha. */
    private double bestAlpha() {
        linear.round(weight, sigma, settings.ceiling * lowestRecentMean(of(anneal)));
        int best = 0;
        double lowest = Double.POSITIVE_INFINITY;
        for (int a = 0; a < GRID; a++) {
            double value = criterion(alpha_A[a], z_AX[a]);
            if (value < lowest) {
                lowest = value;
                best = a;
            }
        }
        double from = alpha_A[Math.max(0, best - 1)], to = alpha_A[Math.min(GRID - 1, best + 1)];
        double alpha = GoldenSection.lowest(this::criterion, from, to, GOLDEN);
        if (criterion(alpha) < lowest) return alpha;
        criterion(alpha_A[best]); // a bound of alpha is never inside
        return alpha_A[best];
    }

    /** Q at the best linear part in the bounds. */
    private double criterion(double alpha) {
        linear.basis(alpha, z);
        return criterion(alpha, z);
    }

    private double criterion(double alpha, double[] z) {
        linear.solve(alpha, z);
        return linear.squares / (sigma * sigma) + ofPrior(alpha);
    }

    private double ofPrior(double alpha) {
        double off = (alpha - settings.alphaMean) / settings.alphaSd;
        return off * off;
    }

    /**
     * At a given alpha Q is a parabola in epsilon, of which {@link LinearPart#free} gives bottom, place and width; so the
     * values of (alpha, epsilon) that are not rejected are found by a walk along alpha, and the ends of the interval are
     * their extremes in epsilon. A region that reaches over a bound is connected, hence the interval ends at the bound. The
     * least Q is the one within the bounds, which can only make the interval longer.
     */
    private Interval epsilons(double alpha, double epsilon, double reach, double mostAnneal) {
        double most = lowestRecentMean(mostAnneal);
        linear.round(weight, sigma, settings.ceiling * lowestRecentMean(of(anneal)));
        double cut = criterion(alpha) + reach * reach;
        double from = ALPHA_MIN, to = ALPHA_MAX; // around all that is not rejected
        for (int a = 0; a < GRID && to == ALPHA_MAX; a++) if (alpha_A[a] > alpha && rejected(a, cut)) to = alpha_A[a];
        for (int a = GRID - 1; a >= 0 && from == ALPHA_MIN; a--)
            if (alpha_A[a] < alpha && rejected(a, cut)) from = alpha_A[a];
        double low = epsilon, high = epsilon;
        double atLow = GoldenSection.lowest(a -> end(a, -1, cut), from, alpha, GOLDEN_OF_END);
        for (double a : new double[] {from, atLow, alpha}) low = Math.min(low, end(a, -1, cut));
        double atHigh = GoldenSection.lowest(a -> -end(a, 1, cut), alpha, to, GOLDEN_OF_END);
        for (double a : new double[] {alpha, atHigh, to}) high = Math.max(high, end(a, 1, cut));
        return new Interval(Math.max(0, low), Math.min(high, most));
    }

    private boolean rejected(int a, double cut) {
        linear.free(alpha_A[a], z_AX[a]);
        return linear.squares / (sigma * sigma) + ofPrior(alpha_A[a]) > cut;
    }

    /** End of what is not rejected at this alpha; where all is, a number further off than any loss, the worse the further. */
    private double end(double alpha, int side, double cut) {
        linear.basis(alpha, z);
        linear.free(alpha, z);
        double left = cut - (linear.squares / (sigma * sigma) + ofPrior(alpha));
        return left >= 0
                ? linear.epsilon + side * sigma * Math.sqrt(left * linear.epsilonVariance)
                : side * (left - 1e3) * 1e3;
    }

    /** 0.95 quantile of Student's t: Cornish and Fisher's expansion to the first order, 0.3 % short at 17 degrees. */
    private static double studentReach(int degrees) {
        return NORMAL_95 + (NORMAL_95 * NORMAL_95 * NORMAL_95 + NORMAL_95) / (4 * Math.max(1, degrees));
    }
}
