package dev.rheostat.testbed;

import dev.rheostat.ado.fit.StudentT;
import dev.rheostat.testbed.DataBed.Regret;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** Regrets as a Markdown table: a row a setting and policy. */
public final class RegretTable {
    private RegretTable() {}

    /** @param regrets of which each setting has policy natural, or the last column is empty */
    public static String of(List<Regret> regrets) {
        Map<String, Map<String, List<Regret>>> all = new LinkedHashMap<>();
        for (Regret one : regrets)
            all.computeIfAbsent(one.setting(), setting -> new LinkedHashMap<>())
                    .computeIfAbsent(one.policy(), policy -> new ArrayList<>())
                    .add(one);
        StringBuilder table = new StringBuilder("| setting | policy | seeds | regret, 1e-3 nats | of natural's, paired"
                + " | shares read | best shares |\n|---|---|---|---|---|---|---|\n");
        all.forEach((setting, byPolicy) -> byPolicy.forEach((policy, runs) -> table.append(String.format(
                Locale.ROOT,
                "| %s | %s | %d | %s | %s | %s | %s |%n",
                setting,
                policy,
                runs.size(),
                interval(
                        runs.stream().mapToDouble(run -> 1e3 * run.regretNats()).toArray(), "%.3f"),
                ratio(runs, byPolicy.get("natural")),
                means(runs.stream().map(Regret::share_K).toList()),
                means(runs.stream().map(Regret::best_K).toList())))));
        return table.toString();
    }

    /** Ratio to natural's regret with the same seed. */
    private static String ratio(List<Regret> runs, List<Regret> natural) {
        if (natural == null || natural.size() != runs.size()) return "";
        double[] percent = new double[runs.size()];
        for (int i = 0; i < percent.length; i++)
            percent[i] = 100 * runs.get(i).regretNats() / natural.get(i).regretNats();
        return interval(percent, "%.0f") + " %";
    }

    /** Mean and, for two or more, the half width of its 95 % interval. */
    static String interval(double[] values, String format) {
        String text = String.format(Locale.ROOT, format, Arrays.stream(values).sum() / values.length);
        return values.length < 2
                ? text
                : text + " ± " + String.format(Locale.ROOT, format, StudentT.halfWidth95(values));
    }

    /** Means over runs, by domain. */
    static String means(List<double[]> runs) {
        List<String> means = new ArrayList<>();
        for (int k = 0; k < runs.getFirst().length; k++) {
            double mean = 0;
            for (double[] run : runs) mean += run[k] / runs.size();
            means.add(String.format(Locale.ROOT, "%.3f", mean));
        }
        return String.join(" ", means);
    }
}
