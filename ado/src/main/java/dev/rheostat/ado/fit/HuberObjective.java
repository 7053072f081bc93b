package dev.rheostat.ado.fit;

/**
 * What the published code minimises over (a, e, alpha), a = ln beta, e = ln epsilon:
 * f = sum_t Huber_1e-3(ln y_t - ln(exp(a - alpha ln n_t) + exp(e))) + max(alpha - .8, 0) - min(alpha, .001) + max(a - 6.5, 0)
 * - min(e - .5, 0). A sum, not a mean, so the slope-1 penalties soften as points are added; the last one asks for
 * epsilon above 1.65 nats. Both are defects that the reference keeps. Source: yidingjiang/ado, data_selectors/ado.py.
 *
 * <p>With d = a - alpha ln n - e and low = exp(-|d|), the prediction is ln(exp(a - alpha ln n) + exp(e)) = max(a - alpha ln n, e)
 * + ln(1 + low), and exp and ln are made here of sums, products and one division, in short loops without branches, which the compiler
 * turns into vector instructions (one long loop it would not). So the bits are the same on every processor, and they are
 * those of the plain loop with Math.exp and Math.log1p but for the last digits: the tests hold it to 1e-13. A point costs 4 ns
 * against 24 (docs/log.md, "The published fit, faster").
 *
 * <p>Not for two threads at once: an evaluation writes to arrays of this object. {@link #sibling} is for another thread.
 */
public final class HuberObjective implements Lbfgs.Objective {
    /** Residuals beyond it count linearly: 0.1 % of the loss, far below the noise, so in practice this is least absolute deviation. */
    static final double DELTA = 1e-3;

    private static final double LOG2_E = 1 / Math.log(2);
    private static final double LN2_HIGH =
            0x1.62e42feep-1; // 33 bits of ln 2, so that a whole number below 2^20 times it is exact
    private static final double LN2_LOW = 0x1.a39ef35793c76p-33; // the rest
    private static final double TO_WHOLE = 0x1.8p52; // a double as large keeps whole numbers alone: adding it rounds
    private static final int EXPONENT_BIAS = 1023, FRACTION_BITS = 52;
    private static final double FARTHEST = 700; // exp(-700) is still a normal number, and nothing beside 1
    private static final int BLOCK = 128; // points that arrays are filled up to
    private static final double ROOT2 = Math.sqrt(2), LN_ROOT2 = 0.5 * Math.log(2);

    // Filled up to whole blocks with points that no sum is over: a loop that the compiler has seen go round once, as in
    // the first
    // fit of a run, it never makes vectors of, however often the loop goes round later (ten times slower, measured).
    private final double[] lnN;
    private final double[] lnLoss;
    private final int points;
    // One value a point, made anew by every evaluation.
    private final double[] low; // exp(-|d|)
    private final double[] whole; // TO_WHOLE + k, the power of 2 that low still lacks
    private final double[] lnSum; // ln(1 + low)
    private final double[] inverse; // 1 / (1 + low)
    private final double[] huber;
    private final double[] pull; // d huber / d prediction
    private final double[] pulled; // pull * share of the reducible part in the prediction

    /** @param n sequences seen. @param lossNats the loss there; a loss that is not positive makes the objective NaN */
    public HuberObjective(double[] n, double[] lossNats) {
        this(logs(n), logs(lossNats), n.length);
    }

    private HuberObjective(double[] lnN, double[] lnLoss, int points) {
        this.lnN = lnN;
        this.lnLoss = lnLoss;
        this.points = points;
        low = new double[lnN.length];
        whole = new double[lnN.length];
        lnSum = new double[lnN.length];
        inverse = new double[lnN.length];
        huber = new double[lnN.length];
        pull = new double[lnN.length];
        pulled = new double[lnN.length];
    }

    /** The same function of the same points, with arrays of its own. */
    HuberObjective sibling() {
        return new HuberObjective(lnN, lnLoss, points);
    }

    private static double[] logs(double[] x) {
        double[] ln = new double[(x.length + BLOCK - 1) / BLOCK * BLOCK];
        for (int i = 0; i < x.length; i++) ln[i] = Math.log(x[i]);
        return ln;
    }

    @Override
    public double valueAndGradient(double[] x, double[] gradient) {
        double a = x[0], e = x[1], alpha = x[2];
        fractions(lnN, a, e, alpha, low, whole);
        scale(low, whole);
        logsOfSums(low, lnSum, inverse);
        residuals(lnN, lnLoss, lnSum, a, e, alpha, huber, pull);
        shares(lnN, low, inverse, pull, a, e, alpha, pulled);
        // Two sums of each, of even and of odd points: the next addition need not wait for the last.
        double f0 = 0, f1 = 0, all0 = 0, all1 = 0, da0 = 0, da1 = 0, dAlpha0 = 0, dAlpha1 = 0;
        int i = 0;
        for (; i + 1 < points; i += 2) {
            f0 += huber[i];
            f1 += huber[i + 1];
            all0 += pull[i];
            all1 += pull[i + 1];
            da0 += pulled[i];
            da1 += pulled[i + 1];
            dAlpha0 -= pulled[i] * lnN[i];
            dAlpha1 -= pulled[i + 1] * lnN[i + 1];
        }
        if (i < points) {
            f0 += huber[i];
            all0 += pull[i];
            da0 += pulled[i];
            dAlpha0 -= pulled[i] * lnN[i];
        }
        double da = da0 + da1;
        gradient[0] = da + (a > 6.5 ? 1 : 0);
        gradient[1] = all0 + all1 - da - (e < 0.5 ? 1 : 0);
        gradient[2] = dAlpha0 + dAlpha1 + (alpha > 0.8 ? 1 : 0) - (alpha < 0.001 ? 1 : 0);
        return f0
                + f1
                + Math.max(alpha - 0.8, 0)
                - Math.min(alpha, 0.001)
                + Math.max(a - 6.5, 0)
                - Math.min(e - 0.5, 0);
    }

    /**
     * exp(-|d|) = 2^k exp(r), k whole and |r| at most ln(2)/2: exp(r) into low, TO_WHOLE + k into whole. The series ends where
     * its rest, r^13 / 13!, is 2e-16.
     */
    private static void fractions(double[] lnN, double a, double e, double alpha, double[] low, double[] whole) {
        for (int i = 0; i < lnN.length; i++) {
            double v = -Math.min(Math.abs(a - alpha * lnN[i] - e), FARTHEST);
            double rounded = v * LOG2_E + TO_WHOLE;
            double k = rounded - TO_WHOLE;
            double r = v - k * LN2_HIGH - k * LN2_LOW;
            double power = 1 / 479001600.0; // 1 / 12!, and so down to 1 / 0!
            power = Math.fma(power, r, 1 / 39916800.0);
            power = Math.fma(power, r, 1 / 3628800.0);
            power = Math.fma(power, r, 1 / 362880.0);
            power = Math.fma(power, r, 1 / 40320.0);
            power = Math.fma(power, r, 1 / 5040.0);
            power = Math.fma(power, r, 1 / 720.0);
            power = Math.fma(power, r, 1 / 120.0);
            power = Math.fma(power, r, 1 / 24.0);
            power = Math.fma(power, r, 1 / 6.0);
            power = Math.fma(power, r, 1 / 2.0);
            power = Math.fma(power, r, 1);
            power = Math.fma(power, r, 1);
            low[i] = power;
            whole[i] = rounded;
        }
    }

    /** low times 2^k, by its bits: they keep this loop from becoming vectors, so it does nothing else. */
    private static void scale(double[] low, double[] whole) {
        for (int i = 0; i < low.length; i++)
            low[i] *= Double.longBitsToDouble((Double.doubleToRawLongBits(whole[i]) + EXPONENT_BIAS) << FRACTION_BITS);
    }

    /**
     * ln(1 + low) = ln(2)/2 + 2 artanh(s), s = (1 + low - sqrt 2) / (1 + low + sqrt 2), |s| at most .172: the rest of the series,
     * s^21 / 21, is 4e-18. One division serves s and the inverse.
     */
    private static void logsOfSums(double[] low, double[] lnSum, double[] inverse) {
        for (int i = 0; i < low.length; i++) {
            double sum = 1 + low[i], more = sum + ROOT2;
            double both = 1 / (sum * more);
            double s = (sum - ROOT2) * (both * sum), q = s * s;
            double series = 1 / 19.0; // artanh(s) / s
            series = Math.fma(series, q, 1 / 17.0);
            series = Math.fma(series, q, 1 / 15.0);
            series = Math.fma(series, q, 1 / 13.0);
            series = Math.fma(series, q, 1 / 11.0);
            series = Math.fma(series, q, 1 / 9.0);
            series = Math.fma(series, q, 1 / 7.0);
            series = Math.fma(series, q, 1 / 5.0);
            series = Math.fma(series, q, 1 / 3.0);
            series = Math.fma(series, q, 1);
            lnSum[i] = Math.fma(2 * s, series, LN_ROOT2);
            inverse[i] = both * more;
        }
    }

    private static void residuals(
            double[] lnN,
            double[] lnLoss,
            double[] lnSum,
            double a,
            double e,
            double alpha,
            double[] huber,
            double[] pull) {
        for (int i = 0; i < lnN.length; i++) {
            double residual = lnLoss[i] - (Math.max(a - alpha * lnN[i], e) + lnSum[i]);
            double size = Math.abs(residual), cut = Math.min(size, DELTA);
            huber[i] = cut * (size - 0.5 * cut); // half the square within DELTA, a line beyond
            pull[i] = Math.max(-DELTA, Math.min(DELTA, -residual));
        }
    }

    /** The reducible part's share in the prediction is 1 / (1 + low) where it is the larger part, low / (1 + low) else. */
    private static void shares(
            double[] lnN,
            double[] low,
            double[] inverse,
            double[] pull,
            double a,
            double e,
            double alpha,
            double[] pulled) {
        for (int i = 0; i < lnN.length; i++) {
            // 1 where d > 0, 0 where d < 0; in between, at d within 1e-300 of 0, low is 1 and both shares are alike.
            double larger = Math.min(1, Math.max(0, (a - alpha * lnN[i] - e) * 1e300));
            pulled[i] = pull[i] * inverse[i] * (low[i] + larger * (1 - low[i]));
        }
    }
}
