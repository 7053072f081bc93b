package dev.rheostat.testbed;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;

/**
 * One world of the bed: domains, their priors, and what their texts have to do with each other.
 *
 * @param kind which claim the setting belongs to
 * @param prior_K share of each domain in the data and weight of its loss in the objective
 * @param overlap which keys domains have in common
 * @param poolShare_K text that each domain has, as a part of what the whole run reads; 1 for as much as anyone could ask for
 * @param decays whether a pair is learnt with a probability that follows the learning rate, else always
 */
record DataSetting(
        String name,
        Kind kind,
        List<LookupDomain> domains,
        double[] prior_K,
        Overlap overlap,
        double[] poolShare_K,
        boolean decays) {
    enum Kind {
        INDEPENDENT,
        REPETITION,
        SCHEDULE,
        TRANSFER,
        HUB
    }

    enum Overlap {
        /** No key is in two domains. */
        NONE,
        /** The {@link #HEAD} most frequent keys of every domain are the same keys. */
        HEAD,
        /** The first domain has no keys of its own: it speaks of those of all others in turn. */
        HUB
    }

    /** Keys in common: more than half the text of each domain is about them, and the unseen mass is not. */
    static final int HEAD = 1000;

    /** Wrong values are rare enough for the losses to tell of unseen keys at all. */
    private static final LookupDomain COMMON = new LookupDomain("common", 2, 0.02),
            MEDIUM = new LookupDomain("medium", 1, 0.002),
            RARE = new LookupDomain("rare", 0.75, 0.005),
            SCARCE = new LookupDomain("scarce", 0.5, 0.001),
            ATLAS = new LookupDomain("atlas", 0.75, 0.005);

    private static final List<LookupDomain> FOUR = List.of(COMMON, MEDIUM, RARE, SCARCE),
            NOISY =
                    List.of(
                            new LookupDomain("common", 2, 0.30),
                            new LookupDomain("medium", 1, 0.05),
                            new LookupDomain("rare", 0.75, 0.10),
                            new LookupDomain("scarce", 0.5, 0.02));

    private static final double[] PLENTY = {1, 1, 1, 1};

    /** Most text is about what is soon known, least about what is long to learn: where mixing has something to win. */
    private static final double[] MOST_EASY = {.4, .3, .2, .1};

    static List<DataSetting> all() {
        return List.of(
                of("four", Kind.INDEPENDENT, FOUR, MOST_EASY, Overlap.NONE, PLENTY, false),
                of("four-even", Kind.INDEPENDENT, FOUR, new double[] {.25, .25, .25, .25}, Overlap.NONE, PLENTY, false),
                of("four-hard", Kind.INDEPENDENT, FOUR, new double[] {.1, .2, .3, .4}, Overlap.NONE, PLENTY, false),
                of("four-noisy", Kind.INDEPENDENT, NOISY, MOST_EASY, Overlap.NONE, PLENTY, false),
                of("repetition", Kind.REPETITION, FOUR, MOST_EASY, Overlap.NONE, new double[] {1, 1, 1, .15}, false),
                of("schedule", Kind.SCHEDULE, FOUR, MOST_EASY, Overlap.NONE, PLENTY, true),
                of("transfer", Kind.TRANSFER, FOUR, MOST_EASY, Overlap.HEAD, PLENTY, false),
                of(
                        "hub",
                        Kind.HUB,
                        List.of(ATLAS, MEDIUM, RARE, SCARCE),
                        new double[] {.1, .4, .3, .2},
                        Overlap.HUB,
                        PLENTY,
                        false));
    }

    private static DataSetting of(
            String name,
            Kind kind,
            List<LookupDomain> domains,
            double[] prior_K,
            Overlap overlap,
            double[] poolShare_K,
            boolean decays) {
        return new DataSetting(name, kind, domains, prior_K, overlap, poolShare_K, decays);
    }

    /** @throws IllegalArgumentException naming those that exist */
    static DataSetting byName(String name) {
        return all().stream()
                .filter(setting -> setting.name.equals(name))
                .findFirst()
                .orElseThrow(() -> new IllegalArgumentException("no setting " + name + ", there are "
                        + all().stream().map(DataSetting::name).collect(Collectors.joining(", "))));
    }

    /** Names the text that it reads: settings that differ in priors alone share it. */
    String corpus() {
        return String.format("corpus-%08x", (domains + " " + overlap + Arrays.toString(poolShare_K)).hashCode());
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
            case HEAD -> (rank < HEAD ? K() : k) * keys + rank;
            case HUB -> k > 0 ? k * keys + rank : (1 + rank % (K() - 1)) * keys + rank / (K() - 1);
        };
    }

    /** The inverse of {@link #key}: the rank that a key has in domain k; -1 where the domain does not have it. */
    int rank(int k, int space, int place, int keys) {
        return switch (overlap) {
            case NONE -> space == k ? place : -1;
            case HEAD -> space == (place < HEAD ? K() : k) ? place : -1;
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
