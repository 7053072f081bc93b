package dev.rheostat.ado.fit;

import java.util.List;

/**
 * For one alpha, the law's linear part by weighted least squares: loss = level + potential z + sum_c coefficient_c x_c, with
 * z = (exp(-alpha u) - 1) / alpha and u = ln(n / newest n), so that level is the loss at the newest n where every column is 0,
 * and epsilon = level - potential / alpha.
 *
 * <p>{@link #solve} holds 0 <= epsilon <= ceiling, potential > 0 and the columns' bounds; {@link #free} holds nothing. Both leave
 * their answer in the fields and are one pass over the points.
 */
final class LinearPart {
    /** What the loss depends on beside the law: a value a point, and a coefficient with a normal prior. */
    static final class Column {
        private final double[] x;
        private final double mean;
        private final boolean atLeast0;
        private double sd, ridge; // ridge: sigma^2 over the variance of the prior

        /** Of the last answer. */
        double coefficient;

        /** @param x a value a point. @param mean and sd of the prior. @param atLeast0 the coefficient is not negative */
        Column(double[] x, double mean, double sd, boolean atLeast0) {
            this.x = x;
            this.mean = mean;
            this.sd = sd;
            this.atLeast0 = atLeast0;
        }

        /** Holds from the next {@link LinearPart#round} on; at 0 the coefficient is the prior's mean, which must be 0. */
        void spread(double sd) {
            this.sd = sd;
        }

        private boolean used() {
            return sd > 0;
        }
    }

    private static final double LEAST_REDUCIBLE = 1e-12; // nats

    private final double[] loss, u;
    private final List<Column> columns;
    private final Column[] used; // in this round
    private int count; // of used

    private double[] weight;
    private double ceilingNats; // of epsilon
    private double weightSum, lossMean;

    private final double[][] normal; // of the leading column and those used
    private final double[][] elimination; // a copy to work on
    private final double[] right, answer;

    /** Of the last answer. squares = sum w r^2 + sum_c ridge_c (coefficient_c - its prior mean)^2; bound: epsilon lies on a bound. */
    double level, potential, epsilon, squares;

    boolean bound;

    /** Of the last {@link #free}: variance of epsilon at this alpha over sigma^2. */
    double epsilonVariance;

    LinearPart(FitPoints points, double[] u, List<Column> columns) {
        loss = points.lossNats();
        this.u = u;
        this.columns = columns;
        used = new Column[columns.size()];
        normal = new double[1 + columns.size()][1 + columns.size()];
        elimination = new double[1 + columns.size()][1 + columns.size()];
        right = new double[1 + columns.size()];
        answer = new double[1 + columns.size()];
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
        count = 0;
        for (Column column : columns) {
            column.coefficient = 0;
            if (!column.used()) continue;
            column.ridge = Math.pow(sigma / column.sd, 2);
            used[count++] = column;
        }
        weightSum = 0;
        for (double one : weight) weightSum += one;
        lossMean = mean(loss);
    }

    private double mean(double[] values) {
        double sum = 0;
        for (int i = 0; i < values.length; i++) sum += weight[i] * values[i];
        return sum / weightSum;
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

    private void least(double alpha, double[] z, boolean held) {
        double zMean = mean(z); // about the means, or the squares of a good fit would drown in rounding
        double[] mean_C = new double[count];
        for (int c = 0; c < count; c++) mean_C[c] = mean(used[c].x);
        double yy = equations(z, zMean, mean_C, lossMean);
        squares = best(yy, new boolean[1 + count], held);
        potential = answer[0];
        level = lossMean - potential * zMean;
        for (int c = 0; c < count; c++) level -= used[c].coefficient * mean_C[c];
        epsilon = level - potential / alpha;
        if (held) return;
        double[] slope = new double[1 + count]; // epsilon = lossMean - slope . answer
        slope[0] = zMean + 1 / alpha;
        System.arraycopy(mean_C, 0, slope, 1, count);
        double[][] inverse = inverse(normal, 1 + count);
        epsilonVariance = 1 / weightSum;
        for (int a = 0; a <= count; a++)
            for (int b = 0; b <= count; b++) epsilonVariance += slope[a] * inverse[a][b] * slope[b];
    }

    /** loss - epsilon = reducible (1 + alpha z) + the columns. */
    private void onBound(double alpha, double[] z, double heldEpsilon) {
        double[] x = new double[z.length];
        for (int i = 0; i < z.length; i++) x[i] = 1 + alpha * z[i];
        double yy = equations(x, 0, new double[count], heldEpsilon);
        squares = best(yy, new boolean[1 + count], true);
        // The ceiling is under the recent mean, so the amplitude is positive but for a loss that rose from below it.
        double reducible = answer[0];
        if (reducible < LEAST_REDUCIBLE) {
            reducible = LEAST_REDUCIBLE;
            squares = bestBeside(reducible, yy);
        }
        epsilon = heldEpsilon;
        level = heldEpsilon + reducible;
        potential = alpha * reducible;
    }

    /** Normal equations of loss - lossAt = answer_0 (lead - leadAt) + sum_c answer_(1 + c) (x_c - at_c), ridges included. @return sum w (loss - lossAt)^2 */
    private double equations(double[] lead, double leadAt, double[] at_C, double lossAt) {
        double xx = 0, xy = 0, yy = 0;
        for (int i = 0; i < lead.length; i++) {
            double x = lead[i] - leadAt, y = loss[i] - lossAt;
            xx += weight[i] * x * x;
            xy += weight[i] * x * y;
            yy += weight[i] * y * y;
        }
        normal[0][0] = xx;
        right[0] = xy;
        for (int c = 0; c < count; c++) {
            double[] row = normal[1 + c], of = used[c].x;
            double at = at_C[c], ofLead = 0, ofLoss = 0;
            for (int i = 0; i < lead.length; i++) {
                double wx = weight[i] * (of[i] - at);
                ofLead += wx * (lead[i] - leadAt);
                ofLoss += wx * (loss[i] - lossAt);
            }
            row[0] = ofLead;
            right[1 + c] = ofLoss + used[c].ridge * used[c].mean;
            for (int b = 0; b <= c; b++) row[1 + b] = product(of, at, used[b].x, at_C[b]);
            row[1 + c] += used[c].ridge;
        }
        return yy;
    }

    private double product(double[] x, double xAt, double[] y, double yAt) {
        double sum = 0;
        for (int i = 0; i < x.length; i++) sum += weight[i] * (x[i] - xAt) * (y[i] - yAt);
        return sum;
    }

    /** With the leading coefficient given. The right sides of the normal equations are taken for it. @return as {@link #best} */
    private double bestBeside(double lead, double yy) {
        double left = yy - lead * (2 * right[0] - lead * normal[0][0]);
        for (int c = 0; c < count; c++) right[1 + c] -= lead * normal[1 + c][0];
        boolean[] out = new boolean[1 + count];
        out[0] = true;
        return best(left, out, true);
    }

    /**
     * Solves the normal equations into answer and the columns' coefficients; a coefficient that would cross its bound is 0, and the
     * others are solved without it.
     *
     * @param out unknowns that are 0; those that would cross are added. @return the squares left, the ridges' among them
     */
    private double best(double yy, boolean[] out, boolean held) {
        while (true) {
            solve(out);
            int crossed = 0;
            for (int c = 1; c <= count; c++) if (held && used[c - 1].atLeast0 && answer[c] < 0) crossed = c;
            if (crossed == 0) break;
            out[crossed] = true;
        }
        double left = yy, ofPrior = 0;
        for (int a = 0; a <= count; a++) left -= answer[a] * right[a];
        for (int c = 0; c < count; c++) {
            used[c].coefficient = answer[1 + c];
            ofPrior += used[c].ridge * used[c].mean * used[c].mean;
        }
        return Math.max(0, left + ofPrior);
    }

    /** Gauss, no pivots, for a positive definite matrix; 0 where out. */
    private void solve(boolean[] out) {
        int n = 1 + count;
        double[][] a = elimination;
        for (int i = 0; i < n; i++) {
            answer[i] = out[i] ? 0 : right[i];
            for (int j = 0; j <= i; j++) a[i][j] = a[j][i] = out[i] || out[j] ? (i == j ? 1 : 0) : normal[i][j];
        }
        for (int p = 0; p < n; p++)
            for (int i = p + 1; i < n; i++) {
                double factor = a[i][p] / a[p][p];
                for (int j = p; j < n; j++) a[i][j] -= factor * a[p][j];
                answer[i] -= factor * answer[p];
            }
        for (int i = n - 1; i >= 0; i--) {
            for (int j = i + 1; j < n; j++) answer[i] -= a[i][j] * answer[j];
            answer[i] /= a[i][i];
        }
    }

    /** Residual of each point, nats, for the last answer at the alpha of z. */
    void residuals(double[] z, double[] residual) {
        for (int i = 0; i < residual.length; i++) residual[i] = loss[i] - (level + potential * z[i]);
        for (int c = 0; c < count; c++)
            for (int i = 0; i < residual.length; i++) residual[i] -= used[c].coefficient * used[c].x[i];
    }

    /**
     * Covariance of the potential and the coefficients, in that order, at the last answer, alpha and level unknown beside them; from
     * the inverse of the information matrix and the priors; NaN for a column that is not used. A bound that holds the fit
     * is not counted as knowledge: the true value may be anywhere behind it, and intervals that used it held the truth in 75 of
     * 100 cases instead of 90.
     */
    double[][] covariance(double alpha, double[] z, double sigma, double alphaSd) {
        int n = 3 + count; // level, alpha, potential, columns
        double[][] information = new double[n][n];
        double[] slope = new double[n];
        for (int i = 0; i < z.length; i++) {
            slope[0] = 1;
            slope[1] = potential * (-u[i] * (1 + alpha * z[i]) - z[i]) / alpha; // 1 + alpha z = exp(-alpha u)
            slope[2] = z[i];
            for (int c = 0; c < count; c++) slope[3 + c] = used[c].x[i];
            for (int a = 0; a < n; a++)
                for (int b = 0; b <= a; b++) information[a][b] += weight[i] * slope[a] * slope[b] / (sigma * sigma);
        }
        information[1][1] += 1 / (alphaSd * alphaSd);
        for (int c = 0; c < count; c++) information[3 + c][3 + c] += 1 / (used[c].sd * used[c].sd);
        double[][] inverse = inverse(information, n);
        int[] place = new int[1 + columns.size()]; // in the information, of the potential and each column; 0: not used
        place[0] = 2;
        for (int c = 0, next = 3; c < columns.size(); c++) if (columns.get(c).used()) place[1 + c] = next++;
        double[][] covariance = new double[place.length][place.length];
        for (int a = 0; a < place.length; a++)
            for (int b = 0; b < place.length; b++)
                covariance[a][b] = place[a] == 0 || place[b] == 0 ? Double.NaN : inverse[place[a]][place[b]];
        return covariance;
    }

    /** Of a positive definite matrix whose lower triangle is given in the first n rows. Gauss and Jordan, no pivots. */
    private static double[][] inverse(double[][] lower, int n) {
        double[][] a = new double[n][n];
        for (int i = 0; i < n; i++) for (int j = 0; j <= i; j++) a[i][j] = a[j][i] = lower[i][j];
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
        return a;
    }
}
