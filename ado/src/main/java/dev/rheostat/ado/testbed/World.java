package dev.rheostat.ado.testbed;

import dev.rheostat.ado.Simplex;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/**
 * K domains whose validation losses follow a law of what was drawn:
 *
 * <pre>
 * L_k = epsilon_k + beta_k (sum_j help_kj E_j(m_j) + offset)^-alpha_k - crowding_k ln(p_k / target_k) - annealing * S2
 *                                                                                            nats a token
 * p_k = (m_k + offset target_k) / (sum_j m_j + offset), the share of k in all that was drawn
 * E_j(m) = m for m up to unique_j, then U + U R (1 - exp(-(m / U - 1) / R)), U = unique_j, R = 15.4
 * </pre>
 *
 * m_j: sequences of domain j, each counted by the learning rate of its step as a part of the peak. With the rate constant
 * (S2 = 0), help the identity, no crowding and no limit to unique text domains are independent. Crowding is what a model of
 * fixed capacity does: the less of it a domain is shown, the less of it is kept, however much it has had. The value of repeated
 * text: Muennighoff et al. 2023, arXiv:2305.16264; the law with S2, the area of annealing: Tissue et al. 2024,
 * arXiv:2408.11029. The user cares about J = sum_k target_k L_k, a convex function of the m that sum to one total.
 *
 * <p>What this world lacks: training on repeated text fools the training loss of a real model; here it does not.
 *
 * @param name of the setting
 * @param target_K weight of each loss, which is also the natural share; sums to 1
 * @param offset sequences' worth of skill before the first step, m0
 * @param help_KK help_KK[k][j]: what a sequence of domain j is worth to domain k, in sequences of k
 * @param crowding_K nats that the loss of domain k falls by when its share grows by e, beyond what the data teach
 * @param unique_K sequences of text that domain k has; infinite where it never repeats
 * @param annealing nats, C
 * @param sequences a step
 */
public record World(
        String name,
        double[] target_K,
        double[] epsilon_K,
        double[] beta_K,
        double[] alpha_K,
        double offset,
        double[][] help_KK,
        double[] crowding_K,
        double[] unique_K,
        RateCurve rate,
        double annealing,
        int sequences,
        long steps) {
    /** R*: passes over the text after which another adds little. */
    static final double REPEATS = 15.4;

    /** Memory of the annealing area in parts of the run: the paper's 0.999 a step for the reference length of 20 000 steps. */
    private static final double ANNEALING_MEMORY = 0.05;

    public World {
        target_K = Simplex.normalise(target_K);
    }

    /** Independent domains, text without end, the learning rate constant. */
    public static World independent(
            String name,
            double[] target_K,
            double[] epsilon_K,
            double[] beta_K,
            double[] alpha_K,
            int sequences,
            long steps) {
        int K = target_K.length;
        double[][] identity_KK = new double[K][K];
        for (int k = 0; k < K; k++) identity_KK[k][k] = 1;
        double[] endless_K = new double[K];
        Arrays.fill(endless_K, Double.POSITIVE_INFINITY);
        return new World(
                name,
                target_K,
                epsilon_K,
                beta_K,
                alpha_K,
                sequences,
                identity_KK,
                new double[K],
                endless_K,
                RateCurve.CONSTANT,
                0,
                sequences,
                steps);
    }

    public World withHelp(String variant, double[][] other_KK) {
        return varied(variant, other_KK, crowding_K, unique_K, rate, annealing);
    }

    public World withCrowding(String variant, double[] otherNats_K) {
        return varied(variant, help_KK, otherNats_K, unique_K, rate, annealing);
    }

    public World withUnique(String variant, double[] other_K) {
        return varied(variant, help_KK, crowding_K, other_K, rate, annealing);
    }

    public World withRate(String variant, RateCurve other, double annealingNats) {
        return varied(variant, help_KK, crowding_K, unique_K, other, annealingNats);
    }

    /** The same domains and run, another setting. */
    private World varied(
            String variant,
            double[][] otherHelp_KK,
            double[] otherCrowding_K,
            double[] otherUnique_K,
            RateCurve otherRate,
            double otherAnnealing) {
        return new World(
                name + " " + variant,
                target_K,
                epsilon_K,
                beta_K,
                alpha_K,
                offset,
                otherHelp_KK,
                otherCrowding_K,
                otherUnique_K,
                otherRate,
                otherAnnealing,
                sequences,
                steps);
    }

    /** K. */
    public int domains() {
        return target_K.length;
    }

    /** d0, d1, ... */
    public List<String> names_K() {
        return IntStream.range(0, domains()).mapToObj(k -> "d" + k).toList();
    }

    /** Sequences that a whole run draws, counted by their learning rate. */
    public double total() {
        return sequences * rate.sum(steps);
    }

    /**
     * S2 after each count of steps, 0 to steps: the sum over steps of the momentum of falls of the rate, per unit of its
     * memory, so that a fall of the whole peak ends as 1. Rises (the warm-up) do not count.
     */
    public double[] area() {
        double keep = 1 - 1 / Math.max(1, ANNEALING_MEMORY * steps), momentum = 0, sum = 0;
        double[] area = new double[(int) steps + 1];
        for (int t = 1; t <= steps; t++) {
            double fall = t == steps ? 0 : rate.at(t - 1, steps) - rate.at(t, steps);
            momentum = keep * momentum + Math.max(0, fall);
            sum += (1 - keep) * momentum;
            area[t] = sum;
        }
        return area;
    }

    /** E_j(m). */
    double worth(int j, double m) {
        double unique = unique_K[j];
        if (m <= unique) return m;
        return unique + unique * REPEATS * (1 - Math.exp(-(m / unique - 1) / REPEATS));
    }

    /** dE_j/dm. */
    double worthSlope(int j, double m) {
        double unique = unique_K[j];
        return m <= unique ? 1 : Math.exp(-(m / unique - 1) / REPEATS);
    }

    /** d2E_j/dm2. */
    double worthCurvature(int j, double m) {
        double unique = unique_K[j];
        return m <= unique ? 0 : -Math.exp(-(m / unique - 1) / REPEATS) / (unique * REPEATS);
    }

    /** sum_j help_kj E_j(m_j) + offset: what domain k has learned from, in its own sequences. */
    double skill(int k, double[] seen_K) {
        double skill = offset;
        for (int j = 0; j < seen_K.length; j++) if (help_KK[k][j] != 0) skill += help_KK[k][j] * worth(j, seen_K[j]);
        return skill;
    }

    /** @param seen_K m, sequences counted by their learning rate. @param area S2. @return nats a token */
    public double[] lossNats_K(double[] seen_K, double area) {
        double[] loss_K = new double[domains()];
        double all = Simplex.sum(seen_K) + offset;
        for (int k = 0; k < loss_K.length; k++) {
            double share = (seen_K[k] + offset * target_K[k]) / all;
            loss_K[k] = epsilon_K[k]
                    + beta_K[k] * Math.pow(skill(k, seen_K), -alpha_K[k])
                    - (crowding_K[k] == 0 ? 0 : crowding_K[k] * Math.log(share / target_K[k]))
                    - annealing * area;
        }
        return loss_K;
    }

    /** J without the term of annealing, which no mixture changes; nats. */
    public double objective(double[] seen_K) {
        double[] loss_K = lossNats_K(seen_K, 0);
        double objective = 0;
        for (int k = 0; k < loss_K.length; k++) objective += target_K[k] * loss_K[k];
        return objective;
    }

    /** -dJ/dm_j: what one more sequence of domain j takes off, nats. */
    public double[] marginal_K(double[] seen_K) {
        int K = domains();
        double[] marginal_K = new double[K];
        double all = Simplex.sum(seen_K) + offset, crowded = 0;
        for (int k = 0; k < K; k++) crowded += target_K[k] * crowding_K[k] / all;
        for (int k = 0; k < K; k++) {
            double crowding = target_K[k] * crowding_K[k];
            marginal_K[k] += (crowding == 0 ? 0 : crowding / (seen_K[k] + offset * target_K[k])) - crowded;
            double slope = target_K[k] * alpha_K[k] * beta_K[k] * Math.pow(skill(k, seen_K), -alpha_K[k] - 1);
            for (int j = 0; j < K; j++) marginal_K[j] += slope * help_KK[k][j] * worthSlope(j, seen_K[j]);
        }
        return marginal_K;
    }
}
