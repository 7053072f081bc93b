package dev.rheostat.config;

import java.util.Collection;
import java.util.Comparator;
import java.util.Locale;
import java.util.Optional;

/** What somebody who wrote a wrong name probably meant. */
public final class Names {
    private Names() {}

    /**
     * The valid name that takes the fewest edits (insert, delete, replace, swap of neighbours) to reach, case, '-' and '_'
     * set aside; the first of several; none if more than a third of the letters would have to change.
     */
    public static Optional<String> nearest(String written, Collection<String> valid) {
        return valid.stream()
                .filter(name -> distance(written, name) <= Math.max(2, name.length() / 3))
                .min(Comparator.comparingInt(name -> distance(written, name)));
    }

    /** "; did you mean NAME?" or, with nothing near, "; known are A, B, C". */
    public static String hint(String written, Collection<String> valid) {
        return nearest(written, valid)
                .map(name -> "; did you mean " + name + "?")
                .orElse("; known are " + String.join(", ", valid));
    }

    /** Edits between two names, as {@link #nearest} counts them. */
    static int distance(String one, String other) {
        String a = plain(one), b = plain(other);
        int[][] edits = new int[a.length() + 1][b.length() + 1];
        for (int i = 0; i <= a.length(); i++) {
            for (int j = 0; j <= b.length(); j++) {
                if (i == 0 || j == 0) {
                    edits[i][j] = i + j;
                    continue;
                }
                int replaced = a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1;
                edits[i][j] =
                        Math.min(Math.min(edits[i - 1][j] + 1, edits[i][j - 1] + 1), edits[i - 1][j - 1] + replaced);
                boolean swapped =
                        i > 1 && j > 1 && a.charAt(i - 1) == b.charAt(j - 2) && a.charAt(i - 2) == b.charAt(j - 1);
                if (swapped) edits[i][j] = Math.min(edits[i][j], edits[i - 2][j - 2] + 1);
            }
        }
        return edits[a.length()][b.length()];
    }

    private static String plain(String name) {
        return name.toLowerCase(Locale.ROOT).replace("-", "").replace("_", "");
    }
}
