package dev.rheostat.report;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RheostatException.Kind;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ReportTest {
    private static final List<String> DOMAINS =
            List.of("java-code", "legal & more", "<script>alert(1)</script>", "日本語");

    @TempDir
    private static Path folder;

    private static Path adaptive;
    private static Path natural;
    private static Path one;
    private static Path two;

    @BeforeAll
    static void makeRunsAndReports() throws IOException {
        adaptive = SyntheticRun.write(folder.resolve("adaptive"), DOMAINS, 300, "schedule: {steps: 300}", 1);
        natural = SyntheticRun.write(
                folder.resolve("natural"), DOMAINS, 1300, "mixture: {policy: natural}\nschedule: {steps: 1300}", 2);
        one = folder.resolve("one.html");
        two = folder.resolve("two.html");
        Report.write(List.of(adaptive), one);
        Report.write(List.of(adaptive, natural), two);
    }

    private static String withoutScripts(Path report) throws IOException {
        return Files.readString(report).replaceAll("(?s)<script.*?</script>", "");
    }

    @Test
    void thePageLoadsNothing() throws IOException {
        for (Path report : List.of(one, two)) {
            String page = withoutScripts(report);
            // The icon is empty data, so that a server is not asked for one either.
            assertFalse(
                    Pattern.compile("(?i)(src|href|srcset|action|data|poster)\\s*=\\s*[\"']?(?!data:,)[^\"'>\\s]*[:/]")
                            .matcher(page)
                            .find(),
                    page);
            assertFalse(page.contains("url("), "a style that loads");
            assertFalse(page.contains("@import"), "a style that loads");
            String scripts = Files.readString(report);
            assertFalse(
                    scripts.contains("fetch(") || scripts.contains("XMLHttpRequest") || scripts.contains("import("));
        }
    }

    @Test
    void everyDomainHasItsRowAndItsCharts() throws IOException {
        for (Path report : List.of(one, two)) {
            String page = withoutScripts(report);
            for (int k = 0; k < DOMAINS.size(); k++) {
                String name = Html.text(DOMAINS.get(k));
                assertTrue(
                        page.contains("<th><i class=\"swatch\" data-swatch=\"" + k + "\"></i>" + name + "</th>"), name);
                assertTrue(page.contains("data-chart=\"loss\" data-domain=\"" + k + "\""), name);
                assertTrue(page.contains("data-chart=\"fit\" data-domain=\"" + k + "\""), name);
            }
        }
    }

    @Test
    void thePageSaysWhichDomainsTheirFitsSteerAndWhatTheOthersLack() throws IOException {
        String page = withoutScripts(one), lacking = Html.text(DOMAINS.get(1));
        assertTrue(page.contains("Steered by their fits: " + Html.text(DOMAINS.get(0)) + ", "), page);
        assertTrue(page.contains("; not: " + lacking + " (12 bins of 20)."), page);
        assertTrue(page.contains("  potential 0.030 to 0.050"), page);
        assertTrue(page.contains("  potential 0.030 to 0.050  share -0.045"), page);
        assertTrue(page.contains("After share: nats that"), page);
        assertTrue(withoutScripts(two).contains("adaptive: Steered by their fits: "));
    }

    @Test
    void everyRunHasItsColumnAndItsCharts() throws IOException {
        String page = withoutScripts(two);
        for (int r = 0; r < 2; r++) {
            String name = List.of("adaptive", "natural").get(r);
            assertTrue(page.contains("<th class=\"first\" colspan=\"4\">" + name + "</th>"), name);
            for (String chart : List.of("mixture", "change", "phases"))
                assertTrue(page.contains("data-chart=\"" + chart + "\" data-run=\"" + r + "\""), name + " " + chart);
            assertTrue(page.contains("<summary>" + name + "/run.yaml</summary>"), name);
        }
    }

    @Test
    void namesAreEscapedWhereverTheyStand() throws IOException {
        String page = Files.readString(one);
        assertFalse(page.contains("<script>alert(1)"), "a domain's name opened a tag");
        assertTrue(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
        assertTrue(page.contains("legal &amp; more"));
        assertEquals("\\u003c/script>\\u2028", Html.inScript("</script>\u2028"));
        assertEquals("&#39;a&quot;", Html.text("'a\""));
    }

    @Test
    void theDrawnSeriesAreTheRunsOwn() throws IOException {
        String page = Files.readString(two);
        String json = page.substring(page.indexOf("id=\"data\">") + 10);
        JsonNode data = new ObjectMapper().readTree(json.substring(0, json.indexOf("</script>")));
        JsonNode shortRun = data.get("runs").get(0), longRun = data.get("runs").get(1);
        assertEquals(300, shortRun.get("step").size());
        assertEquals(434, longRun.get("step").size(), "1300 steps, three to a point");
        assertEquals(1, longRun.get("step").get(0).asDouble(), "the middle of steps 0 to 2");
        JsonNode first = new ObjectMapper()
                .readTree(Files.readAllLines(adaptive.resolve("metrics.jsonl")).getFirst());
        for (String domain : DOMAINS)
            assertEquals(
                    first.get("mixture").get(domain).asDouble(),
                    shortRun.get("mixture").get(domain).get(0).asDouble(),
                    1e-6);
        assertEquals(4, shortRun.get("fits").size());
        assertEquals(11, shortRun.get("validation").get("step").size());
    }

    @Test
    void averagesAreWeightedAndSkipWhatIsMissing() {
        double[] values = {1, Double.NaN, 3, 5, 7};
        double[] weights = {1, 1, 3, 1, 0};
        assertArrayEquals(
                new double[] {1, (3 * 3 + 5) / 4.0, Double.NaN},
                Curves.means(new int[] {0, 2, 4, 5}, i -> values[i], i -> weights[i]));
        assertArrayEquals(new int[] {0, 1, 2, 3}, Curves.edges(3));
        assertEquals(Curves.MOST_POINTS + 1, Curves.edges(10 * Curves.MOST_POINTS).length);
        double[] ones = {1, 1, 1, 1, 1, 1, 1};
        assertArrayEquals(ones, Curves.smooth(ones, ones, 3), 1e-15);
        // i = 3 reaches one to each side: weights 1, 2, 1.
        assertEquals((2 + 2 * 8 + 4) / 4.0, Curves.smooth(new double[] {0, 0, 2, 8, 4}, ones, 3)[3]);
    }

    @Test
    void figuresReadWell() {
        assertEquals("950", Figures.count(950));
        assertEquals("1.00k", Figures.count(1000));
        assertEquals("12.3k", Figures.count(12_345));
        assertEquals("1.00M", Figures.count(999_900));
        assertEquals("123M", Figures.count(123_000_000));
        assertEquals("8.4 s", Figures.duration(8.4));
        assertEquals("3 min 20 s", Figures.duration(200));
        assertEquals("5 h 07 min", Figures.duration(5 * 3600 + 7 * 60 + 2));
        assertEquals("−12.5 %", Figures.signedPercent(-0.125));
        assertEquals("±0.0 %", Figures.signedPercent(-1e-5));
        assertEquals("–", Figures.nats(Double.NaN));
    }

    @Test
    void aKilledRunsCutLastLineIsPassedOver(@TempDir Path copies) throws IOException {
        Path cut = SyntheticRun.write(copies.resolve("cut"), DOMAINS, 20, "", 3);
        Files.writeString(cut.resolve("metrics.jsonl"), "{\"step\":20,\"lear", StandardOpenOption.APPEND);
        assertEquals(20, RunHistory.read(cut).steps().size());
    }

    @Test
    void damagedMetricsAreRefusedWithFileLineAndField(@TempDir Path copies) throws IOException {
        Path run = SyntheticRun.write(copies.resolve("run"), DOMAINS, 5, "", 3);
        Path metrics = run.resolve("metrics.jsonl");
        List<String> lines = Files.readAllLines(metrics);
        assertRefused(
                metrics, lines.get(0) + "\n{\"step\": \n" + lines.get(1) + "\n", run, Kind.DAMAGED, ":2: not JSON: ");
        assertRefused(metrics, lines.get(0) + "\n[]\n", run, Kind.DAMAGED, ":2: not a JSON object");
        assertRefused(
                metrics,
                lines.get(0).replace("\"learningRate\"", "\"lr\"") + "\n",
                run,
                Kind.DAMAGED,
                ":1: field learningRate is missing or not a number");
        assertRefused(metrics, "", run, Kind.BAD_REQUEST, ": no step in it yet, so there is nothing to report");
        Path none = copies.resolve("none");
        RheostatException refused = assertThrows(RheostatException.class, () -> RunHistory.read(none));
        assertTrue(refused.getMessage().startsWith(none + ": no run folder"), refused.getMessage());
    }

    private static void assertRefused(Path file, String content, Path run, Kind kind, String after) throws IOException {
        Files.writeString(file, content);
        RheostatException refused = assertThrows(RheostatException.class, () -> RunHistory.read(run));
        assertEquals(kind, refused.kind());
        assertTrue(refused.getMessage().startsWith(file + after), refused.getMessage());
    }

    /** What a browser made of the page: its elements after the scripts ran. */
    private static String drawn(Path report, Path profile) throws IOException, InterruptedException {
        Path chromium = Stream.of("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome")
                .map(Path::of)
                .filter(Files::isExecutable)
                .findFirst()
                .orElse(null);
        assumeTrue(chromium != null, "no Chromium is installed, so the report was not opened in a browser");
        Path dom = profile.resolve("dom.html");
        Process process = new ProcessBuilder(
                        chromium.toString(),
                        "--headless",
                        "--no-sandbox",
                        "--disable-gpu",
                        "--no-first-run",
                        "--disable-background-networking",
                        "--disable-component-update",
                        "--disable-sync",
                        "--user-data-dir=" + profile,
                        "--window-size=1280,2000",
                        "--virtual-time-budget=3000",
                        "--dump-dom",
                        report.toUri().toString())
                .redirectOutput(dom.toFile())
                .redirectError(ProcessBuilder.Redirect.DISCARD)
                .start();
        boolean ended = process.waitFor(60, TimeUnit.SECONDS);
        if (!ended) process.destroyForcibly();
        assertTrue(ended, "Chromium did not end");
        return Files.readString(dom);
    }

    @Test
    void aBrowserDrawsEveryChart(@TempDir Path profile) throws Exception {
        String dom = drawn(two, profile);
        int charts = 3 + 3 * 2 + 2 * DOMAINS.size(); // means, rate, norm; three for each run, two for each domain
        assertTrue(dom.contains("data-drawn=\"" + charts + "\""), "the script did not reach its end");
        assertEquals(charts, Pattern.compile("<canvas ").matcher(dom).results().count());
    }
}
