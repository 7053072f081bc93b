package dev.rheostat.testbed;

import dev.rheostat.testbed.ModelBed.Outcome;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** Outcomes of the bed's model as a Markdown table: a row a setting and policy. */
public final class OutcomeTable {
    private OutcomeTable() {}

    /** @param outcomes of which each setting has policy natural, or the column of the excess is empty */
    public static String of(List<Outcome> outcomes) {
        Map<String, Map<String, List<Outcome>>> all = new LinkedHashMap<>();
        for (Outcome one : outcomes)
            all.computeIfAbsent(one.setting(), setting -> new LinkedHashMap<>())
                    .computeIfAbsent(one.policy(), policy -> new ArrayList<>())
                    .add(one);
        StringBuilder table =
                new StringBuilder("| setting | policy | seeds | J, nats | above natural, 1e-3 nats, paired"
                        + " | left to learn | by domain, nats | shares read |\n|---|---|---|---|---|---|---|---|\n");
        all.forEach((setting, byPolicy) -> byPolicy.forEach((policy, runs) -> table.append(String.format(
                Locale.ROOT,
                "| %s | %s | %d | %s | %s | %s %% | %s | %s |%n",
                setting,
                policy,
                runs.size(),
                RegretTable.interval(
                        runs.stream().mapToDouble(Outcome::objectiveNats).toArray(), "%.4f"),
                excess(runs, byPolicy.get("natural")),
                RegretTable.interval(
                        runs.stream().mapToDouble(run -> 100 * run.left()).toArray(), "%.2f"),
                RegretTable.means(runs.stream().map(Outcome::reducibleNats_K).toList()),
                RegretTable.means(runs.stream().map(Outcome::share_K).toList())))));
        return table.toString();
    }

    /** Above natural with the same seed. */
    private static String excess(List<Outcome> runs, List<Outcome> natural) {
        if (natural == null || natural.size() != runs.size()) return "";
        double[] above = new double[runs.size()];
        for (int i = 0; i < above.length; i++)
            above[i] = 1e3 * (runs.get(i).objectiveNats() - natural.get(i).objectiveNats());
        return RegretTable.interval(above, "%.1f");
    }
}
