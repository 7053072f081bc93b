package dev.rheostat.report;

import dev.rheostat.report.RunHistory.Step;
import dev.rheostat.report.RunHistory.Validation;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** A run in one table for a terminal: validation of every domain before and after, and its share of first and last batch. */
public final class TextSummary {
    private TextSummary() {}

    /**
     * The table, its lines ended by newlines.
     * @throws dev.rheostat.config.RheostatException as {@link Report#write}
     */
    public static String of(Path runFolder) {
        RunHistory run = RunHistory.read(runFolder);
        List<String[]> rows = new ArrayList<>();
        rows.add(new String[] {"domain", "nats", "", "bits/byte", "share", "", "change", "epochs"});
        Step first = run.steps().getFirst(), last = run.steps().getLast();
        boolean validated = !run.validations().isEmpty();
        for (int k = 0; k < run.domains().size(); k++)
            rows.add(new String[] {
                run.domains().get(k),
                validated ? Figures.nats(run.validations().getFirst().lossNats_K()[k]) : "–",
                validated ? "→ " + Figures.nats(run.validations().getLast().lossNats_K()[k]) : "",
                validated ? Figures.nats(run.validations().getLast().bitsPerByte_K()[k]) : "–",
                Figures.percent(first.mixture_K()[k]),
                "→ " + Figures.percent(last.mixture_K()[k]),
                Figures.signedPercent(last.mixture_K()[k] / first.mixture_K()[k] - 1),
                String.format(Locale.ROOT, "%.2f", last.epoch_K()[k])
            });
        if (validated) {
            Validation before = run.validations().getFirst(),
                    after = run.validations().getLast();
            rows.add(mean("mean over domains", before.unweightedMeanNats(), after.unweightedMeanNats()));
            rows.add(mean("mean over tokens", before.tokenMeanNats(), after.tokenMeanNats()));
        }
        return columns(rows);
    }

    private static String[] mean(String name, double before, double after) {
        return new String[] {name, Figures.nats(before), "→ " + Figures.nats(after), "", "", "", "", ""};
    }

    /** Rows of equal length under each other: the first column to the left, the others to the right. */
    public static String columns(List<String[]> rows) {
        int[] widths = new int[rows.getFirst().length];
        for (String[] row : rows) for (int c = 0; c < row.length; c++) widths[c] = Math.max(widths[c], row[c].length());
        StringBuilder text = new StringBuilder();
        for (String[] row : rows) {
            StringBuilder line = new StringBuilder(row[0]).repeat(' ', widths[0] - row[0].length());
            for (int c = 1; c < row.length; c++)
                line.append(row[c].startsWith("→") ? " " : "  ")
                        .repeat(' ', widths[c] - row[c].length())
                        .append(row[c]);
            text.append(line.toString().stripTrailing()).append('\n');
        }
        return text.toString();
    }
}
