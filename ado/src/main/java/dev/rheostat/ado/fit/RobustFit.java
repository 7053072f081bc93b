package dev.rheostat.ado.fit;

import java.util.Arrays;

/**
 * Fits L(n) = epsilon + beta n^-alpha by variable projection: with u = ln(n / n_end) and z = (exp(-alpha u) - 1) / alpha
 * the law is L = level + potential * z, linear in its value and its potential -dL/d(ln n) at the newest point, so only
 * alpha is searched for. Minimises sum_i w_i Huber(r_i) / sigma^2 + ((alpha - mean) / sd)^2 over the domain
 * 0 <= epsilon <= ceiling, ALPHA_MIN <= alpha <= ALPHA_MAX, potential > 0; residuals r_i in nats, sigma^2 the variance of
 * one sequence's loss, estimated from the residuals.
 *
 * <p>epsilon, beta and alpha are not identifiable one by one for thousands of steps; the potential is, and it is all that
 * a mixture policy needs. Its standard deviation comes from the information matrix in (level, potential, alpha).
 *
 * <p>Pure and free of any state; cost per domain: about rounds * 60 passes over the bins, some 0.3 ms for 120 bins.
 * Variable projection: Golub and Pereyra 1973; scale: Huber's proposal 2, Huber and Ronchetti, Robust Statistics, sec. 6.4.
 */
public final class RobustFit {
    /**
     * @param ceiling upper bound of epsilon as a share of the lowest recent mean loss, so that the potential cannot
     *     collapse to nothing
     * @param huber residuals beyond this many standard deviations count linearly
     * @param alphaMean where a fit that the data do not decide puts the exponent
     * @param alphaSd how strongly: the standard deviation of the normal prior
     */
    public record Settings(double ceiling, double huber, double alphaMean, double alphaSd) {}

    /**
     * @param law the fit; not finite when there were too few points
     * @param potential of the law at the newest point, nats
     * @param spread standard deviation of ln potential
     * @param sigmaNats estimated standard deviation of one sequence's loss
     */
    public record Result(PowerLaw law, double potential, double spread, double sigmaNats) {
        /** Lower end of the 90 % interval of the potential, nats. */
        public double low() {
            return potential * Math.exp(-1.645 * spread);
        }

        /** Upper end of the 90 % interval of the potential, nats. */
        public double high() {
            return potential * Math.exp(1.645 * spread);
        }
    }

    /** Three are fitted and one is needed to see any noise. */
    public static final int MIN_POINTS = 4;

    /** Exponents lie between: at the ends the law is a straight line in ln n, or spent at once. */
    public static final double ALPHA_MIN = 0.02, ALPHA_MAX = 1;

    private static final int GRID = 32; // values of alpha tried first, evenly spaced in ln alpha: 13 % apart
    private static final int GOLDEN = 26; // bracket of two grid steps shrinks by .618^26 = 4e-6
    private static final int MAX_ROUNDS = 12;
    private static final double SETTLED = 1e-6; // change of alpha, and of the potential relative, that ends the rounds
    private static final double GOLDEN_SECTION = (Math.sqrt(5) - 1) / 2;

    private final FitPoints points;
    private final Settings settings;
    private final int size;
    private final double lnEnd, ceilingNats;
    private final double[] u;
    private final double[] alpha_A; // the grid
    private final double[][] z_AX;
    private final double[] weight; // of the points in this round: sequences times the Huber factor
    private final double[] z, residual;

    private double sigma;
    private double weightSum, lossMean; // of this round
    private double level, potential, squares; // best linear part for the alpha asked last; squares = sum w r^2
    private boolean bound; // epsilon lies on its bound there
    private double epsilonBound;

    private RobustFit(FitPoints points, Settings settings) {
        this.points = points;
        this.settings = settings;
        size = points.size();
        lnEnd = points.lnN()[size - 1];
        u = new double[size];
        for (int i = 0; i < size; i++) u[i] = points.lnN()[i] - lnEnd;
        weight = points.weight().clone();
        z = new double[size];
        residual = new double[size];
        ceilingNats = settings.ceiling * lowestRecentMean(points);
        alpha_A = new double[GRID];
        z_AX = new double[GRID][size];
        double ratio = Math.pow(ALPHA_MAX / ALPHA_MIN, 1.0 / (GRID - 1));
        for (int a = 0; a < GRID; a++) {
            alpha_A[a] = a == GRID - 1 ? ALPHA_MAX : ALPHA_MIN * Math.pow(ratio, a);
            basis(alpha_A[a], z_AX[a]);
        }
    }

    /** @param points ordered by n. @return a result that is not finite if there are fewer than {@link #MIN_POINTS} */
    public static Result fit(FitPoints points, Settings settings) {
        if (points.size() < MIN_POINTS) {
            double none = Double.NaN;
            return new Result(new PowerLaw(none, none, none), none, Double.POSITIVE_INFINITY, none);
        }
        return new RobustFit(points, settings).run();
    }

    private Result run() {
        double smallest = 1e-7 * meanLoss(); // far under any noise; keeps a noise-free series from dividing by zero
        sigma = Math.max(smallest, sigmaOfDifferences());
        double alpha = Double.NaN, before;
        for (int round = 0; round < MAX_ROUNDS; round++) {
            double potentialBefore = potential;
            before = alpha;
            alpha = bestAlpha();
            boolean settled =
                    Math.abs(alpha - before) < SETTLED && Math.abs(potential - potentialBefore) < SETTLED * potential;
            residuals();
            sigma = Math.max(smallest, scale());
            if (settled) break;
            for (int i = 0; i < size; i++) {
                double far = Math.sqrt(points.weight()[i]) * Math.abs(residual[i]) / sigma;
                weight[i] = points.weight()[i] * (far > settings.huber ? settings.huber / far : 1);
            }
        }
        double reducible = potential / alpha;
        double epsilon = bound ? epsilonBound : Math.max(0, level - reducible);
        PowerLaw law = new PowerLaw(epsilon, reducible * Math.exp(alpha * lnEnd), alpha);
        return new Result(law, potential, spread(alpha), sigma);
    }

    /** Grid, then golden section between the neighbours of the best; leaves the linear part of the best alpha. */
    private double bestAlpha() {
        double wy = 0;
        weightSum = 0;
        for (int i = 0; i < size; i++) {
            weightSum += weight[i];
            wy += weight[i] * points.lossNats()[i];
        }
        lossMean = wy / weightSum;
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
        double left = to - GOLDEN_SECTION * (to - from), right = from + GOLDEN_SECTION * (to - from);
        double leftValue = criterion(left), rightValue = criterion(right);
        for (int i = 0; i < GOLDEN; i++) {
            if (leftValue <= rightValue) {
                to = right;
                right = left;
                rightValue = leftValue;
                left = to - GOLDEN_SECTION * (to - from);
                leftValue = criterion(left);
            } else {
                from = left;
                left = right;
                leftValue = rightValue;
                right = from + GOLDEN_SECTION * (to - from);
                rightValue = criterion(right);
            }
        }
        double alpha = leftValue <= rightValue ? left : right;
        if (!(Math.min(leftValue, rightValue) < lowest)) alpha = alpha_A[best]; // a bound of alpha is never inside
        criterion(alpha);
        return alpha;
    }

    private double criterion(double alpha) {
        basis(alpha, z);
        return criterion(alpha, z);
    }

    private double criterion(double alpha, double[] z) {
        solve(alpha, z);
        double off = (alpha - settings.alphaMean) / settings.alphaSd;
        return squares / (sigma * sigma) + off * off;
    }

    private void basis(double alpha, double[] z) {
        for (int i = 0; i < size; i++) z[i] = (Math.exp(-alpha * u[i]) - 1) / alpha;
    }

    /** Weighted least squares of the loss on 1 and z, epsilon = level - potential / alpha held in its bounds. */
    private void solve(double alpha, double[] z) {
        double[] loss = points.lossNats();
        double wz = 0;
        for (int i = 0; i < size; i++) wz += weight[i] * z[i];
        double zMean = wz / weightSum;
        double zz = 0, zy = 0, yy = 0; // about the means, or the squares of a good fit would drown in rounding
        for (int i = 0; i < size; i++) {
            double dz = z[i] - zMean, dy = loss[i] - lossMean;
            zz += weight[i] * dz * dz;
            zy += weight[i] * dz * dy;
            yy += weight[i] * dy * dy;
        }
        potential = zy / zz;
        level = lossMean - potential * zMean;
        squares = Math.max(0, yy - potential * zy);
        double epsilon = level - potential / alpha;
        bound = !(epsilon >= 0 && epsilon <= ceilingNats && potential > 0);
        if (bound) onBound(alpha, z, potential > 0 && epsilon < 0 ? 0 : ceilingNats);
    }

    /** loss - epsilon = reducible * (1 + alpha z): one unknown. */
    private void onBound(double alpha, double[] z, double epsilon) {
        double[] loss = points.lossNats();
        double xx = 0, xy = 0, yy = 0;
        for (int i = 0; i < size; i++) {
            double x = 1 + alpha * z[i], y = loss[i] - epsilon;
            xx += weight[i] * x * x;
            xy += weight[i] * x * y;
            yy += weight[i] * y * y;
        }
        // The ceiling is under the recent mean, so the amplitude is positive but for a loss that rose from below it.
        double reducible = Math.max(xy / xx, 1e-12);
        epsilonBound = epsilon;
        level = epsilon + reducible;
        potential = alpha * reducible;
        squares = Math.max(0, yy - reducible * (2 * xy - reducible * xx));
    }

    private void residuals() {
        for (int i = 0; i < size; i++) residual[i] = points.lossNats()[i] - (level + potential * z[i]);
    }

    /** Root of sum min(w r^2, (h sigma)^2) / (points - 3) = c sigma^2, one fixed-point step from the current sigma. */
    private double scale() {
        double h = settings.huber, sum = 0, squaresOfScale = sigma * sigma;
        for (int inner = 0; inner < 20; inner++) {
            sum = 0;
            for (int i = 0; i < size; i++)
                sum += Math.min(points.weight()[i] * residual[i] * residual[i], h * h * squaresOfScale);
            squaresOfScale = sum / (size - 3) / clippedVariance(h);
        }
        return Math.sqrt(squaresOfScale);
    }

    /** E min(x^2, h^2) for a standard normal x, so that the scale is right where there are no outliers. */
    private static double clippedVariance(double h) {
        double density = Math.exp(-0.5 * h * h) / Math.sqrt(2 * Math.PI);
        double tail = upperTail(h);
        return 1 - 2 * tail - 2 * h * density + 2 * h * h * tail;
    }

    /** P(x > h) of a standard normal, h > 0, to 1e-7. Abramowitz and Stegun 26.2.17. */
    private static double upperTail(double h) {
        double t = 1 / (1 + 0.2316419 * h);
        double series =
                t * (0.319381530 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
        return Math.exp(-0.5 * h * h) / Math.sqrt(2 * Math.PI) * series;
    }

    /** A first guess of sigma that no trend and no outlier moves far: the median of neighbours' differences. */
    private double sigmaOfDifferences() {
        double[] difference = new double[size - 1];
        for (int i = 0; i < size - 1; i++) {
            double variance = 1 / points.weight()[i] + 1 / points.weight()[i + 1];
            difference[i] = Math.abs(points.lossNats()[i + 1] - points.lossNats()[i]) / Math.sqrt(variance);
        }
        Arrays.sort(difference);
        return 1.4826 * difference[difference.length / 2]; // median of |x| to the deviation of a normal
    }

    /**
     * sd(ln potential) from the inverse of J'WJ / sigma^2 + the prior's information, at the fit. A bound on epsilon that
     * holds the fit is not counted as knowledge: the true value may be anywhere behind it, and intervals that used it
     * held the truth in 75 of 100 cases instead of 90.
     */
    private double spread(double alpha) {
        double ll = 0, lp = 0, la = 0, pp = 0, pa = 0, aa = 0; // information in (level, potential, alpha)
        for (int i = 0; i < size; i++) {
            double x = 1 + alpha * z[i]; // exp(-alpha u)
            double byPotential = z[i], byAlpha = potential * (-u[i] * x - z[i]) / alpha;
            ll += weight[i];
            lp += weight[i] * byPotential;
            la += weight[i] * byAlpha;
            pp += weight[i] * byPotential * byPotential;
            pa += weight[i] * byPotential * byAlpha;
            aa += weight[i] * byAlpha * byAlpha;
        }
        double variance = sigma * sigma;
        double aaLeft = (aa - la * la / ll) / variance + 1 / (settings.alphaSd * settings.alphaSd); // level eliminated
        double paLeft = (pa - lp * la / ll) / variance, ppLeft = (pp - lp * lp / ll) / variance;
        return Math.sqrt(1 / (ppLeft - paLeft * paLeft / aaLeft)) / potential;
    }

    private double meanLoss() {
        double sum = 0, count = 0;
        for (int i = 0; i < size; i++) {
            sum += points.weight()[i] * points.lossNats()[i];
            count += points.weight()[i];
        }
        return sum / count;
    }

    /** The lowest mean over blocks of an eighth of the points, counted back from the newest: one noisy bin cannot set it. */
    static double lowestRecentMean(FitPoints points) {
        int block = Math.min(points.size(), Math.max(5, points.size() / 8));
        double lowest = Double.POSITIVE_INFINITY;
        for (int to = points.size(); to >= block; to -= block) {
            double sum = 0, count = 0;
            for (int i = to - block; i < to; i++) {
                sum += points.weight()[i] * points.lossNats()[i];
                count += points.weight()[i];
            }
            lowest = Math.min(lowest, sum / count);
        }
        return lowest;
    }
}
