package dev.rheostat.ado.fit;

/**
 * Limited-memory BFGS with a strong-Wolfe line search. Nocedal and Wright, Numerical Optimization, 2nd ed., algorithms
 * 7.4 (two loops), 3.5 and 3.6 (bracket, zoom). A value that is not finite is treated as a step too far.
 */
public final class Lbfgs {
    /** A differentiable function; the same point gives the same bits. */
    @FunctionalInterface
    public interface Objective {
        /** @param gradient out. @return f(x) */
        double valueAndGradient(double[] x, double[] gradient);
    }

    /** @param iterations steps taken. @param converged the gradient norm fell to the tolerance */
    public record Minimum(double[] x, double value, int iterations, boolean converged) {}

    private static final int MEMORY = 10; // jaxopt's history_size
    private static final double DECREASE = 1e-4, CURVATURE = 0.9; // c1 and c2, Nocedal and Wright sec. 3.1
    private static final int MAX_SEARCH = 30;

    private final Objective objective;
    private final int dimensions;
    private final double[][] step_MX;
    private final double[][] change_MX; // of the gradient
    private final double[] curvature_M; // 1 / (step . change)
    private final double[] weight_M; // of the first loop, for the second
    private int pairs, newest = -1;
    private double[] x, gradient, direction;
    private double value, slope; // at x; slope along direction
    private double[] trialX, trialGradient;
    private double trialValue, trialSlope;

    private Lbfgs(Objective objective, double[] start) {
        this.objective = objective;
        this.dimensions = start.length;
        step_MX = new double[MEMORY][dimensions];
        change_MX = new double[MEMORY][dimensions];
        curvature_M = new double[MEMORY];
        weight_M = new double[MEMORY];
        x = start.clone();
        gradient = new double[dimensions];
        direction = new double[dimensions];
        trialX = new double[dimensions];
        trialGradient = new double[dimensions];
    }

    /** Stops at a gradient norm of the tolerance, after maxIterations, or where no step lowers the value any more. */
    public static Minimum minimise(Objective objective, double[] start, double tolerance, int maxIterations) {
        return new Lbfgs(objective, start).run(tolerance, maxIterations);
    }

    private Minimum run(double tolerance, int maxIterations) {
        value = objective.valueAndGradient(x, gradient);
        int iteration = 0;
        while (iteration < maxIterations && Double.isFinite(value) && norm(gradient) > tolerance) {
            direct();
            double first = pairs == 0 ? Math.min(1, 1 / norm(gradient)) : 1; // no scale is known before a pair is
            if (!search(first)) {
                if (pairs == 0) break; // steepest descent finds nothing lower: as good as it gets
                pairs = 0; // the remembered curvature misled: forget it and try the gradient once
                continue;
            }
            accept();
            iteration++;
        }
        return new Minimum(x.clone(), value, iteration, norm(gradient) <= tolerance);
    }

    /** direction = -H gradient by the two-loop recursion. */
    private void direct() {
        for (int i = 0; i < dimensions; i++) direction[i] = -gradient[i];
        for (int back = 0; back < pairs; back++) {
            int m = Math.floorMod(newest - back, MEMORY);
            weight_M[m] = curvature_M[m] * dot(step_MX[m], direction);
            for (int i = 0; i < dimensions; i++) direction[i] -= weight_M[m] * change_MX[m][i];
        }
        if (pairs > 0) {
            double scale = 1 / (curvature_M[newest] * dot(change_MX[newest], change_MX[newest]));
            for (int i = 0; i < dimensions; i++) direction[i] *= scale;
        }
        for (int back = pairs - 1; back >= 0; back--) {
            int m = Math.floorMod(newest - back, MEMORY);
            double correction = weight_M[m] - curvature_M[m] * dot(change_MX[m], direction);
            for (int i = 0; i < dimensions; i++) direction[i] += correction * step_MX[m][i];
        }
        slope = dot(gradient, direction);
        if (!(slope < 0)) { // rounding, or pairs from a kink: steepest descent always descends
            pairs = 0;
            for (int i = 0; i < dimensions; i++) direction[i] = -gradient[i];
            slope = -dot(gradient, gradient);
        }
    }

    /** Leaves an acceptable point in trialX; false if there is none that lowers the value. */
    private boolean search(double first) {
        double lowAt = 0, lowValue = value, lowSlope = slope;
        double at = first;
        for (int i = 0; i < MAX_SEARCH; i++) {
            evaluate(at);
            if (tooHigh(at) || (i > 0 && trialValue >= lowValue))
                return zoom(lowAt, lowValue, lowSlope, at, trialValue, trialSlope);
            if (Math.abs(trialSlope) <= -CURVATURE * slope) return true;
            if (trialSlope >= 0) return zoom(at, trialValue, trialSlope, lowAt, lowValue, lowSlope);
            lowAt = at;
            lowValue = trialValue;
            lowSlope = trialSlope;
            at *= 2;
        }
        return trialValue < value;
    }

    private boolean zoom(
            double lowAt, double lowValue, double lowSlope, double highAt, double highValue, double highSlope) {
        for (int i = 0; i < MAX_SEARCH; i++) {
            double at = cubicMinimum(lowAt, lowValue, lowSlope, highAt, highValue, highSlope);
            evaluate(at);
            if (tooHigh(at) || trialValue >= lowValue) {
                highAt = at;
                highValue = trialValue;
                highSlope = trialSlope;
            } else {
                if (Math.abs(trialSlope) <= -CURVATURE * slope) return true;
                if (trialSlope * (highAt - lowAt) >= 0) {
                    highAt = lowAt;
                    highValue = lowValue;
                    highSlope = lowSlope;
                }
                lowAt = at;
                lowValue = trialValue;
                lowSlope = trialSlope;
            }
        }
        if (lowAt == 0) return false;
        evaluate(lowAt); // enough decrease without the curvature condition, as at a kink of the penalties
        return true;
    }

    private boolean tooHigh(double at) {
        return !Double.isFinite(trialValue) || trialValue > value + DECREASE * at * slope;
    }

    private void evaluate(double at) {
        for (int i = 0; i < dimensions; i++) trialX[i] = x[i] + at * direction[i];
        trialValue = objective.valueAndGradient(trialX, trialGradient);
        trialSlope = dot(trialGradient, direction);
    }

    /** Minimum of the cubic through both ends, kept a tenth of the interval away from them; else the middle. */
    private static double cubicMinimum(double a, double fa, double ga, double b, double fb, double gb) {
        double middle = 0.5 * (a + b);
        double d1 = ga + gb - 3 * (fa - fb) / (a - b);
        double square = d1 * d1 - ga * gb;
        if (!(square >= 0)) return middle; // also NaN, from an end that was not finite
        double d2 = Math.copySign(Math.sqrt(square), b - a);
        double at = b - (b - a) * (gb + d2 - d1) / (gb - ga + 2 * d2);
        double margin = 0.1 * Math.abs(b - a);
        boolean inside = at >= Math.min(a, b) + margin && at <= Math.max(a, b) - margin;
        return inside ? at : middle;
    }

    private void accept() {
        int slot = (newest + 1) % MEMORY;
        for (int i = 0; i < dimensions; i++) {
            step_MX[slot][i] = trialX[i] - x[i];
            change_MX[slot][i] = trialGradient[i] - gradient[i];
        }
        double curvature = dot(step_MX[slot], change_MX[slot]);
        if (curvature > 1e-12 * dot(change_MX[slot], change_MX[slot])) { // else the pair is not positive definite
            curvature_M[slot] = 1 / curvature;
            newest = slot;
            pairs = Math.min(pairs + 1, MEMORY);
        }
        double[] spare = x;
        x = trialX;
        trialX = spare;
        spare = gradient;
        gradient = trialGradient;
        trialGradient = spare;
        value = trialValue;
    }

    private static double norm(double[] v) {
        return Math.sqrt(dot(v, v));
    }

    private static double dot(double[] u, double[] v) {
        double sum = 0;
        for (int i = 0; i < u.length; i++) sum += u[i] * v[i];
        return sum;
    }
}
