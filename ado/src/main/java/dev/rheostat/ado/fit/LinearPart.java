package dev.rheostat.ado.fit;

/**
 * For one alpha, the law's linear part by weighted least squares: loss = level + potential z - anneal S2, with
 * z = (exp(-alpha u) - 1) / alpha and u = ln(n / newest n), so that level is the loss at the newest n without annealing and
 * epsilon = level - potential / alpha. Where the points carry no S2 the last term is not there.
 *
 * <p>{@link #solve} holds 0 <= epsilon <= ceiling, potential > 0 and anneal >= 0; {@link #free} holds nothing. Both leave
 * their answer in the fields and are one pass over the points.
 */
final class LinearPart {
    private static final double LEAST_REDUCIBLE = 1e-12; // nats

    private final double[] loss, fall; // fall = -S2, the column that anneal multiplies
    private final double[] u;
    private final boolean annealed;
    private final double annealMean, annealSd;

    private double[] weight;
    private double ceilingNats; // of epsilon
    private double weightSum, lossMean;
    private double ridge; // sigma^2 over the variance of the prior on anneal

    /** Of the last answer. squares = sum w r^2 + ridge (anneal - its prior mean)^2; bound: epsilon lies on a bound. */
    double level, potential, anneal, epsilon, squares;

    boolean bound;

    /** Of the last {@link #free}: variance of epsilon at this alpha over sigma^2. */
    double epsilonVariance;

    private double lead, second; // solution of the last pair

    LinearPart(FitPoints points, double[] u, AnnealPrior prior) {
        loss = points.lossNats();
        annealed = points.anneal().length > 0;
        fall = new double[points.anneal().length];
        for (int i = 0; i < fall.length; i++) fall[i] = -points.anneal()[i];
        this.u = u;
        annealMean = prior.mean();
        annealSd = prior.sd();
    }

    /** z of an alpha, into z. */
    void basis(double alpha, double[] z) {
        for (int i = 0; i < z.length; i++) z[i] = (Math.exp(-alpha * u[i]) - 1) / alpha;
    }

    /**
     * What the answers below hold to.
     *
     * @param weights of the points
     * @param sigma of one sequence's loss, nats
     * @param ceiling of epsilon, nats
     */
    void round(double[] weights, double sigma, double ceiling) {
        weight = weights;
        ceilingNats = ceiling;
        ridge = annealed ? Math.pow(sigma / annealSd, 2) : 0;
        double wy = 0;
        weightSum = 0;
        for (int i = 0; i < loss.length; i++) {
            weightSum += weight[i];
            wy += weight[i] * loss[i];
        }
        lossMean = wy / weightSum;
    }

    /** In the bounds. */
    void solve(double alpha, double[] z) {
        least(alpha, z, true);
        bound = !(epsilon >= 0 && epsilon <= ceilingNats && potential > 0);
        if (bound) onBound(alpha, z, potential > 0 && epsilon < 0 ? 0 : ceilingNats);
    }

    /** Whatever the bounds say. */
    void free(double alpha, double[] z) {
        least(alpha, z, false);
        bound = false;
    }

    private void least(double alpha, double[] z, boolean annealAtLeast0) {
        double wz = 0, wt = 0;
        for (int i = 0; i < z.length; i++) wz += weight[i] * z[i];
        for (int i = 0; i < fall.length; i++) wt += weight[i] * fall[i];
        double zMean = wz / weightSum, tMean = wt / weightSum;
        double zz = 0, zy = 0, yy = 0; // about the means, or the squares of a good fit would drown in rounding
        for (int i = 0; i < z.length; i++) {
            double dz = z[i] - zMean, dy = loss[i] - lossMean;
            zz += weight[i] * dz * dz;
            zy += weight[i] * dz * dy;
            yy += weight[i] * dy * dy;
        }
        double zt = 0, tt = ridge, ty = ridge * annealMean;
        for (int i = 0; i < fall.length; i++) {
            double dt = fall[i] - tMean;
            zt += weight[i] * dt * (z[i] - zMean);
            tt += weight[i] * dt * dt;
            ty += weight[i] * dt * (loss[i] - lossMean);
        }
        squares = pair(zz, zt, tt, zy, ty, yy, annealAtLeast0);
        potential = lead;
        anneal = second;
        level = lossMean - potential * zMean - anneal * tMean;
        epsilon = level - potential / alpha;
        double byPotential = zMean + 1 / alpha; // epsilon = lossMean - byPotential potential - tMean anneal
        epsilonVariance = 1 / weightSum
                + (annealed
                        ? (byPotential * byPotential * tt - 2 * byPotential * tMean * zt + tMean * tMean * zz)
                                / (zz * tt - zt * zt)
                        : byPotential * byPotential / zz);
    }

    /** loss - epsilon = reducible (1 + alpha z) - anneal S2. */
    private void onBound(double alpha, double[] z, double held) {
        double xx = 0, xy = 0, yy = 0, xt = 0, tt = ridge, ty = ridge * annealMean;
        for (int i = 0; i < z.length; i++) {
            double x = 1 + alpha * z[i], y = loss[i] - held;
            xx += weight[i] * x * x;
            xy += weight[i] * x * y;
            yy += weight[i] * y * y;
            if (!annealed) continue;
            xt += weight[i] * x * fall[i];
            tt += weight[i] * fall[i] * fall[i];
            ty += weight[i] * fall[i] * y;
        }
        squares = pair(xx, xt, tt, xy, ty, yy, true);
        // The ceiling is under the recent mean, so the amplitude is positive but for a loss that rose from below it.
        double reducible = lead;
        if (reducible < LEAST_REDUCIBLE) {
            reducible = LEAST_REDUCIBLE;
            second = 0;
            squares = Math.max(0, yy - reducible * (2 * xy - reducible * xx)) + ridge * annealMean * annealMean;
        }
        anneal = second;
        epsilon = held;
        level = held + reducible;
        potential = alpha * reducible;
    }

    /**
     * Minimises over (lead, second) the squares with normal equations [aa ab; ab bb] (lead, second) = (ay, by), where bb
     * and by hold the ridge. @return the squares left, the ridge's among them
     */
    private double pair(double aa, double ab, double bb, double ay, double by, double yy, boolean secondAtLeast0) {
        if (annealed) {
            double determinant = aa * bb - ab * ab;
            lead = (ay * bb - by * ab) / determinant;
            second = (aa * by - ab * ay) / determinant;
            double ofPrior = ridge * annealMean * annealMean;
            if (second >= 0 || !secondAtLeast0) return Math.max(0, yy + ofPrior - lead * ay - second * by);
            lead = ay / aa;
            second = 0;
            return Math.max(0, yy - lead * ay) + ofPrior;
        }
        lead = ay / aa;
        second = 0;
        return Math.max(0, yy - lead * ay);
    }

    /** Residual of each point, nats, for the last answer at the alpha of z. */
    void residuals(double[] z, double[] residual) {
        for (int i = 0; i < residual.length; i++) residual[i] = loss[i] - (level + potential * z[i]);
        for (int i = 0; i < fall.length; i++) residual[i] -= anneal * fall[i];
    }

    /**
     * Covariance of (potential, anneal), to their own units, at the last answer, alpha and level unknown beside them; from the
     * inverse of the information matrix and the priors. A bound that holds the fit is not counted as knowledge: the true
     * value may be anywhere behind it, and intervals that used it held the truth in 75 of 100 cases instead of 90.
     *
     * @return {sd of potential, sd of anneal}
     */
    double[] deviations(double alpha, double[] z, double sigma, double alphaSd) {
        int n = annealed ? 4 : 3; // level, alpha, potential, anneal
        double[][] information = new double[n][n];
        double[] slope = new double[n];
        for (int i = 0; i < z.length; i++) {
            slope[0] = 1;
            slope[1] = potential * (-u[i] * (1 + alpha * z[i]) - z[i]) / alpha; // 1 + alpha z = exp(-alpha u)
            slope[2] = z[i];
            if (annealed) slope[3] = fall[i];
            for (int a = 0; a < n; a++)
                for (int b = 0; b <= a; b++) information[a][b] += weight[i] * slope[a] * slope[b] / (sigma * sigma);
        }
        information[1][1] += 1 / (alphaSd * alphaSd);
        if (annealed) information[3][3] += 1 / (annealSd * annealSd);
        double[] inverse = inverseDiagonal(information);
        return new double[] {Math.sqrt(inverse[2]), annealed ? Math.sqrt(inverse[3]) : Double.NaN};
    }

    /** Of a positive definite matrix whose lower triangle is given; the matrix is overwritten. Gauss and Jordan, no pivots. */
    private static double[] inverseDiagonal(double[][] a) {
        int n = a.length;
        for (int i = 0; i < n; i++) for (int j = 0; j < i; j++) a[j][i] = a[i][j];
        for (int p = 0; p < n; p++) {
            double pivot = a[p][p];
            a[p][p] = 1;
            for (int j = 0; j < n; j++) a[p][j] /= pivot;
            for (int i = 0; i < n; i++) {
                if (i == p) continue;
                double factor = a[i][p];
                a[i][p] = 0;
                for (int j = 0; j < n; j++) a[i][j] -= factor * a[p][j];
            }
        }
        double[] diagonal = new double[n];
        for (int i = 0; i < n; i++) diagonal[i] = a[i][i];
        return diagonal;
    }
}
