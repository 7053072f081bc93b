package dev.rheostat.ado;

import dev.rheostat.ado.PolicySettings.Key;
import java.util.Arrays;
import java.util.List;

/**
 * Uniform shares, but no domain more often than so many times through: what the small ones cannot use is shared evenly by
 * the others. Chung et al. 2023, arXiv:2304.09151, algorithm 1: domains from the smallest on take the lesser of an even part of
 * the budget that is left and {@code epochs} times their text.
 */
final class Unimax {
    private Unimax() {}

    /** The paper's N is 1 for its largest run and up to 10 elsewhere; 4 is where repeated text still counts almost as new. */
    static PolicySettings settings() {
        return PolicySettings.of("unimax", List.of(Key.real("epochs", 1e-6, 1e9, 4)));
    }

    /**
     * Shares that sum to 1.
     *
     * @throws IllegalArgumentException if it is not known how much text the domains have
     */
    static double[] shares(PolicySettings settings, PolicyInputs inputs) {
        int K = inputs.domains();
        if (inputs.windows_K().length != K)
            throw new IllegalArgumentException("policy unimax needs to know how much text each domain has");
        double budget = (double) inputs.totalSteps() * inputs.sequences(), left = budget;
        double[] drawn_K = new double[K];
        Integer[] smallestFirst = new Integer[K];
        Arrays.setAll(smallestFirst, k -> k);
        Arrays.sort(smallestFirst, (a, b) -> Long.compare(inputs.windows_K()[a], inputs.windows_K()[b]));
        for (int i = 0; i < K; i++) {
            int k = smallestFirst[i];
            drawn_K[k] = Math.min(left / (K - i), settings.real("epochs") * inputs.windows_K()[k]);
            left -= drawn_K[k];
        }
        return Simplex.normalise(drawn_K); // where all text so often is less than the budget, the ratios stay
    }
}
