package dev.rheostat.report;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** One page about one run, or several side by side. */
public final class Report {
    private Report() {}

    /**
     * Reads the run folders and writes the page, whole or not at all.
     * @throws dev.rheostat.config.RheostatException BAD_REQUEST for a folder that is none of a run, DAMAGED for a metrics file that cannot be
     *     read, MACHINE if the page cannot be written
     */
    public static void write(List<Path> runFolders, Path out) {
        List<RunHistory> runs = runFolders.stream().map(RunHistory::read).toList();
        Page.write(out, page(runs, names(runs, runFolders)));
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
        return Page.html(title, new Sections(runs, names).all(), ReportData.of(runs, names));
    }
}
