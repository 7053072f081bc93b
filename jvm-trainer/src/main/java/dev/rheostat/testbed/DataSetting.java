package dev.rheostat.testbed;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * One world of the bed: domains, their priors, and what their texts have to do with each other.
 *
 * @param prior_K share of each domain in the data and weight of its loss in the objective
 * @param overlap which keys domains have in common
 * @param head how many they are, where these are each domain's most frequent
 * @param poolShare_K text that each domain has, as a part of what the whole run reads; 1 for as much as anyone could ask for
 * @param decays whether a pair is learnt with a probability that follows the learning rate, else always
 * @param maxEpochs passes over a domain's text, at most, of those that are bounded
 */
record DataSetting(
        String name,
        List<LookupDomain> domains,
        double[] prior_K,
        Overlap overlap,
        int head,
        double[] poolShare_K,
        boolean decays,
        Map<String, Double> maxEpochs) {
    enum Overlap {
        /** No key is in two domains. */
        NONE,
        /** The {@link #head} most frequent keys of every domain are the same keys. */
        HEAD,
        /** The first domain has no keys of its own: it speaks of those of all others in turn. */
        HUB
    }

    /** The same domains with other priors. */
    DataSetting withPrior(String itsName, double[] its_K) {
        return new DataSetting(itsName, domains, its_K, overlap, head, poolShare_K, decays, maxEpochs);
    }

    /** The same domains with other amounts of text, and bounds on how often it is read. */
    DataSetting withText(String itsName, double[] its_K, Map<String, Double> itsMaxEpochs) {
        return new DataSetting(itsName, domains, prior_K, overlap, head, its_K, decays, itsMaxEpochs);
    }

    /** Names the text that it reads: settings that differ in priors alone share it. */
    String corpus() {
        return String.format("corpus-%08x", (domains + " " + overlap + head + Arrays.toString(poolShare_K)).hashCode());
    }

    int K() {
        return domains.size();
    }

    /** Spaces that keys lie in: one a domain, and one for what all have in common. */
    int spaces() {
        return K() + 1;
    }

    /** Where the key of a rank of domain k lies: space * keys + place. */
    int key(int k, int rank, int keys) {
        return switch (overlap) {
            case NONE -> k * keys + rank;
            case HEAD -> (rank < head ? K() : k) * keys + rank;
            case HUB -> k > 0 ? k * keys + rank : (1 + rank % (K() - 1)) * keys + rank / (K() - 1);
        };
    }

    /** The inverse of {@link #key}: the rank that a key has in domain k; -1 where the domain does not have it. */
    int rank(int k, int space, int place, int keys) {
        return switch (overlap) {
            case NONE -> space == k ? place : -1;
            case HEAD -> space == (place < head ? K() : k) ? place : -1;
            case HUB -> {
                if (k > 0) yield space == k ? place : -1;
                if (space == 0 || space == K()) yield -1;
                long rank = (long) place * (K() - 1) + space - 1;
                yield rank < keys ? (int) rank : -1;
            }
        };
    }

    /** The priors by name, as a run file has them. */
    Map<String, Double> prior() {
        Map<String, Double> prior = new TreeMap<>();
        for (int k = 0; k < K(); k++) prior.put(domains.get(k).name(), prior_K[k]);
        return prior;
    }

    @Override
    public String toString() {
        return name + " " + Arrays.toString(prior_K);
    }
}
