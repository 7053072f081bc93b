package dev.rheostat.compare;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rheostat.report.Curves;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** Every figure worked out by hand: two domains of weights 0.75 and 0.25, validated after 0, 10, 20 and 40 steps of 100 tokens. */
class ComparisonTest {
    private static final double[] TARGET_K = {0.75, 0.25};

    private static RunResult run(double[]... nats_VK) {
        return new RunResult(
                List.of("a", "b"),
                new long[] {0, 10, 20, 40},
                new double[] {0, 1000, 2000, 4000},
                nats_VK,
                new double[] {0},
                new double[][] {{0.5, 0.5}},
                new double[] {0.5, 0.5},
                0.01);
    }

    /** A run whose domains end at these losses. */
    private static RunResult ending(double a, double b) {
        return run(new double[] {8, 8}, new double[] {4, 6}, new double[] {3, 4}, new double[] {a, b});
    }

    private static Map<Long, RunResult> seeds(RunResult... runs) {
        Map<Long, RunResult> seeds = new LinkedHashMap<>();
        for (RunResult run : runs) seeds.put(seeds.size() + 1L, run);
        return seeds;
    }

    private static Comparison compare(Map<String, Map<Long, RunResult>> runs) {
        return new Comparison("natural", TARGET_K, runs, List.of());
    }

    @Test
    void theCurvesMeanIsItsAreaFromTheFirstValidationAfterAStep() {
        RunResult run = ending(2, 2);
        // a: (10 * (4 + 3) / 2 + 20 * (3 + 2) / 2) / 30 = 85 / 30; b: (10 * 5 + 20 * 3) / 30.
        assertArrayEquals(new double[] {85 / 30.0, 110 / 30.0}, run.curveNats_K(), 1e-15);
        assertArrayEquals(new double[] {2, 2}, run.finalNats_K());
        assertArrayEquals(new double[] {8, 4.5, 3.25, 2}, run.curve_V(TARGET_K), 1e-15);
    }

    @Test
    void tokensToALossAreReadOffStraightLines() {
        RunResult run = ending(2, 2);
        assertEquals(1000, run.tokensTo(4.5, TARGET_K), 1e-9);
        // From 3.25 at 2000 tokens to 2 at 4000: 3 lies a fifth of the way down.
        assertEquals(2400, run.tokensTo(3, TARGET_K), 1e-9);
        assertEquals(0, run.tokensTo(9, TARGET_K));
        assertTrue(Double.isNaN(run.tokensTo(1.9, TARGET_K)));
    }

    @Test
    void aDomainWithoutValidationTextCountsInNoMean() {
        assertEquals(3, Curves.mean(new double[] {3, Double.NaN}, TARGET_K));
    }

    @Test
    void differencesArePairedBySeed() {
        Comparison c = compare(Map.of(
                "natural", seeds(ending(2, 2), ending(3, 3), ending(4, 4)),
                "ado", seeds(ending(1.9, 2), ending(2.8, 3), ending(3.7, 4))));
        // By target -0.075, -0.15, -0.225: mean -0.15, s 0.075; seeds themselves differ by 1.
        Interval difference = c.difference("ado", Measure.FINAL_TARGET);
        assertEquals(-0.15, difference.mean(), 1e-12);
        assertEquals(4.302652730 * 0.075 / Math.sqrt(3), difference.halfWidth(), 1e-9);
        assertEquals(-0.1, c.difference("ado", Measure.FINAL_EVEN).mean(), 1e-12);
        assertEquals(-0.2, c.difference("ado", Measure.FINAL_TARGET, 0).mean(), 1e-12);
        assertEquals(0, c.difference("ado", Measure.FINAL_TARGET, 1).mean());
        assertEquals(3, c.mean("natural", Measure.FINAL_TARGET), 1e-12);
        // The last trapezoid alone differs: half of it, 20 of 30 steps.
        assertEquals(-0.15 / 3, c.difference("ado", Measure.CURVE_TARGET).mean(), 1e-12);
    }

    @Test
    void tokensToTheBaselineAreASharePerSeed() {
        Comparison c =
                compare(Map.of("natural", seeds(ending(3, 3), ending(2, 2)), "ado", seeds(ending(2, 2), ending(2, 3))));
        Comparison.Tokens byTarget = c.tokensToBaseline("ado", true).orElseThrow();
        assertEquals(0.6, byTarget.share().mean(), 1e-12); // 2400 of 4000 tokens; the other ends above
        assertEquals(1, byTarget.unreached());
        assertEquals(
                1, c.tokensToBaseline("natural", true).orElseThrow().share().mean(), 1e-12);
        Comparison worse = compare(Map.of("natural", seeds(ending(2, 2)), "ado", seeds(ending(2.5, 2.5))));
        assertTrue(worse.tokensToBaseline("ado", false).isEmpty());
    }

    @Test
    void aWinnerIsNamedOnlyWhereNoIntervalOverlaps() {
        RunResult natural = ending(2, 2);
        Map<String, Map<Long, RunResult>> runs = new LinkedHashMap<>();
        runs.put("natural", seeds(natural, natural, natural));
        runs.put("clear", seeds(ending(1.50, 2), ending(1.51, 2), ending(1.49, 2)));
        runs.put("middle", seeds(ending(1.80, 2), ending(1.81, 2), ending(1.79, 2)));
        assertEquals("winner: clear", compare(runs).verdict(Measure.FINAL_TARGET));
        runs.put("noisy", seeds(ending(1.3, 2), ending(1.9, 2), ending(1.7, 2)));
        assertEquals(
                "no winner: the interval of clear, whose mean is lowest, overlaps that of noisy",
                compare(runs).verdict(Measure.FINAL_TARGET));
        runs.put("wild", seeds(ending(1, 2), ending(2, 2), ending(1.2, 2)));
        assertEquals(
                "no winner: the interval of wild, whose mean is lowest, overlaps those of natural, clear, middle, noisy",
                compare(runs).verdict(Measure.FINAL_TARGET));
    }

    @Test
    void theBaselineCanWin() {
        Map<String, Map<Long, RunResult>> runs = new LinkedHashMap<>();
        runs.put("natural", seeds(ending(2, 2), ending(2, 2)));
        runs.put("worse", seeds(ending(2.5, 2), ending(2.51, 2)));
        assertEquals("winner: natural", compare(runs).verdict(Measure.FINAL_TARGET));
        runs.put("same", seeds(ending(2, 2), ending(2, 2)));
        assertEquals(
                "no winner: the interval of natural, whose mean is lowest, overlaps that of same",
                compare(runs).verdict(Measure.FINAL_TARGET));
    }

    @Test
    void oneSeedNamesNoWinner() {
        Map<String, Map<Long, RunResult>> runs = new LinkedHashMap<>();
        runs.put("natural", seeds(ending(2, 2), ending(2, 2)));
        assertEquals("no winner: there is one policy", compare(runs).verdict(Measure.FINAL_TARGET));
        runs.put("single", seeds(ending(1, 1)));
        assertEquals("no winner: one seed makes no interval", compare(runs).verdict(Measure.FINAL_TARGET));
        assertEquals(
                "−1.0000",
                Tables.difference(compare(runs).difference("single", Measure.FINAL_TARGET))
                        .text());
        runs.put("two", seeds(ending(1, 1), ending(1, 1)));
        assertEquals(
                "no winner: one seed makes no interval, and these have no more: single",
                compare(runs).verdict(Measure.FINAL_TARGET));
    }

    @Test
    void whatAnIntervalTellsIsMarked() {
        assertEquals(new Table.Cell("−0.0100 ± 0.0050", -1), Tables.difference(new Interval(-0.01, 0.005, 3)));
        assertEquals(new Table.Cell("+0.0100 ± 0.0050", 1), Tables.difference(new Interval(0.01, 0.005, 3)));
        assertEquals(new Table.Cell("+0.0100 ± 0.0200", 0), Tables.difference(new Interval(0.01, 0.02, 3)));
        assertEquals("0.0000", Tables.signed(-1e-6));
    }

    @Test
    void namesAreEscapedInBothForms() {
        Table table = new Table(
                "t",
                "l",
                Table.RowsAre.DOMAINS,
                List.of("domain", "x"),
                List.of("a|<b>_*"),
                List.of(List.of(new Table.Cell("1", -1))));
        assertTrue(table.markdown().contains("| a\\|\\<b>\\_\\* | **1** |\n"), table.markdown());
        assertTrue(table.html().contains("a|&lt;b&gt;_*"), table.html());
    }
}
