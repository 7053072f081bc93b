package dev.rheostat.testbed;

import dev.rheostat.config.RunConfig;
import dev.rheostat.config.RunConfigs;
import dev.rheostat.config.RunFile;
import dev.rheostat.data.TokenDataset;
import dev.rheostat.train.Backends;
import java.nio.file.Path;
import java.util.Arrays;
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
     * @param policy NAME or NAME/MODE; after it :SETTING=VALUE, of policy static :DOMAIN=SHARE
     * @param overrides of the run file
     * @throws dev.rheostat.config.RheostatException BAD_REQUEST naming the key that is wrong
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
        String[] parts = policy.split(":", -1), named = (parts[0] + "/").split("/", -1);
        return String.format(
                Locale.ROOT,
                """
                model: {preset: ado-nano, context: %d}
                batch: {sequences: %d}
                mixture: {policy: %s, mode: "%s", %s: {%s}, prior: %s, maxEpochs: %s}
                schedule: {steps: %d}
                runtime: {threads: 1}
                device: cpu
                """,
                shape.tokens(),
                shape.sequences(),
                named[0],
                named[1],
                named[0].equals("static") ? "shares" : "settings",
                Arrays.stream(parts).skip(1).map(one -> one.replace("=", ": ")).collect(Collectors.joining(", ")),
                map(setting.prior()),
                map(setting.maxEpochs()),
                shape.steps());
    }

    private static String map(Map<String, Double> byDomain) {
        return new TreeMap<>(byDomain)
                .entrySet().stream()
                        .map(entry -> entry.getKey() + ": " + entry.getValue())
                        .collect(Collectors.joining(", ", "{", "}"));
    }
}
