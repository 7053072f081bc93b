package dev.rheostat.bench;

import dev.rheostat.config.RunConfig;
import dev.rheostat.config.RunConfigs;
import dev.rheostat.config.RunFile;
import dev.rheostat.train.Backends;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import picocli.CommandLine.Option;

/** The model and batch that a benchmark is asked for. */
final class StepOptions {
    private static final int GPT2_VOCABULARY = 50_257;

    @Option(names = "--preset", paramLabel = "NAME", description = "ado-nano, ado-70m, ado-124m, ado-350m, ado-1.3b.")
    private String preset = "ado-nano";

    @Option(
            names = "--set",
            paramLabel = "KEY=VALUE",
            description = "Override one key of a run file, such as model.layers=4.")
    private Map<String, String> overrides = new LinkedHashMap<>();

    @Option(
            names = "--batch",
            converter = Counts.Positive.class,
            paramLabel = "B",
            description = "Sequences a step; default: ${DEFAULT-VALUE}.",
            defaultValue = "8")
    private int batch;

    @Option(
            names = "--seq",
            converter = Counts.Positive.class,
            paramLabel = "T",
            description = "Tokens a sequence; default: ${DEFAULT-VALUE}.",
            defaultValue = "256")
    private int tokens;

    @Option(
            names = "--threads",
            converter = Counts.NotNegative.class,
            paramLabel = "N",
            description = "0, the default: all cores.",
            defaultValue = "0")
    private int threads;

    int batch() {
        return batch;
    }

    int tokens() {
        return tokens;
    }

    /** For its own device. @param more settings that count over the rest */
    RunConfig config(Map<String, String> more) {
        return Backends.resolve(planned(more));
    }

    /** Without a look at any device. @param more settings that count over the rest */
    RunConfig planned(Map<String, String> more) {
        Map<String, String> all = new LinkedHashMap<>();
        all.put("model.preset", preset);
        all.put("model.vocabulary", Integer.toString(GPT2_VOCABULARY));
        all.putAll(overrides);
        all.put("model.context", Integer.toString(tokens));
        all.put("batch.sequences", Integer.toString(batch));
        all.put("runtime.threads", Integer.toString(threads));
        all.putAll(more);
        RunFile file = RunFile.parse("rheostat bench", "", Path.of(""), all);
        return RunConfigs.resolve(file.config(), file.config().model().vocabulary());
    }
}
