package dev.rheostat.testbed;

import java.util.Arrays;

/**
 * The expected loss of the counting learner after m_k pairs of each domain, exactly:
 *
 * <pre>
 * L_k(m) = epsilon_k + (ln VALUES - epsilon_k) sum_g p_kg prod_j (1 - p_jg)^m_j       over all keys g
 * J(m)   = sum_k prior_k L_k(m)
 * </pre>
 *
 * Each term is exp of a linear form, so J is convex in m, whatever keys the domains share. The first {@value #ONE_BY_ONE} places of
 * every space are summed one by one, later ones in blocks of a 512th of their place: p varies by 1 % at most within a block, and
 * the sum by less than 1e-5 of itself.
 */
final class LookupLaw {
    private static final int ONE_BY_ONE = 2048, BLOCKS_AN_OCTAVE = 512;

    private final int K;
    private final double[] entropy_K, prior_K;
    private final double[][] mass_GK, lnMiss_GK; // of a block: all p of a domain; mean ln(1 - p)
    private int groups;

    LookupLaw(DataSetting setting, int keys) {
        K = setting.K();
        prior_K = setting.prior_K();
        entropy_K = new double[K];
        double[][] p_K = new double[K][];
        for (int k = 0; k < K; k++) {
            entropy_K[k] = setting.domains().get(k).entropyNats();
            p_K[k] = setting.domains().get(k).frequencies(keys);
        }
        int most = setting.spaces() * (ONE_BY_ONE + 64 * BLOCKS_AN_OCTAVE);
        double[][] mass = new double[most][], lnMiss = new double[most][];
        for (int space = 0; space < setting.spaces(); space++)
            for (int from = 0, to; from < keys; from = to) {
                to = from < ONE_BY_ONE ? from + 1 : Math.min(keys, from + from / BLOCKS_AN_OCTAVE);
                double[] mass_K = new double[K], lnMiss_K = new double[K];
                double all = 0;
                for (int k = 0; k < K; k++) {
                    for (int place = from; place < to; place++) {
                        int rank = setting.rank(k, space, place, keys);
                        if (rank < 0) continue;
                        mass_K[k] += p_K[k][rank];
                        lnMiss_K[k] += Math.log1p(-p_K[k][rank]) / (to - from);
                    }
                    all += mass_K[k];
                }
                if (all == 0) continue;
                mass[groups] = mass_K;
                lnMiss[groups++] = lnMiss_K;
            }
        mass_GK = Arrays.copyOf(mass, groups);
        lnMiss_GK = Arrays.copyOf(lnMiss, groups);
    }

    /** L_k, nats. */
    double[] lossNats_K(double[] pairs_K) {
        double[] unseen_K = new double[K];
        for (int g = 0; g < groups; g++) {
            double missed = missed(g, pairs_K);
            for (int k = 0; k < K; k++) unseen_K[k] += mass_GK[g][k] * missed;
        }
        for (int k = 0; k < K; k++) unseen_K[k] = entropy_K[k] + reducible(k) * unseen_K[k];
        return unseen_K;
    }

    /** J, nats. */
    double objectiveNats(double[] pairs_K) {
        double[] lossNats_K = lossNats_K(pairs_K);
        double sum = 0;
        for (int k = 0; k < K; k++) sum += prior_K[k] * lossNats_K[k];
        return sum;
    }

    /** dJ/dm_j, nats a pair; all negative. */
    double[] slope_K(double[] pairs_K) {
        double[] slope_K = new double[K];
        for (int g = 0; g < groups; g++) {
            double weight = 0;
            for (int k = 0; k < K; k++) weight += prior_K[k] * reducible(k) * mass_GK[g][k];
            weight *= missed(g, pairs_K);
            for (int j = 0; j < K; j++) slope_K[j] += weight * lnMiss_GK[g][j];
        }
        return slope_K;
    }

    private double missed(int g, double[] pairs_K) {
        double exponent = 0;
        for (int j = 0; j < K; j++) exponent += pairs_K[j] * lnMiss_GK[g][j];
        return Math.exp(exponent);
    }

    private double reducible(int k) {
        return LookupDomain.unknownNats() - entropy_K[k];
    }

    /** @param pairs_K of the optimum. @param gapNats J is at most so much above the least */
    record Optimum(double[] pairs_K, double objectiveNats, double gapNats) {}

    /**
     * The least J over sum m = all, 0 <= m_k <= cap_k. Moves pairs from the domain that would miss them least to the one that
     * gains most, by bisection on the slope, until the linear bound m.g - min over the simplex is below gap.
     */
    Optimum optimum(double all, double[] cap_K, double gap) {
        double[] m_K = new double[K];
        double left = all;
        for (int round = 0; round < 2; round++) // an even start, or as even as the caps allow
        for (int k = 0; k < K; k++) {
                double give = Math.min(cap_K[k] - m_K[k], round == 0 ? all / K : left);
                m_K[k] += give;
                left -= give;
            }
        if (left > 1e-9 * all) throw new IllegalArgumentException("the caps leave " + left + " of " + all + " pairs");
        for (int round = 0; ; round++) {
            double[] slope_K = slope_K(m_K);
            int to = -1, from = -1;
            for (int k = 0; k < K; k++) {
                if (m_K[k] < cap_K[k] && (to < 0 || slope_K[k] < slope_K[to])) to = k;
                if (m_K[k] > 0 && (from < 0 || slope_K[k] > slope_K[from])) from = k;
            }
            double bound = to < 0 ? 0 : (slope_K[from] - slope_K[to]) * all;
            if (bound <= gap || round == 500) return new Optimum(m_K, objectiveNats(m_K), Math.max(0, bound));
            double low = 0, high = Math.min(m_K[from], cap_K[to] - m_K[to]);
            for (int i = 0; i < 40; i++) {
                double middle = i == 0 ? high : (low + high) / 2;
                double[] tried_K = m_K.clone();
                tried_K[from] -= middle;
                tried_K[to] += middle;
                double[] triedSlope_K = slope_K(tried_K);
                if (triedSlope_K[to] < triedSlope_K[from]) low = middle;
                else high = middle;
                if (low == high) break;
            }
            m_K[from] -= low;
            m_K[to] += low;
        }
    }
}
