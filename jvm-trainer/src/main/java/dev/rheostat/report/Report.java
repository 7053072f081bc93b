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
import java.util.ArrayList;
import java.util.List;

/**
 * One self-contained page about one run, or several side by side: it loads nothing, so it opens from a disk, a mail or a
 * server alike. The charts are drawn in the reader's browser by Apache ECharts, whose bundle is part of the page.
 */
public final class Report {
    private static final String ECHARTS = "/META-INF/resources/_static/echarts/5.6.0/dist/echarts.common.min.js";

    private Report() {}

    /**
     * Reads the run folders and writes the page, whole or not at all.
     * @throws RheostatException BAD_REQUEST for a folder that is none of a run, DAMAGED for a metrics file that cannot be
     *     read, MACHINE if the page cannot be written
     */
    public static void write(List<Path> runFolders, Path out) {
        List<RunHistory> runs = runFolders.stream().map(RunHistory::read).toList();
        String page = page(runs, names(runs, runFolders));
        Path half = out.resolveSibling(out.getFileName() + ".half");
        try {
            Path folder = out.toAbsolutePath().getParent();
            Files.createDirectories(folder);
            Files.writeString(half, page);
            Files.move(half, out, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        } catch (IOException e) {
            throw new RheostatException(Kind.MACHINE, out + ": the report cannot be written: " + e.getMessage(), e);
        }
    }

    /** Folder names; where two are alike, the paths as given. */
    private static List<String> names(List<RunHistory> runs, List<Path> folders) {
        List<String> names = new ArrayList<>();
        for (int r = 0; r < runs.size(); r++) {
            String name = runs.get(r).name();
            boolean alone = runs.stream().filter(run -> run.name().equals(name)).count() == 1;
            names.add(alone ? name : folders.get(r).toString());
        }
        return names;
    }

    static String page(List<RunHistory> runs, List<String> names) {
        String title = runs.size() == 1 ? names.getFirst() : runs.size() + " runs";
        String data;
        try {
            data = new ObjectMapper().writeValueAsString(ReportData.of(runs, names));
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
                        new Sections(runs, names).all(),
                        Html.inScript(data),
                        resource(ECHARTS).strip(),
                        resource("/dev/rheostat/report/report.js"));
    }

    private static String resource(String path) {
        try (InputStream in = Report.class.getResourceAsStream(path)) {
            if (in == null) throw new AssertionError("not on the class path: " + path);
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
