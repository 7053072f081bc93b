package dev.rheostat.ado.testbed;

import dev.rheostat.ado.fit.Cholesky;
import java.util.Arrays;

/**
 * The constant mixture that ends lowest, and its J. As J depends on what was drawn alone and is convex in it, no mixture
 * that moves ends lower.
 *
 * @param share_K sums to 1
 * @param objectiveNats {@link World#objective} there
 */
public record Optimum(double[] share_K, double objectiveNats) {
    private static final double GAP = 1e-13; // nats: how far above the minimum the barrier may leave J
    private static final int MAX_NEWTON = 100;

    /**
     * Any world, by a logarithmic barrier and Newton's method (Boyd and Vandenberghe 2004, ch. 11): the minimiser of
     * t J(x) - sum_k ln x_k over sum_k x_k = 1 is within K / t of the minimum of J over the simplex.
     */
    public static Optimum of(World world) {
        int K = world.domains();
        double[] x_K = new double[K];
        Arrays.fill(x_K, 1.0 / K);
        Barrier barrier = new Barrier(world, world.total());
        if (K > 1) for (double t = 10; K / t > GAP; t *= 8) x_K = barrier.centre(x_K, t);
        return new Optimum(x_K, world.objective(barrier.seen(x_K)));
    }

    /**
     * A world of independent domains without crowding, whose text never repeats, in closed form: m_k = max(0, (w_k alpha_k beta_k /
     * lambda)^(1 / (1 + alpha_k)) - offset), lambda by bisection so that they sum to the total.
     */
    public static Optimum independent(World world) {
        int K = world.domains();
        double total = world.total(), low = 1e-30, high = 1e30;
        double[] seen_K = new double[K];
        for (int i = 0; i < 400; i++) {
            double lambda = Math.sqrt(low * high), sum = 0;
            for (int k = 0; k < K; k++) {
                double alpha = world.alpha_K()[k];
                double weight = world.target_K()[k] * alpha * world.beta_K()[k];
                seen_K[k] = Math.max(0, Math.pow(weight / lambda, 1 / (1 + alpha)) - world.offset());
                sum += seen_K[k];
            }
            if (sum > total) low = lambda;
            else high = lambda;
        }
        double[] share_K = new double[K];
        for (int k = 0; k < K; k++) share_K[k] = seen_K[k] / total;
        return new Optimum(share_K, world.objective(seen_K));
    }

    /** @param total sequences to share out */
    private record Barrier(World world, double total) {
        /** Newton to the centre of one t; a step is shortened until it stays inside and the function falls. */
        double[] centre(double[] start_K, double t) {
            double[] x_K = start_K;
            int K = x_K.length;
            for (int round = 0; round < MAX_NEWTON; round++) {
                double[] gradient_K = new double[K];
                double[] step_K = newton(derivatives(x_K, t, gradient_K), gradient_K);
                double decrement = 0, scale = 1;
                for (int k = 0; k < K; k++) {
                    decrement -= gradient_K[k] * step_K[k];
                    if (step_K[k] < 0) scale = Math.min(scale, -0.99 * x_K[k] / step_K[k]);
                }
                if (decrement < 1e-10) break;
                double here = value(x_K, t);
                double[] next_K = moved(x_K, step_K, scale);
                for (; value(next_K, t) > here && scale > 1e-10; next_K = moved(x_K, step_K, scale)) scale *= 0.5;
                if (scale <= 1e-10) break; // the function has reached the rounding of its last place
                x_K = next_K;
            }
            return x_K;
        }

        double[] seen(double[] x_K) {
            double[] seen_K = new double[x_K.length];
            for (int k = 0; k < seen_K.length; k++) seen_K[k] = total * x_K[k];
            return seen_K;
        }

        private double value(double[] x_K, double t) {
            double value = t * world.objective(seen(x_K));
            for (double x : x_K) value -= Math.log(x);
            return value;
        }

        private static double[] moved(double[] x_K, double[] step_K, double scale) {
            double[] moved_K = new double[x_K.length];
            double sum = 0;
            for (int k = 0; k < x_K.length; k++) sum += moved_K[k] = x_K[k] + scale * step_K[k];
            for (int k = 0; k < x_K.length; k++) moved_K[k] /= sum; // rounding alone: the step sums to 0
            return moved_K;
        }

        /** Of t J - sum ln x: the gradient is written, the Hessian returned. */
        private double[][] derivatives(double[] x_K, double t, double[] gradient_K) {
            int K = x_K.length;
            double[] seen_K = seen(x_K);
            double[][] hessian_KK = new double[K][K];
            for (int k = 0; k < K; k++) {
                double skill = world.skill(k, seen_K), alpha = world.alpha_K()[k];
                double first = -t * world.target_K()[k] * alpha * world.beta_K()[k] * Math.pow(skill, -alpha - 1);
                double second = -first * (alpha + 1) / skill;
                double[] help_K = world.help_KK()[k], by_K = new double[K];
                for (int j = 0; j < K; j++) {
                    by_K[j] = help_K[j] * world.worthSlope(j, seen_K[j]) * total;
                    gradient_K[j] += first * by_K[j];
                    hessian_KK[j][j] += first * help_K[j] * world.worthCurvature(j, seen_K[j]) * total * total;
                }
                for (int i = 0; i < K; i++) for (int j = 0; j < K; j++) hessian_KK[i][j] += second * by_K[i] * by_K[j];
            }
            for (int k = 0; k < K; k++) {
                double crowding =
                        t * world.target_K()[k] * world.crowding_K()[k]; // of ln(x + offset), the total being fixed
                double share = x_K[k] + world.offset() * world.target_K()[k] / total;
                gradient_K[k] -= 1 / x_K[k] + crowding / share;
                hessian_KK[k][k] += 1 / (x_K[k] * x_K[k]) + crowding / (share * share);
            }
            return hessian_KK;
        }

        /** H d + lambda 1 = -g with sum d = 0: two solves with H, and lambda from them. */
        private static double[] newton(double[][] hessian_KK, double[] gradient_K) {
            int K = gradient_K.length;
            Cholesky factor = new Cholesky(hessian_KK);
            double[] ones = new double[K];
            Arrays.fill(ones, 1);
            double[] byGradient = factor.solve(gradient_K), byOnes = factor.solve(ones);
            double lambda =
                    Arrays.stream(byGradient).sum() / Arrays.stream(byOnes).sum();
            double[] step_K = new double[K];
            for (int k = 0; k < K; k++) step_K[k] = lambda * byOnes[k] - byGradient[k];
            return step_K;
        }
    }
}
