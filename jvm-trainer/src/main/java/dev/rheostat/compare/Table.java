package dev.rheostat.compare;

import dev.rheostat.report.Fragments;
import dev.rheostat.report.Html;
import java.util.ArrayList;
import java.util.List;

/**
 * A table that stands in a text and on a page alike.
 *
 * @param rowsAre what the first column names, which has a color on the page
 * @param head of every column, the first one's too
 * @param rows a cell for each column but the first, which is {@code names}
 */
record Table(String title, String lead, RowsAre rowsAre, List<String> head, List<String> names, List<List<Cell>> rows) {
    enum RowsAre {
        POLICIES,
        DOMAINS
    }

    /** @param tells 0, or the sign of a difference whose interval excludes 0: -1 is better */
    record Cell(String text, int tells) {
        static Cell of(String text) {
            return new Cell(text, 0);
        }
    }

    /** GitHub's Markdown: what an interval tells is in bold. */
    String markdown() {
        StringBuilder text = new StringBuilder("**" + title + ".** " + lead + "\n\n");
        text.append(line(head))
                .append("| --- |")
                .append(" --: |".repeat(head.size() - 1))
                .append('\n');
        for (int r = 0; r < rows.size(); r++) {
            List<String> cells = new ArrayList<>(List.of(escaped(names.get(r))));
            for (Cell cell : rows.get(r)) cells.add(cell.tells() == 0 ? cell.text() : "**" + cell.text() + "**");
            text.append(line(cells));
        }
        return text.toString();
    }

    private static String line(List<String> cells) {
        return "| " + String.join(" | ", cells) + " |\n";
    }

    private static String escaped(String name) {
        return name.replace("\\", "\\\\")
                .replace("|", "\\|")
                .replace("<", "\\<")
                .replace("*", "\\*")
                .replace("_", "\\_");
    }

    String html() {
        StringBuilder html = new StringBuilder(Fragments.heading(title, lead))
                .append("<div class=\"card scroll\"><table>\n<thead><tr>");
        for (String column : head) html.append("<th>").append(Html.text(column)).append("</th>");
        html.append("</tr></thead>\n<tbody>\n");
        for (int r = 0; r < rows.size(); r++) {
            html.append("<tr><th>")
                    .append(rowsAre == RowsAre.POLICIES ? Fragments.runSwatch(r) : Fragments.swatch(r))
                    .append(Html.text(names.get(r)))
                    .append("</th>");
            for (Cell cell : rows.get(r))
                html.append(cell.tells() == 0 ? "<td>" : cell.tells() < 0 ? "<td class=\"up\">" : "<td class=\"down\">")
                        .append(Html.text(cell.text()))
                        .append("</td>");
            html.append("</tr>\n");
        }
        return html.append("</tbody></table></div>\n").toString();
    }
}
