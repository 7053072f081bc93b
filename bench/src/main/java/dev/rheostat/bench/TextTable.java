package dev.rheostat.bench;

import java.util.ArrayList;
import java.util.List;

/** Rows of text under their heads; the first column to the left, the others, numbers, to the right. */
final class TextTable {
    private final List<String[]> rows = new ArrayList<>();

    TextTable(String... heads) {
        rows.add(heads);
    }

    /** @param cells as many as there are heads */
    void row(String... cells) {
        if (cells.length != rows.getFirst().length)
            throw new IllegalArgumentException(cells.length + " cells under " + rows.getFirst().length + " heads");
        rows.add(cells);
    }

    @Override
    public String toString() {
        int[] widths = new int[rows.getFirst().length];
        for (String[] row : rows) for (int i = 0; i < row.length; i++) widths[i] = Math.max(widths[i], row[i].length());
        StringBuilder text = new StringBuilder();
        for (String[] row : rows) {
            StringBuilder line = new StringBuilder();
            for (int i = 0; i < row.length; i++) {
                String spaces = " ".repeat(widths[i] - row[i].length());
                line.append(i == 0 ? row[i] + spaces : "  " + spaces + row[i]);
            }
            text.append(line.toString().stripTrailing()).append('\n');
        }
        return text.toString();
    }
}
