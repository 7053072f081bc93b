package dev.rheostat.report;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The mixtures of several policies over the same steps, side by side.
 *
 * @param names of the policies
 * @param paths mixture_TK of each policy, one row a step
 */
public record PolicyPaths(List<String> domains, List<String> names, List<Long> steps, List<List<double[]>> paths) {
    /** Half the summed difference of shares: the part of a batch that two mixtures draw from other domains. */
    public static double distance(double[] one_K, double[] other_K) {
        double sum = 0;
        for (int k = 0; k < one_K.length; k++) sum += Math.abs(one_K[k] - other_K[k]);
        return sum / 2;
    }

    /** One sentence on how far policy b is from policy a over the steps. */
    public String difference(int a, int b) {
        double sum = 0, most = -1;
        long where = 0;
        for (int t = 0; t < steps.size(); t++) {
            double distance = distance(paths.get(a).get(t), paths.get(b).get(t));
            sum += distance;
            if (distance > most) {
                most = distance;
                where = steps.get(t);
            }
        }
        return names.get(b) + " draws " + Figures.percent(sum / steps.size()) + " of a batch otherwise than "
                + names.get(a) + " on average, " + Figures.percent(most) + " at most, at step " + where;
    }

    /** The page: shares of every policy over the steps. @throws dev.rheostat.config.RheostatException MACHINE if it cannot be written */
    public void write(String title, Path out) {
        StringBuilder body = new StringBuilder("<section class=\"card run\"><div class=\"chips\">");
        for (int b = 1; b < names.size(); b++)
            body.append("<span>").append(Html.text(difference(0, b))).append("</span>");
        body.append("</div></section>\n")
                .append(Fragments.heading(
                        "Mixture",
                        "What each policy would have drawn from the same losses. A name shows or hides its domain."))
                .append(Fragments.domainLegend(domains))
                .append("<div class=\"columns\">\n");
        for (int p = 0; p < names.size(); p++)
            body.append(Fragments.chart(p, "mixture", names.get(p), "Share of the batch"));
        for (int p = 0; p < names.size(); p++)
            body.append(Fragments.chart(p, "change", names.get(p), "Share against its start"));
        body.append("</div>\n").append(Fragments.FOOTER);
        List<Map<String, Object>> runs = new ArrayList<>();
        for (int p = 0; p < names.size(); p++) runs.add(run(p));
        Page.write(out, Page.html(title, body.toString(), Map.of("domains", domains, "runs", runs)));
    }

    private Map<String, Object> run(int p) {
        int[] edges = Curves.edges(steps.size());
        Map<String, Object> mixture = new LinkedHashMap<>();
        for (int k = 0; k < domains.size(); k++) {
            int domain = k;
            mixture.put(
                    domains.get(k),
                    ReportData.rounded(Curves.means(edges, t -> paths.get(p).get(t)[domain], t -> 1)));
        }
        Map<String, Object> run = new LinkedHashMap<>();
        run.put("name", names.get(p));
        run.put("steps", steps.getLast() + 1);
        run.put("step", ReportData.rounded(Curves.means(edges, t -> steps.get(t), t -> 1)));
        run.put("mixture", mixture);
        return run;
    }
}
