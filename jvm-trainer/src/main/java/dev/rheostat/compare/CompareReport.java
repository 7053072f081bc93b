package dev.rheostat.compare;

import dev.rheostat.compare.Table.RowsAre;
import dev.rheostat.config.RheostatException;
import dev.rheostat.report.Figures;
import dev.rheostat.report.Fragments;
import dev.rheostat.report.Html;
import dev.rheostat.report.Page;
import dev.rheostat.report.ReportData;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** A comparison as a text and as a page. */
public final class CompareReport {
    private static final String TEXT = "compare.md";
    private static final String PAGE = "compare.html";

    private final Comparison c;
    private final String title;
    private final List<Table> tables;

    private CompareReport(Comparison comparison, String title) {
        c = comparison;
        this.title = title;
        tables = Tables.of(comparison);
    }

    /**
     * Reads the plan's runs that are done and writes compare.md and compare.html into its folder.
     * @return the text
     * @throws RheostatException BAD_REQUEST if no run of the baseline is done, DAMAGED for a run's file that cannot be read,
     *     MACHINE if the folder cannot be written
     */
    public static String write(Plan plan) {
        String title = plan.out().toAbsolutePath().normalize().getFileName().toString();
        CompareReport report = new CompareReport(Results.read(plan), title);
        String text = report.text();
        Page.write(plan.out().resolve(TEXT), text);
        Page.write(plan.out().resolve(PAGE), report.page());
        return text;
    }

    /** Where {@link #write} puts the page of a plan. */
    public static Path page(Plan plan) {
        return plan.out().resolve(PAGE);
    }

    private String verdict(Measure measure) {
        return measure.title() + ": " + c.verdict(measure);
    }

    private String text() {
        StringBuilder text = new StringBuilder();
        for (Measure measure : Measure.values())
            text.append("- ").append(verdict(measure)).append('\n');
        for (String note : c.notes()) text.append("- note: ").append(note).append('\n');
        for (Table table : tables) text.append('\n').append(table.markdown());
        return text.toString();
    }

    String page() {
        StringBuilder body = new StringBuilder("<section class=\"card run\"><div class=\"chips\">");
        for (String policy : c.policies())
            body.append("<span>")
                    .append(Fragments.runSwatch(c.policies().indexOf(policy)))
                    .append(Html.text(policy + (policy.equals(c.baseline()) ? ", the baseline" : "")))
                    .append(c.seeds(policy) == 1 ? ", 1 seed</span>" : ", " + c.seeds(policy) + " seeds</span>");
        body.append("</div><ul class=\"verdicts\">");
        for (Measure measure : Measure.values())
            body.append("<li>").append(Html.text(verdict(measure))).append("</li>");
        for (String note : c.notes())
            body.append("<li>note: ").append(Html.text(note)).append("</li>");
        body.append("</ul></section>\n");
        gaps(body);
        tables.stream()
                .filter(table -> table.rowsAre() == RowsAre.POLICIES)
                .forEach(table -> body.append(table.html()));
        ahead(body);
        mixture(body);
        tables.stream().filter(table -> table.rowsAre() == RowsAre.DOMAINS).forEach(table -> body.append(table.html()));
        return Page.html(title, body.append(Fragments.FOOTER).toString(), data());
    }

    private void gaps(StringBuilder body) {
        if (c.others().isEmpty()) return;
        body.append(Fragments.heading(
                        "Against " + c.baseline(),
                        "Difference to " + c.baseline()
                                + " of the same seed in nats a token, left is better. Dots are seeds, "
                                + "bars 95 % intervals of their mean."))
                .append("<div class=\"columns half\">\n");
        for (Measure measure : Measure.values())
            body.append(Fragments.chart(measure.ordinal(), "gap", "", capital(measure.title())));
        body.append("</div>\n");
    }

    private static String capital(String sentence) {
        return sentence.substring(0, 1).toUpperCase(Locale.ROOT) + sentence.substring(1);
    }

    private void ahead(StringBuilder body) {
        if (c.others().isEmpty()) return;
        body.append(Fragments.heading(
                        "Over the run",
                        "Validation loss by target minus that of " + c.baseline()
                                + " of the same seed, nats a token: below zero is "
                                + "ahead. Thin lines are seeds, thick ones their mean."))
                .append("<div class=\"columns half\">\n");
        for (String policy : c.others())
            body.append(Fragments.chart(c.policies().indexOf(policy), "ahead", policy, "by target"));
        body.append("</div>\n");
    }

    private void mixture(StringBuilder body) {
        body.append(Fragments.heading(
                        "Mixture",
                        "What share of each batch a domain got, mean over seeds. A name shows or hides its domain."))
                .append(Fragments.domainLegend(c.domains()))
                .append("<div class=\"columns half\">\n");
        for (int p = 0; p < c.policies().size(); p++)
            body.append(Fragments.chart(p, "mixture", c.policies().get(p), "Share of the batch"));
        body.append("</div>\n<div class=\"multiples\">\n");
        for (int k = 0; k < c.domains().size(); k++)
            body.append("<figure class=\"card\"><figcaption>")
                    .append(Fragments.swatch(k))
                    .append("<b>")
                    .append(Html.text(c.domains().get(k)))
                    .append("</b><span>target ")
                    .append(Figures.percent(c.target_K()[k]))
                    .append("</span></figcaption><div class=\"chart\" data-chart=\"path\" data-domain=\"")
                    .append(k)
                    .append("\"></div></figure>\n");
        body.append("</div>\n");
    }

    private Map<String, Object> data() {
        List<Map<String, Object>> runs = new ArrayList<>(), gaps = new ArrayList<>();
        for (String policy : c.policies()) runs.add(run(policy));
        for (Measure measure : Measure.values()) {
            List<Map<String, Object>> gap = new ArrayList<>();
            for (String policy : c.others()) gap.add(gap(policy, measure));
            gaps.add(Map.of("title", measure.title(), "policies", gap));
        }
        return Map.of("domains", c.domains(), "runs", runs, "gaps", gaps);
    }

    private Map<String, Object> gap(String policy, Measure measure) {
        Interval difference = c.difference(policy, measure);
        Map<String, Object> gap = new LinkedHashMap<>();
        gap.put("run", c.policies().indexOf(policy));
        gap.put("mean", difference.mean());
        gap.put("halfWidth", difference.exists() ? difference.halfWidth() : null);
        gap.put("seeds", ReportData.rounded(c.differences(policy, measure)));
        return gap;
    }

    /** A policy as report.js draws a run: its mixture is the mean over seeds. */
    private Map<String, Object> run(String policy) {
        List<RunResult> seeds = List.copyOf(c.runs().get(policy).values());
        RunResult first = seeds.getFirst();
        Map<String, Object> mixture = new LinkedHashMap<>();
        for (int k = 0; k < c.domains().size(); k++) {
            double[] share_P = new double[first.share_PK().length];
            for (RunResult seed : seeds)
                for (int p = 0; p < share_P.length; p++) share_P[p] += seed.share_PK()[p][k] / seeds.size();
            mixture.put(c.domains().get(k), ReportData.rounded(share_P));
        }
        Map<String, Object> run = new LinkedHashMap<>();
        run.put("name", policy);
        run.put("steps", first.step_V()[first.step_V().length - 1]);
        run.put("step", ReportData.rounded(first.pathStep_P()));
        run.put("mixture", mixture);
        run.put("ahead", ahead(policy));
        return run;
    }

    private Map<String, Object> ahead(String policy) {
        List<double[]> ahead = c.ahead(policy);
        double[] mean_V = new double[ahead.getFirst().length];
        for (double[] seed_V : ahead) for (int v = 0; v < mean_V.length; v++) mean_V[v] += seed_V[v] / ahead.size();
        long[] step_V = c.runs().get(policy).values().iterator().next().step_V();
        return Map.of(
                "step", Arrays.stream(step_V).boxed().toList(),
                "seeds", ahead.stream().map(ReportData::rounded).toList(),
                "mean", ReportData.rounded(mean_V));
    }
}
