package dev.rheostat.cli;

import com.fasterxml.jackson.databind.JsonNode;
import dev.rheostat.data.TokenDataset;
import dev.rheostat.report.Figures;
import dev.rheostat.report.JsonLines;
import dev.rheostat.report.TextSummary;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** What the recipe came to: the mixture it found, and the last validation loss of its three runs. */
final class DoremiTable {
    private DoremiTable() {}

    /** @param weight_K the mixture found @param runs folders of the reference, the proxy and the main run */
    static String of(TokenDataset dataset, double[] weight_K, Path... runs) {
        List<JsonNode> validations = new ArrayList<>();
        for (Path run : runs) validations.add(last(run.resolve("validation.jsonl")));
        List<String[]> rows = new ArrayList<>();
        rows.add(new String[] {"domain", "natural", "doremi", "change", "reference nats", "proxy nats", "main nats"});
        double[] natural_K = dataset.shares();
        for (int k = 0; k < weight_K.length; k++) {
            String name = dataset.names().get(k);
            List<String> row = new ArrayList<>(List.of(
                    name,
                    Figures.percent(natural_K[k]),
                    Figures.percent(weight_K[k]),
                    Figures.signedPercent(weight_K[k] / natural_K[k] - 1)));
            for (JsonNode validation : validations)
                row.add(nats(validation.path("domains").path(name).path("lossNats")));
            rows.add(row.toArray(String[]::new));
        }
        rows.add(mean("mean over domains", "unweightedMeanNats", validations));
        rows.add(mean("mean over tokens", "tokenMeanNats", validations));
        return TextSummary.columns(rows);
    }

    private static JsonNode last(Path file) {
        List<JsonNode> lines = new ArrayList<>();
        JsonLines.read(file, line -> lines.add(line.object()));
        return lines.getLast();
    }

    private static String[] mean(String label, String field, List<JsonNode> validations) {
        List<String> row = new ArrayList<>(List.of(label, "", "", ""));
        for (JsonNode validation : validations) row.add(nats(validation.path(field)));
        return row.toArray(String[]::new);
    }

    private static String nats(JsonNode value) {
        return value.isNumber() ? Figures.nats(value.asDouble()) : "–";
    }
}
