package dev.rheostat.report;

import static dev.rheostat.report.Fragments.runSwatch;
import static dev.rheostat.report.Fragments.swatch;
import static dev.rheostat.report.Html.text;

import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RunConfig;
import dev.rheostat.config.RunFile;
import dev.rheostat.report.RunHistory.Validation;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/** The page between its head and its scripts: figures and tables as text, and the empty places that report.js fills. */
final class Sections {
    private static final String SHARES =
            " After share: nats that a share e times as large takes off at once, beyond what its data do; the points are as at the prior's share.";

    private final List<RunHistory> runs;
    private final List<String> names;
    private final List<String> domains;
    private final StringBuilder html = new StringBuilder();

    Sections(List<RunHistory> runs, List<String> names) {
        this.runs = runs;
        this.names = names;
        domains = ReportData.domains(runs);
    }

    String all() {
        runCards();
        mixture();
        summary();
        losses();
        fits();
        time();
        configs();
        html.append(Fragments.FOOTER);
        return html.toString();
    }

    private void runCards() {
        html.append("<div class=\"runs\">\n");
        for (int r = 0; r < runs.size(); r++) {
            RunHistory run = runs.get(r);
            html.append("<section class=\"card run\">");
            if (runs.size() > 1)
                html.append("<h3>")
                        .append(runSwatch(r))
                        .append(text(names.get(r)))
                        .append("</h3>");
            html.append("<div class=\"chips\">");
            chips(run).forEach(chip -> html.append("<span>").append(text(chip)).append("</span>"));
            html.append("</div><div class=\"tiles\">");
            if (!run.validations().isEmpty()) {
                Validation first = run.validations().getFirst(),
                        last = run.validations().getLast();
                tile(
                        Figures.nats(last.unweightedMeanNats()),
                        "from " + Figures.nats(first.unweightedMeanNats()),
                        "validation nats, mean over domains");
                tile(
                        Figures.nats(last.tokenMeanNats()),
                        "from " + Figures.nats(first.tokenMeanNats()),
                        "validation nats, mean over tokens");
                target(run)
                        .ifPresent(target_K -> tile(
                                Figures.nats(last.meanNats(target_K)),
                                "from " + Figures.nats(first.meanNats(target_K)),
                                "validation nats, mean by mixture.target"));
            }
            double seconds = run.trainingSeconds();
            tile(
                    Figures.count(run.tokensSeen()),
                    "in " + run.steps().size() + " steps",
                    "tokens" + (run.skippedSteps() == 0 ? "" : ", " + run.skippedSteps() + " steps skipped"));
            tile(
                    Figures.count(run.tokensSeen() / seconds),
                    "tokens/s",
                    "over " + Figures.duration(seconds) + " of steps");
            strongest(run)
                    .ifPresent(k -> tile(
                            Figures.signedPercent(change(run, k)),
                            "of its share",
                            "largest move: " + run.domains().get(k)));
            html.append("</div></section>\n");
        }
        html.append("</div>\n");
    }

    private void tile(String figure, String unit, String meaning) {
        html.append(Fragments.tile(figure, unit, meaning));
    }

    /** Of a run whose run.yaml is one of this version. */
    private static Optional<RunConfig> config(RunHistory run) {
        if (run.config().isEmpty()) return Optional.empty();
        try {
            return Optional.of(RunFile.parse("run.yaml", run.config(), Path.of(""), Map.of())
                    .config());
        } catch (RheostatException unknownVersion) {
            return Optional.empty();
        }
    }

    /** The weights that the run's user gave to the domains, if any. */
    private static Optional<double[]> target(RunHistory run) {
        return config(run)
                .map(config -> config.mixture().target())
                .filter(target -> !target.isEmpty())
                .map(target -> run.domains().stream()
                        .mapToDouble(domain -> target.getOrDefault(domain, 0.0))
                        .toArray());
    }

    /** What the run was, in few words; nothing if its run.yaml is not one of this version. */
    private static List<String> chips(RunHistory run) {
        Optional<RunConfig> known = config(run);
        if (known.isEmpty()) return List.of();
        RunConfig config = known.get();
        List<String> chips = new ArrayList<>();
        chips.add("mixture " + config.mixture().spelled());
        chips.add(
                config.data().dataset().equals(RunFile.EMBEDDED)
                        ? "embedded corpus"
                        : Path.of(config.data().dataset()).getFileName().toString());
        chips.add(run.domains().size() + " domains");
        chips.add(String.format(
                Locale.ROOT,
                "L%d H%d C%d T%d",
                config.model().layers(),
                config.model().heads(),
                config.model().width(),
                config.model().context()));
        chips.add(config.batch().sequences() + " sequences a step");
        chips.add(config.device() + ", " + config.precision().name().toLowerCase(Locale.ROOT));
        chips.add("seed " + config.seed());
        return chips;
    }

    private static double change(RunHistory run, int k) {
        return run.steps().getLast().mixture_K()[k] / run.steps().getFirst().mixture_K()[k] - 1;
    }

    /** The domain whose share moved most against its start; none if nothing moved. */
    private static Optional<Integer> strongest(RunHistory run) {
        int best = -1;
        double most = 1e-9;
        for (int k = 0; k < run.domains().size(); k++) {
            double moved = Math.abs(change(run, k));
            if (Double.isFinite(moved) && moved > most) {
                most = moved;
                best = k;
            }
        }
        return best < 0 ? Optional.empty() : Optional.of(best);
    }

    private void heading(String title, String lead) {
        html.append(Fragments.heading(title, lead));
    }

    private void mixture() {
        heading(
                "Mixture",
                "What share of each batch a domain got, and how that compares to the share it started with. "
                        + "A name shows or hides its domain.");
        for (int r = 0; r < runs.size(); r++) events(r);
        html.append(Fragments.domainLegend(domains)).append("<div class=\"columns\">\n");
        for (int r = 0; r < runs.size(); r++) chart(r, "mixture", "Share of the batch");
        for (int r = 0; r < runs.size(); r++) chart(r, "change", "Share against its start");
        html.append("</div>\n");
    }

    /** Bounds that were reached and changes that an operator made: what the curves below do not say of themselves. */
    private void events(int r) {
        List<String> events = Events.of(runs.get(r));
        if (events.isEmpty()) return;
        html.append("<ul class=\"events\">");
        for (String event : events)
            html.append("<li>")
                    .append(text(runs.size() > 1 ? names.get(r) + ": " + event : event))
                    .append("</li>");
        html.append("</ul>\n");
    }

    private void chart(int r, String kind, String caption) {
        html.append(Fragments.chart(r, kind, runs.size() > 1 ? names.get(r) : "", caption));
    }

    private void summary() {
        heading(
                "Domains",
                "Validation loss in nats a token and in bits a byte, which does not depend on the tokenizer; share of the "
                        + "first and the last batch; tokens drawn, and how often that is the domain's whole text.");
        html.append("<div class=\"card scroll\"><table>\n");
        if (runs.size() == 1) SummaryTable.of(runs.getFirst(), Fragments::swatch, html);
        else SummaryTable.sideBySide(runs, names, domains, Fragments::swatch, html);
        html.append("</table></div>\n");
    }

    private void losses() {
        heading(
                "Loss",
                "Nats a token. Lines are training loss, averaged over neighbouring steps; rings are validation.");
        runLegend();
        html.append("<figure class=\"card half\"><figcaption><b>Validation, all domains</b></figcaption>")
                .append("<div class=\"chart\" data-chart=\"means\"></div></figure>\n");
        html.append("<div class=\"multiples\">\n");
        for (int k = 0; k < domains.size(); k++) small(k, "loss", "");
        html.append("</div>\n");
    }

    private void runLegend() {
        if (runs.size() == 1) return;
        html.append("<div class=\"chips\" style=\"margin:0 0 14px\">");
        for (int r = 0; r < runs.size(); r++)
            html.append("<span>")
                    .append(runSwatch(r))
                    .append(text(names.get(r)))
                    .append("</span>");
        html.append("</div>\n");
    }

    private void fits() {
        if (runs.stream().allMatch(run -> run.fits().isEmpty())) return;
        heading(
                "Scaling laws",
                "The last fit of each domain, loss against the sequences that the policy's laws count: L(n) = ε + β n^−α over the points it was "
                        + "fitted to, and on to twice as many. Dashed where the policy does not act on it yet. In brackets and after "
                        + "potential (nats that the next e-fold of data takes off) 90 % intervals."
                        + (sharesCount() ? SHARES : ""));
        runLegend();
        for (int r = 0; r < runs.size(); r++)
            if (!runs.get(r).fits().isEmpty())
                html.append("<p class=\"lead\">")
                        .append(runs.size() == 1 ? "" : text(names.get(r)) + ": ")
                        .append(text(steered(runs.get(r).fits())))
                        .append("</p>\n");
        html.append("<div class=\"multiples\">\n");
        for (int k = 0; k < domains.size(); k++) {
            String domain = domains.get(k);
            List<String> laws = new ArrayList<>();
            for (RunHistory run : runs)
                run.fits().stream()
                        .filter(fit -> fit.domain().equals(domain))
                        .findFirst()
                        .ifPresent(fit -> laws.add(runs.size() == 1 ? law(fit) : exponent(fit)));
            small(k, "fit", String.join(", ", laws));
        }
        html.append("</div>\n");
    }

    private boolean sharesCount() {
        return runs.stream().flatMap(run -> run.fits().stream()).anyMatch(fit -> Double.isFinite(fit.shareGain()));
    }

    /** Which domains the policy acts on by their fits, and what the others lack. */
    private static String steered(List<RunHistory.Fit> fits) {
        List<String> by = new ArrayList<>(), not = new ArrayList<>();
        for (RunHistory.Fit fit : fits) {
            if (fit.ready()) by.add(fit.domain());
            else not.add(fit.domain() + " (" + (fit.reason().isEmpty() ? "no fit" : fit.reason()) + ")");
        }
        String sentence =
                by.isEmpty() ? "No domain is steered by its fit" : "Steered by their fits: " + String.join(", ", by);
        return sentence + (not.isEmpty() ? "." : "; not: " + String.join(", ", not) + ".");
    }

    /** With 90 % intervals where the fit tells them, and a reason unless it is the usual one. */
    private static String law(RunHistory.Fit fit) {
        String law = Double.isFinite(fit.alpha())
                ? String.format(
                                Locale.ROOT,
                                "ε %.2f%s  β %.3g  α %.3f",
                                fit.epsilon(),
                                epsilons(fit),
                                fit.beta(),
                                fit.alpha())
                        + potentials(fit)
                        + shareGain(fit)
                : "no law";
        return fit.reason().isEmpty() || fit.reason().equals("fitted") ? law : law + " · " + fit.reason();
    }

    private static String epsilons(RunHistory.Fit fit) {
        return Double.isFinite(fit.epsilonLow())
                ? String.format(Locale.ROOT, " (%.2f to %.2f)", fit.epsilonLow(), fit.epsilonHigh())
                : "";
    }

    private static String potentials(RunHistory.Fit fit) {
        return Double.isFinite(fit.potentialLow())
                ? String.format(Locale.ROOT, "  potential %.2g to %.2g", fit.potentialLow(), fit.potentialHigh())
                : "";
    }

    private static String shareGain(RunHistory.Fit fit) {
        return Double.isFinite(fit.shareGain()) ? String.format(Locale.ROOT, "  share %+.2g", fit.shareGain()) : "";
    }

    /** Of several runs there is room for what the policy acts on most: how fast the loss still falls. */
    private static String exponent(RunHistory.Fit fit) {
        return Double.isFinite(fit.alpha()) ? String.format(Locale.ROOT, "α %.3f", fit.alpha()) : "no law";
    }

    private void small(int k, String kind, String note) {
        html.append("<figure class=\"card\"><figcaption>")
                .append(swatch(k))
                .append("<b>")
                .append(text(domains.get(k)))
                .append("</b>");
        if (!note.isEmpty()) html.append("<span>").append(text(note)).append("</span>");
        html.append("</figcaption><div class=\"chart\" data-chart=\"")
                .append(kind)
                .append("\" data-domain=\"")
                .append(k)
                .append("\"></div></figure>\n");
    }

    private void time() {
        heading(
                "Time and schedule",
                "Milliseconds a step by phase, on a logarithmic scale: the step itself, making its batch, and updating "
                        + "the mixture.");
        html.append("<div class=\"columns half\">\n");
        for (int r = 0; r < runs.size(); r++) {
            Map<String, Double> seconds = runs.get(r).secondsByPhase();
            double total = seconds.get("total");
            chart(
                    r,
                    "phases",
                    "step " + Figures.percent(seconds.get("step") / total) + ", data "
                            + Figures.percent(seconds.get("data") / total) + ", mixture "
                            + Figures.percent(seconds.get("mixture") / total));
        }
        html.append("<figure class=\"card\"><figcaption><b>Learning rate</b></figcaption>")
                .append("<div class=\"chart\" data-chart=\"rate\"></div></figure>\n")
                .append(
                        "<figure class=\"card\"><figcaption><b>Gradient norm</b> <span>before the clip</span></figcaption>")
                .append("<div class=\"chart\" data-chart=\"norm\"></div></figure>\n</div>\n");
    }

    private void configs() {
        if (runs.stream().allMatch(run -> run.config().isEmpty())) return;
        heading("Configuration", "The run file as it was resolved: with it the run can be made again.");
        for (int r = 0; r < runs.size(); r++) {
            if (runs.get(r).config().isEmpty()) continue;
            html.append("<details class=\"card\"><summary>")
                    .append(text(names.get(r)))
                    .append("/run.yaml</summary><pre>")
                    .append(text(runs.get(r).config()))
                    .append("</pre></details>\n");
        }
    }
}
