package dev.rheostat.testbed;

import dev.rheostat.testbed.DataSetting.Overlap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * The settings of the bed for one learner: the same worlds, with tails that it can learn within its run.
 *
 * @param four domains, from the one that is soonest known to the one that takes longest, also in the order of their names
 * @param noisy the same with so many wrong values that they drown the signal
 * @param atlas the hub, which speaks of the keys of the last three, more evenly than two of them do: once its most frequent keys are
 *     known a domain's own pairs teach less of the rest of it than the hub's
 * @param head keys that all domains have in common in setting transfer
 */
record DataSettings(List<LookupDomain> four, List<LookupDomain> noisy, LookupDomain atlas, int head) {
    /**
     * Wrong values are rare enough for the losses to tell of unseen keys at all; of text with 1000 keys in common more than half is about
     * them, and the unseen mass is not.
     */
    static final DataSettings COUNTING = new DataSettings(
            four(new double[] {2, 1, .75, .5}, new double[] {.02, .002, .005, .001}),
            four(new double[] {2, 1, .75, .5}, new double[] {.30, .05, .10, .02}),
            new LookupDomain("atlas", 0.5, 0.005),
            1000);

    /** A transformer meets a key some dozens of times before it knows it, so its tails are of fewer keys, and heavier. */
    static final DataSettings NANO = new DataSettings(
            four(new double[] {1.5, .75, .4, .15}, new double[] {.02, .002, .005, .001}),
            four(new double[] {1.5, .75, .4, .15}, new double[] {.30, .05, .10, .02}),
            new LookupDomain("atlas", 0.25, 0.005),
            64);

    private static final double[] PLENTY = {1, 1, 1, 1}, SCARCE_TEXT = {1, 1, 1, .15};

    /** Most text is about what is soon known, least about what is long to learn: where mixing has something to win. */
    private static final double[] MOST_EASY = {.4, .3, .2, .1};

    private static List<LookupDomain> four(double[] tail_K, double[] wrong_K) {
        return List.of(
                new LookupDomain("common", tail_K[0], wrong_K[0]),
                new LookupDomain("medium", tail_K[1], wrong_K[1]),
                new LookupDomain("rare", tail_K[2], wrong_K[2]),
                new LookupDomain("scarce", tail_K[3], wrong_K[3]));
    }

    List<DataSetting> all() {
        DataSetting independent = new DataSetting("four", four, MOST_EASY, Overlap.NONE, head, PLENTY, false, Map.of()),
                repetition = independent.withText("repetition", SCARCE_TEXT, Map.of());
        List<LookupDomain> withHub = List.of(atlas, four.get(1), four.get(2), four.get(3));
        return List.of(
                independent,
                independent.withPrior("four-even", new double[] {.25, .25, .25, .25}),
                independent.withPrior("four-hard", new double[] {.1, .2, .3, .4}),
                new DataSetting("four-noisy", noisy, MOST_EASY, Overlap.NONE, head, PLENTY, false, Map.of()),
                repetition,
                repetition.withText("repetition-capped", SCARCE_TEXT, Map.of("scarce", 1.0)),
                new DataSetting("schedule", four, MOST_EASY, Overlap.NONE, head, PLENTY, true, Map.of()),
                new DataSetting("transfer", four, MOST_EASY, Overlap.HEAD, head, PLENTY, false, Map.of()),
                new DataSetting(
                        "hub", withHub, new double[] {.1, .4, .3, .2}, Overlap.HUB, head, PLENTY, false, Map.of()));
    }

    List<String> names() {
        return all().stream().map(DataSetting::name).toList();
    }

    /** @throws IllegalArgumentException naming those that exist */
    DataSetting byName(String name) {
        return all().stream()
                .filter(setting -> setting.name().equals(name))
                .findFirst()
                .orElseThrow(() -> new IllegalArgumentException(
                        "no setting " + name + ", there are " + names().stream().collect(Collectors.joining(", "))));
    }
}
