package dev.rheostat.ado.fit;

/**
 * What the published code minimises over (a, e, alpha), a = ln beta, e = ln epsilon:
 * f = sum_t Huber_1e-3(ln y_t - ln(exp(a - alpha ln n_t) + exp(e))) + max(alpha - .8, 0) - min(alpha, .001) + max(a - 6.5, 0)
 * - min(e - .5, 0). A sum, not a mean, so the slope-1 penalties soften as points are added; the last one asks for
 * epsilon above 1.65 nats. Both are defects that the reference keeps. Source: yidingjiang/ado, data_selectors/ado.py.
 */
public final class HuberObjective implements Lbfgs.Objective {
    /** Residuals beyond it count linearly: 0.1 % of the loss, far below the noise, so in practice this is least absolute deviation. */
    static final double DELTA = 1e-3;

    private final double[] lnN;
    private final double[] lnLoss;

    /** @param n sequences seen. @param lossNats the loss there; a loss that is not positive makes the objective NaN */
    public HuberObjective(double[] n, double[] lossNats) {
        lnN = new double[n.length];
        lnLoss = new double[n.length];
        for (int i = 0; i < n.length; i++) {
            lnN[i] = Math.log(n[i]);
            lnLoss[i] = Math.log(lossNats[i]);
        }
    }

    @Override
    public double valueAndGradient(double[] x, double[] gradient) {
        double a = x[0], e = x[1], alpha = x[2];
        double f = 0, da = 0, de = 0, dAlpha = 0;
        for (int i = 0; i < lnN.length; i++) {
            double reducible = a - alpha * lnN[i];
            double top = Math.max(reducible, e); // log-sum-exp without overflow
            double low = Math.exp(Math.min(reducible, e) - top);
            double residual = lnLoss[i] - (top + Math.log1p(low));
            double share = (reducible >= e ? 1 : low) / (1 + low); // of the reducible part in the prediction
            double size = Math.abs(residual);
            f += size <= DELTA ? 0.5 * residual * residual : DELTA * (size - 0.5 * DELTA);
            double pull = -Math.clamp(residual, -DELTA, DELTA);
            da += pull * share;
            de += pull * (1 - share);
            dAlpha -= pull * share * lnN[i];
        }
        gradient[0] = da + (a > 6.5 ? 1 : 0);
        gradient[1] = de - (e < 0.5 ? 1 : 0);
        gradient[2] = dAlpha + (alpha > 0.8 ? 1 : 0) - (alpha < 0.001 ? 1 : 0);
        return f + Math.max(alpha - 0.8, 0) - Math.min(alpha, 0.001) + Math.max(a - 6.5, 0) - Math.min(e - 0.5, 0);
    }
}
