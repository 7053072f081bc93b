package dev.rheostat.ado.fit;

import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.stream.IntStream;

/**
 * The published fit: {@link HuberObjective} minimised by L-BFGS from 512 starts, the best kept. Its cost is 512 * up to
 * 200 iterations * points: some 100,000 passes over the points, shared by the cores of the common pool, and it grows with the
 * run; kept to compare with, {@link RobustFit} is what to use. Source: yidingjiang/ado, data_selectors/ado.py.
 */
public final class ReferenceFit {
    /** @param law not finite if no start reached a finite objective. @param objective its value there */
    public record Result(PowerLaw law, double objective) {}

    static final int STARTS_EACH = 8; // along each of a, e, alpha
    private static final double TOLERANCE = 1e-5;
    private static final int MAX_ITERATIONS = 200;

    /** Loses against every start. */
    private static final Lbfgs.Minimum NOWHERE =
            new Lbfgs.Minimum(new double[] {Double.NaN, Double.NaN, Double.NaN}, Double.NaN, 0, false);

    private ReferenceFit() {}

    /**
     * The same bits on any number of threads: a start knows nothing of the others, and the best is looked for in their order.
     *
     * @param n sequences seen, of all domains. @param lossNats the (filtered) loss there
     * @throws CancellationException if the thread is interrupted before the last start, the interrupt still set
     */
    public static Result fit(double[] n, double[] lossNats) {
        HuberObjective objective = new HuberObjective(n, lossNats);
        Thread caller = Thread.currentThread();
        List<Lbfgs.Minimum> found_S = IntStream.range(0, STARTS_EACH * STARTS_EACH)
                .parallel()
                .mapToObj(line -> bestOfLine(objective.sibling(), line, caller))
                .toList();
        if (caller.isInterrupted()) throw new CancellationException("the fit was interrupted");
        Lbfgs.Minimum best = NOWHERE;
        for (Lbfgs.Minimum one : found_S) best = better(best, one);
        double[] x = best.x();
        return new Result(new PowerLaw(Math.exp(x[1]), Math.exp(x[0]), x[2]), best.value());
    }

    /** Of the starts that differ in alpha alone; gives up where the caller was interrupted. */
    private static Lbfgs.Minimum bestOfLine(HuberObjective objective, int line, Thread caller) {
        Lbfgs.Minimum best = NOWHERE;
        for (int start = line * STARTS_EACH; start < (line + 1) * STARTS_EACH && !caller.isInterrupted(); start++)
            best = better(best, Lbfgs.minimise(objective, startPoint(start), TOLERANCE, MAX_ITERATIONS));
        return best;
    }

    /** A NaN never wins, whatever came before or after it; ties keep the first start, as argmin does. */
    private static Lbfgs.Minimum better(Lbfgs.Minimum before, Lbfgs.Minimum found) {
        return found.value() < before.value() || Double.isNaN(before.value()) && !Double.isNaN(found.value())
                ? found
                : before;
    }

    /** (a, e, alpha): a in -2..5 by 1, e in -2..1.5 by 0.5, alpha in 0..0.7 by 0.1; alpha runs fastest. */
    static double[] startPoint(int start) {
        int a = start / (STARTS_EACH * STARTS_EACH), e = start / STARTS_EACH % STARTS_EACH, alpha = start % STARTS_EACH;
        return new double[] {a - 2.0, 0.5 * e - 2.0, 0.1 * alpha};
    }
}
