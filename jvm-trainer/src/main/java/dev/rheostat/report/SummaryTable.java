package dev.rheostat.report;

import dev.rheostat.report.RunHistory.Step;
import dev.rheostat.report.RunHistory.Validation;
import java.util.List;
import java.util.function.IntFunction;

/** The figures of every domain, as table rows. */
final class SummaryTable {
    private SummaryTable() {}

    /** One run: before and after. */
    static void of(RunHistory run, IntFunction<String> swatch, StringBuilder html) {
        html.append(
                        "<thead><tr><th>domain</th><th>share, first → last batch</th><th>change</th><th>validation nats</th>")
                .append("<th>change</th><th>bits a byte</th><th>tokens</th><th>epochs</th></tr></thead>\n<tbody>\n");
        Step first = run.steps().getFirst(), last = run.steps().getLast();
        for (int k = 0; k < run.domains().size(); k++) {
            double from = before(run, k), to = after(run, k);
            row(html, "", swatch.apply(k) + Html.text(run.domains().get(k)));
            cell(html, was(Figures.percent(first.mixture_K()[k]), Figures.percent(last.mixture_K()[k])));
            cell(html, Figures.signedPercent(last.mixture_K()[k] / first.mixture_K()[k] - 1));
            cell(html, was(Figures.nats(from), Figures.nats(to)));
            cell(html, colored(to / from - 1));
            cell(html, was(Figures.nats(bits(run, k, true)), Figures.nats(bits(run, k, false))));
            cell(html, Figures.count(tokens(run, k)));
            cell(html, String.format(java.util.Locale.ROOT, "%.2f", last.epoch_K()[k]));
            html.append("</tr>\n");
        }
        if (!run.validations().isEmpty()) {
            Validation start = run.validations().getFirst(),
                    end = run.validations().getLast();
            mean(html, "mean over domains", start.unweightedMeanNats(), end.unweightedMeanNats());
            mean(html, "mean over tokens", start.tokenMeanNats(), end.tokenMeanNats());
        }
        html.append("</tbody>");
    }

    private static void mean(StringBuilder html, String name, double from, double to) {
        row(html, " class=\"mean\"", name);
        html.append("<td></td><td></td>");
        cell(html, was(Figures.nats(from), Figures.nats(to)));
        cell(html, colored(to / from - 1));
        html.append("<td></td><td></td><td></td></tr>\n");
    }

    /** Several runs: where each ended, the lowest loss of a row marked. */
    static void sideBySide(
            List<RunHistory> runs,
            List<String> names,
            List<String> domains,
            IntFunction<String> swatch,
            StringBuilder html) {
        html.append("<thead><tr class=\"groups\"><th></th>");
        for (String name : names)
            html.append("<th class=\"first\" colspan=\"4\">")
                    .append(Html.text(name))
                    .append("</th>");
        html.append("</tr><tr><th>domain</th>");
        for (int r = 0; r < runs.size(); r++)
            html.append(
                    "<th class=\"first\">validation nats</th><th>bits a byte</th><th>last share</th><th>epochs</th>");
        html.append("</tr></thead>\n<tbody>\n");
        for (int d = 0; d < domains.size(); d++) {
            String domain = domains.get(d);
            row(html, "", swatch.apply(d) + Html.text(domain));
            double best = runs.stream()
                    .mapToDouble(run -> after(run, run.domains().indexOf(domain)))
                    .filter(Double::isFinite)
                    .min()
                    .orElse(Double.NaN);
            for (RunHistory run : runs) {
                int k = run.domains().indexOf(domain);
                loss(html, after(run, k), best);
                cell(html, Figures.nats(bits(run, k, false)));
                cell(html, k < 0 ? "–" : Figures.percent(run.steps().getLast().mixture_K()[k]));
                cell(
                        html,
                        k < 0
                                ? "–"
                                : String.format(
                                        java.util.Locale.ROOT,
                                        "%.2f",
                                        run.steps().getLast().epoch_K()[k]));
            }
            html.append("</tr>\n");
        }
        means(
                html,
                "mean over domains",
                runs.stream().map(SummaryTable::unweighted).toList());
        means(
                html,
                "mean over tokens",
                runs.stream().map(SummaryTable::byTokens).toList());
        html.append("</tbody>");
    }

    private static void means(StringBuilder html, String name, List<Double> values) {
        double best = values.stream()
                .mapToDouble(v -> v)
                .filter(Double::isFinite)
                .min()
                .orElse(Double.NaN);
        row(html, " class=\"mean\"", name);
        for (double value : values) {
            loss(html, value, best);
            html.append("<td></td><td></td><td></td>");
        }
        html.append("</tr>\n");
    }

    private static void loss(StringBuilder html, double value, double best) {
        html.append(value == best ? "<td class=\"first best\">" : "<td class=\"first\">")
                .append(Figures.nats(value))
                .append("</td>");
    }

    private static void row(StringBuilder html, String attributes, String head) {
        html.append("<tr").append(attributes).append("><th>").append(head).append("</th>");
    }

    private static void cell(StringBuilder html, String content) {
        html.append("<td>").append(content).append("</td>");
    }

    private static String was(String before, String after) {
        return "<span class=\"was\">" + before + " →</span> " + after;
    }

    private static String colored(double change) {
        if (!Double.isFinite(change)) return "–";
        return "<span class=\"" + (change <= 0 ? "up" : "down") + "\">" + Figures.signedPercent(change) + "</span>";
    }

    private static long tokens(RunHistory run, int k) {
        return run.steps().stream().mapToLong(step -> step.tokens_K()[k]).sum();
    }

    private static double before(RunHistory run, int k) {
        return run.validations().isEmpty()
                ? Double.NaN
                : run.validations().getFirst().lossNats_K()[k];
    }

    private static double after(RunHistory run, int k) {
        return k < 0 || run.validations().isEmpty()
                ? Double.NaN
                : run.validations().getLast().lossNats_K()[k];
    }

    private static double bits(RunHistory run, int k, boolean atStart) {
        if (k < 0 || run.validations().isEmpty()) return Double.NaN;
        List<Validation> all = run.validations();
        return (atStart ? all.getFirst() : all.getLast()).bitsPerByte_K()[k];
    }

    private static double unweighted(RunHistory run) {
        return run.validations().isEmpty()
                ? Double.NaN
                : run.validations().getLast().unweightedMeanNats();
    }

    private static double byTokens(RunHistory run) {
        return run.validations().isEmpty()
                ? Double.NaN
                : run.validations().getLast().tokenMeanNats();
    }
}
