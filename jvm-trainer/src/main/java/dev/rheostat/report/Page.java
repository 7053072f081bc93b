package dev.rheostat.report;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RheostatException.Kind;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Map;

/**
 * A self-contained page: it loads nothing, so it opens from a disk, a mail or a server alike. The charts are drawn in the
 * reader's browser by Apache ECharts, whose bundle is part of the page, from the data beside them.
 */
public final class Page {
    private static final String ECHARTS = "/META-INF/resources/_static/echarts/5.6.0/dist/echarts.common.min.js";

    private Page() {}

    /** Writes a page whole or not at all. @throws RheostatException MACHINE if it cannot be written */
    public static void write(Path out, String html) {
        Path half = out.resolveSibling(out.getFileName() + ".half");
        try {
            Files.createDirectories(out.toAbsolutePath().getParent());
            Files.writeString(half, html);
            Files.move(half, out, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        } catch (IOException e) {
            throw new RheostatException(Kind.MACHINE, out + ": the page cannot be written: " + e.getMessage(), e);
        }
    }

    /**
     * @param body HTML between the title and the footer, with a {@code data-chart} element for each chart
     * @param data what report.js draws the charts from: {@code domains}, and {@code runs} with a name, steps, and the series of
     *     the charts that the body has
     */
    public static String html(String title, String body, Map<String, Object> data) {
        String json;
        try {
            json = new ObjectMapper().writeValueAsString(data);
        } catch (JsonProcessingException e) {
            throw new AssertionError(e);
        }
        return """
                <!doctype html>
                <html lang="en">
                <head>
                <meta charset="utf-8">
                <meta name="viewport" content="width=device-width, initial-scale=1">
                <title>%s – Rheostat</title>
                <link rel="icon" href="data:,">
                <style>
                %s</style>
                </head>
                <body>
                <header class="top"><div><div class="brand">Rheostat</div><h1>%s</h1></div><button id="theme" type="button">Dark</button></header>
                <main>
                <noscript><p class="lead">The charts need JavaScript; the tables below do not.</p></noscript>
                %s</main>
                <script type="application/json" id="data">%s</script>
                <script>
                %s
                </script>
                <script>
                %s</script>
                </body>
                </html>
                """.formatted(
                        Html.text(title),
                        resource("/dev/rheostat/report/report.css"),
                        Html.text(title),
                        body,
                        Html.inScript(json),
                        resource(ECHARTS).strip(),
                        resource("/dev/rheostat/report/report.js"));
    }

    private static String resource(String path) {
        try (InputStream in = Page.class.getResourceAsStream(path)) {
            if (in == null) throw new AssertionError("not on the class path: " + path);
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
