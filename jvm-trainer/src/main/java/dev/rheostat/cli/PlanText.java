package dev.rheostat.cli;

import dev.rheostat.config.RunConfig;
import dev.rheostat.report.Figures;
import dev.rheostat.report.TextSummary;
import dev.rheostat.train.Backends;
import dev.rheostat.train.ModelPlan;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** A run's plan for people. */
final class PlanText {
    private PlanText() {}

    /** @param config resolved, for its device too @param domains K */
    static String of(RunConfig config, int domains) {
        ModelPlan plan = Backends.plan(config, domains);
        List<String[]> rows = new ArrayList<>();
        rows.add(row("parameters", String.format(Locale.ROOT, "%,d", plan.parameters())));
        rows.add(row("without embeddings", String.format(Locale.ROOT, "%,d", plan.nonEmbeddingParameters())));
        rows.add(row("FLOPs a token, causal", Figures.count(plan.causalFlopsPerToken())));
        rows.add(row("FLOPs a token, all pairs", Figures.count(plan.fullFlopsPerToken())));
        rows.add(row(
                "tokens a step",
                String.format(
                        Locale.ROOT,
                        "%,d",
                        (long) config.batch().sequences() * config.model().context())));
        for (Map.Entry<String, Long> kind : plan.bytes().entrySet())
            rows.add(row("memory: " + kind.getKey(), mebibytes(kind.getValue())));
        rows.add(row("memory in all", mebibytes(plan.totalBytes())));
        rows.add(row("free on " + config.device(), mebibytes(Backends.freeBytes(config))));
        int largest = Backends.largestBatch(config, domains);
        rows.add(row("largest batch.sequences that fits", largest == 0 ? "none" : Integer.toString(largest)));
        return TextSummary.columns(rows);
    }

    private static String[] row(String name, String value) {
        return new String[] {name, value};
    }

    private static String mebibytes(long bytes) {
        return String.format(Locale.ROOT, "%,.1f MiB", bytes / (double) (1 << 20));
    }
}
