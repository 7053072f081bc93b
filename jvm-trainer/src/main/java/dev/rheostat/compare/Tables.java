package dev.rheostat.compare;

import dev.rheostat.compare.Comparison.Tokens;
import dev.rheostat.compare.Table.Cell;
import dev.rheostat.compare.Table.RowsAre;
import dev.rheostat.report.Figures;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/** A comparison in tables. What their columns mean is docs/compare.md's. */
final class Tables {
    /** Half of the last digit of a percentage. */
    private static final double LEAST_SHOWN = 5e-5;

    private static final String NONE = "–";

    private final Comparison c;

    private Tables(Comparison comparison) {
        c = comparison;
    }

    static List<Table> of(Comparison comparison) {
        Tables tables = new Tables(comparison);
        return List.of(
                tables.losses(
                        "Final loss",
                        "Validation nats a token after the last step",
                        Measure.FINAL_TARGET,
                        Measure.FINAL_EVEN),
                tables.losses(
                        "Loss over the whole run",
                        "Mean of the validation curve, nats a token",
                        Measure.CURVE_TARGET,
                        Measure.CURVE_EVEN),
                tables.tokens(),
                tables.domains("Final loss by domain", Measure.FINAL_TARGET),
                tables.domains("Loss over the whole run by domain", Measure.CURVE_TARGET),
                tables.shares());
    }

    /** "−0.0123 ± 0.0045": a difference in nats; without its interval where one value makes none. */
    static Cell difference(Interval difference) {
        String text = signed(difference.mean());
        if (!difference.exists()) return Cell.of(text);
        return new Cell(
                text + String.format(Locale.ROOT, " ± %.4f", difference.halfWidth()),
                difference.excludesZero() ? (int) Math.signum(difference.mean()) : 0);
    }

    static String signed(double nats) {
        String size = String.format(Locale.ROOT, "%.4f", Math.abs(nats));
        return size.equals("0.0000") ? size : (nats < 0 ? "−" : "+") + size;
    }

    private Table losses(String title, String lead, Measure byTarget, Measure even) {
        List<List<Cell>> rows = new ArrayList<>();
        for (String policy : c.policies())
            rows.add(List.of(
                    Cell.of(String.valueOf(c.seeds(policy))),
                    Cell.of(Figures.nats(c.mean(policy, byTarget))),
                    against(policy, byTarget),
                    Cell.of(Figures.nats(c.mean(policy, even))),
                    against(policy, even)));
        String against = "against " + c.baseline();
        return new Table(
                title,
                lead + "; differences are to " + c.baseline() + " of the same seed, with 95 % intervals over seeds.",
                RowsAre.POLICIES,
                List.of("policy", "seeds", "by target", against, "mean over domains", against),
                c.policies(),
                rows);
    }

    private Cell against(String policy, Measure measure) {
        return policy.equals(c.baseline()) ? Cell.of(NONE) : difference(c.difference(policy, measure));
    }

    private Table tokens() {
        List<List<Cell>> rows = new ArrayList<>();
        for (String policy : c.policies())
            rows.add(List.of(
                    Cell.of(tokens(policy, true)),
                    Cell.of(tokens(policy, false)),
                    Cell.of(percent(c.mixtureCost(policy)))));
        return new Table(
                "Tokens and cost",
                "Tokens until the loss is " + c.baseline()
                        + "'s final one of the same seed, as a share of all its tokens, "
                        + "and the share of a step's time that the mixture took.",
                RowsAre.POLICIES,
                List.of("policy", "tokens, by target", "tokens, mean over domains", "mixture's share of time"),
                c.policies(),
                rows);
    }

    private String tokens(String policy, boolean byTarget) {
        Optional<Tokens> reached = c.tokensToBaseline(policy, byTarget);
        int seeds = c.seeds(policy);
        if (reached.isEmpty()) return "not reached by any of " + seeds;
        Tokens tokens = reached.get();
        if (tokens.unreached() == 0) return percent(tokens.share());
        return Figures.percent(tokens.share().mean()) + ", not reached by " + tokens.unreached() + " of " + seeds;
    }

    private static String percent(Interval share) {
        String mean = Figures.percent(share.mean());
        // Shares that a policy fixes differ by rounding alone.
        return share.halfWidth() > LEAST_SHOWN ? mean + " ± " + Figures.percent(share.halfWidth()) : mean;
    }

    private Table domains(String title, Measure measure) {
        List<String> head = new ArrayList<>(List.of("domain", "target", c.baseline()));
        head.addAll(c.others());
        List<List<Cell>> rows = new ArrayList<>();
        for (int k = 0; k < c.domains().size(); k++) {
            List<Cell> row = new ArrayList<>();
            row.add(Cell.of(Figures.percent(c.target_K()[k])));
            row.add(Cell.of(Figures.nats(c.mean(c.baseline(), measure, k))));
            for (String policy : c.others()) row.add(difference(c.difference(policy, measure, k)));
            rows.add(row);
        }
        return new Table(
                title,
                "Nats a token of " + c.baseline() + ", and the others' paired differences to it.",
                RowsAre.DOMAINS,
                head,
                c.domains(),
                rows);
    }

    private Table shares() {
        List<String> head = new ArrayList<>(List.of("domain"));
        head.addAll(c.policies());
        List<List<Cell>> rows = new ArrayList<>();
        for (int k = 0; k < c.domains().size(); k++) {
            List<Cell> row = new ArrayList<>();
            for (String policy : c.policies()) row.add(Cell.of(percent(c.meanShare(policy, k))));
            rows.add(row);
        }
        return new Table(
                "Mixture by domain",
                "Mean share of the batches over all steps and seeds, with 95 % intervals over seeds where seeds differ.",
                RowsAre.DOMAINS,
                head,
                c.domains(),
                rows);
    }
}
