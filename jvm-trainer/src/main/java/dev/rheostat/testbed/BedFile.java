package dev.rheostat.testbed;

import dev.rheostat.ado.PolicyText;
import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RheostatException.Kind;
import dev.rheostat.config.RunConfig;
import dev.rheostat.config.RunConfigs;
import dev.rheostat.config.RunFile;
import dev.rheostat.data.TokenDataset;
import dev.rheostat.train.Backends;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;

/** What a run of the bed would be written as: a run file like any other's. */
final class BedFile {
    private BedFile() {}

    /**
     * A run, resolved.
     * @param folder of the dataset
     * @param policy as {@link PolicyText} has it
     * @param overrides of the run file
     * @throws RheostatException BAD_REQUEST naming the key that is wrong
     */
    static RunConfig config(
            DataSetting setting,
            BedShape shape,
            TokenDataset dataset,
            Path folder,
            String policy,
            Map<String, String> overrides) {
        return Backends.resolve(RunConfigs.resolve(
                file(setting, shape, folder, policy, overrides).config(),
                dataset.tokenizer().vocabulary()));
    }

    /** As {@link #config}, before its dataset is there. */
    static RunFile file(
            DataSetting setting, BedShape shape, Path folder, String policy, Map<String, String> overrides) {
        return RunFile.parse("policy " + policy, text(setting, shape, policy), folder, overrides);
    }

    private static String text(DataSetting setting, BedShape shape, String policy) {
        PolicyText named;
        try {
            named = PolicyText.parse(policy);
        } catch (IllegalArgumentException e) {
            throw new RheostatException(Kind.BAD_REQUEST, e.getMessage(), e);
        }
        return String.format(
                Locale.ROOT,
                """
                model: {preset: ado-nano, context: %d}
                batch: {sequences: %d}
                mixture: {policy: %s, mode: "%s", %s: %s, prior: %s, maxEpochs: %s}
                schedule: {steps: %d}
                runtime: {threads: 1}
                device: cpu
                """,
                shape.tokens(),
                shape.sequences(),
                named.name(),
                named.mode(),
                named.name().equals("static") ? "shares" : "settings",
                entries(named.values()),
                entries(new TreeMap<>(setting.prior())),
                entries(new TreeMap<>(setting.maxEpochs())),
                shape.steps());
    }

    private static String entries(Map<String, Double> byName) {
        return byName.entrySet().stream()
                .map(entry -> entry.getKey() + ": " + entry.getValue())
                .collect(Collectors.joining(", ", "{", "}"));
    }
}
