package dev.rheostat.ado;

import dev.rheostat.ado.fit.Cholesky;
import dev.rheostat.ado.fit.PowerLaw;
import java.util.List;
import java.util.Optional;

/**
 * How much a sequence of domain j helps domain k, from how the losses fell between validations. With m_j sequences drawn of
 * domain j, n of all, domain k learns from u_k = sum_j A_kj m_j, and its loss falls by its potential P_k a unit of ln u_k:
 *
 * <pre>
 * y = fall of loss k / P_k = (s + r v) d + sum_j A_kj x_j / U,   d = ln n1 - ln n0,   U = sum_j A_kj p_j
 * v = -1 in the first window to 1 in the last
 * x_j = d (share of j in the window - p_j),   p_j = share of j in all that was drawn up to the middle of the window
 * </pre>
 *
 * x tells only of the differences between domains (it sums to 0), and these alone decide which domain is worth more; what all
 * have in common, a learning rate that anneals for one, goes into s and r. A ridge regression about A = identity, which
 * is ADO's belief, prior deviation spread an entry; U from the estimate before, a few rounds. The variance of y is
 * estimated with a weak prior, so that few windows are not taken for exact.
 */
final class TransferHelp {
    /** The state of a run when it was validated. @param drawn_K sequences so far */
    record Point(double[] drawn_K, double[] lossNats_K) {
        double drawn() {
            return Simplex.sum(drawn_K);
        }
    }

    /**
     * One row of A.
     *
     * @param help_K not negative
     * @param vagueness posterior over prior deviation of the differences between entries: 1 when nothing was learned
     */
    record Row(double[] help_K, double vagueness) {}

    private static final int ROUNDS = 6;
    private static final double RATE_SPREAD =
            1; // prior deviation of s about 1 and r about 0: an annealing rate may double the fall
    private static final double ERROR =
            0.1; // prior guess of the deviation of y, in parts of d: laws are not known better
    private static final double ERROR_WEIGHT = 4; // windows that the guess counts as

    private final List<Point> points;
    private final double spread;

    TransferHelp(List<Point> points, double spread) {
        this.points = points;
        this.spread = spread;
    }

    /** Row k, given the law of domain k's loss in n; empty without a window. Costs rounds * (windows K^2 + K^3). */
    Optional<Row> row(int k, PowerLaw law) {
        int windows = points.size() - 1;
        if (windows < 1) return Optional.empty();
        int K = points.getFirst().drawn_K.length;
        double[] y_W = new double[windows], d_W = new double[windows];
        double[][] x_WK = new double[windows][K], share_WK = new double[windows][K];
        for (int w = 0; w < windows; w++) window(k, law, w, y_W, d_W, x_WK[w], share_WK[w]);
        double[] help_K = new double[K];
        help_K[k] = 1;
        double meanSquare = 0;
        for (double d : d_W) meanSquare += d * d / windows;
        double guess = ERROR * ERROR * meanSquare, variance = guess, vagueness = 1;
        for (int round = 0; round < ROUNDS; round++) {
            double[][] z_WX = regressors(help_K, x_WK, share_WK, d_W);
            Cholesky information = information(z_WX, variance, K);
            double[] answer_X = solve(information, z_WX, y_W, variance, k, K);
            double squares = 0;
            for (int w = 0; w < windows; w++) {
                double residual = y_W[w];
                for (int j = 0; j <= K + 1; j++) residual -= z_WX[w][j] * answer_X[j];
                squares += residual * residual;
            }
            variance = (squares + ERROR_WEIGHT * guess) / (Math.max(0, windows - K) + ERROR_WEIGHT);
            vagueness = vagueness(information, K);
            for (int j = 0; j < K; j++) help_K[j] = Math.max(0, answer_X[j]);
        }
        return Optional.of(new Row(help_K, vagueness));
    }

    private void window(int k, PowerLaw law, int w, double[] y_W, double[] d_W, double[] x_K, double[] share_K) {
        Point from = points.get(w), to = points.get(w + 1);
        double n0 = from.drawn(), n1 = to.drawn();
        d_W[w] = Math.log(n1 / n0);
        y_W[w] = (from.lossNats_K[k] - to.lossNats_K[k]) / law.potential(Math.sqrt(n0 * n1));
        for (int j = 0; j < x_K.length; j++) {
            share_K[j] = (from.drawn_K[j] + to.drawn_K[j]) / (n0 + n1);
            x_K[j] = d_W[w] * ((to.drawn_K[j] - from.drawn_K[j]) / (n1 - n0) - share_K[j]);
        }
    }

    /** x_j / U for each domain, then d, then v d. */
    private static double[][] regressors(double[] help_K, double[][] x_WK, double[][] share_WK, double[] d_W) {
        int K = help_K.length;
        double[][] z_WX = new double[x_WK.length][K + 2];
        for (int w = 0; w < z_WX.length; w++) {
            double skill = skill(help_K, share_WK[w]);
            for (int j = 0; j < K; j++) z_WX[w][j] = x_WK[w][j] / skill;
            z_WX[w][K] = d_W[w];
            z_WX[w][K + 1] = z_WX.length == 1 ? 0 : d_W[w] * (2.0 * w / (z_WX.length - 1) - 1);
        }
        return z_WX;
    }

    /** U: sequences of domain k that one of the mixture is worth. */
    static double skill(double[] help_K, double[] share_K) {
        double skill = 0;
        for (int j = 0; j < help_K.length; j++) skill += help_K[j] * share_K[j];
        return Math.max(skill, 1e-9); // a domain that nothing drawn has helped
    }

    private Cholesky information(double[][] z_WX, double variance, int K) {
        double[][] information_XX = new double[K + 2][K + 2];
        for (double[] z_X : z_WX)
            for (int i = 0; i <= K + 1; i++)
                for (int j = 0; j <= i; j++) information_XX[i][j] += z_X[i] * z_X[j] / variance;
        for (int j = 0; j < K; j++) information_XX[j][j] += 1 / (spread * spread);
        for (int i = K; i <= K + 1; i++) information_XX[i][i] += 1 / (RATE_SPREAD * RATE_SPREAD);
        return new Cholesky(information_XX);
    }

    private double[] solve(Cholesky information, double[][] z_WX, double[] y_W, double variance, int k, int K) {
        double[] right_X = new double[K + 2];
        for (int w = 0; w < y_W.length; w++)
            for (int j = 0; j <= K + 1; j++) right_X[j] += z_WX[w][j] * y_W[w] / variance;
        right_X[k] += 1 / (spread * spread);
        right_X[K] += 1 / (RATE_SPREAD * RATE_SPREAD);
        return information.solve(right_X);
    }

    /** Root of the trace of the posterior covariance of A_kj - mean_j A_kj, over that of the prior. */
    private double vagueness(Cholesky information, int K) {
        double trace = 0, sum = 0;
        for (int j = 0; j < K; j++) {
            double[] unit_X = new double[K + 2];
            unit_X[j] = 1;
            double[] column_X = information.solve(unit_X);
            trace += column_X[j];
            for (int i = 0; i < K; i++) sum += column_X[i];
        }
        return Math.sqrt((trace - sum / K) / (spread * spread * (K - 1)));
    }
}
