package dev.rheostat.ado.fit;

import java.util.concurrent.CancellationException;

/**
 * The published fit: {@link HuberObjective} minimised by L-BFGS from 512 starts, the best kept. Its cost is 512 * up to
 * 200 iterations * points, each an exp and a log: seconds for one domain of 600 points, and it grows with the run; kept
 * to compare with, {@link RobustFit} is what to use. Source: yidingjiang/ado, data_selectors/ado.py.
 */
public final class ReferenceFit {
    /** @param law not finite if no start reached a finite objective. @param objective its value there */
    public record Result(PowerLaw law, double objective) {}

    static final int STARTS_EACH = 8; // along each of a, e, alpha
    private static final double TOLERANCE = 1e-5;
    private static final int MAX_ITERATIONS = 200;

    private ReferenceFit() {}

    /**
     * @param n sequences seen, of all domains. @param lossNats the (filtered) loss there
     * @throws CancellationException if the thread is interrupted between two starts, the interrupt still set
     */
    public static Result fit(double[] n, double[] lossNats) {
        HuberObjective objective = new HuberObjective(n, lossNats);
        Lbfgs.Minimum best = null;
        for (int start = 0; start < STARTS_EACH * STARTS_EACH * STARTS_EACH; start++) {
            if (Thread.currentThread().isInterrupted()) throw new CancellationException("the fit was interrupted");
            Lbfgs.Minimum found = Lbfgs.minimise(objective, startPoint(start), TOLERANCE, MAX_ITERATIONS);
            // A NaN never wins, whatever came before or after it; ties keep the first start, as argmin does.
            if (!Double.isNaN(found.value()) && (best == null || found.value() < best.value())) best = found;
        }
        if (best == null) return new Result(new PowerLaw(Double.NaN, Double.NaN, Double.NaN), Double.NaN);
        double[] x = best.x();
        return new Result(new PowerLaw(Math.exp(x[1]), Math.exp(x[0]), x[2]), best.value());
    }

    /** (a, e, alpha): a in -2..5 by 1, e in -2..1.5 by 0.5, alpha in 0..0.7 by 0.1; alpha runs fastest. */
    static double[] startPoint(int start) {
        int a = start / (STARTS_EACH * STARTS_EACH), e = start / STARTS_EACH % STARTS_EACH, alpha = start % STARTS_EACH;
        return new double[] {a - 2.0, 0.5 * e - 2.0, 0.1 * alpha};
    }
}
