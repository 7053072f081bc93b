package dev.rheostat.ado;

import java.util.Collection;

/** The valid name that a mistyped one most likely meant. */
final class Names {
    private Names() {}

    /** "unknown WHAT 'given': did you mean 'nearest'? valid: a, b, c". */
    static IllegalArgumentException unknown(String what, String given, Collection<String> valid) {
        String nearest = "";
        int least = Integer.MAX_VALUE;
        for (String name : valid) {
            int distance = distance(given, name);
            if (distance < least) {
                least = distance;
                nearest = name;
            }
        }
        return new IllegalArgumentException("unknown " + what + " '" + given + "': did you mean '" + nearest
                + "'? valid: " + String.join(", ", valid));
    }

    /** Levenshtein distance, upper and lower case alike. */
    private static int distance(String a, String b) {
        int[] row = new int[b.length() + 1];
        for (int j = 0; j <= b.length(); j++) row[j] = j;
        for (int i = 1; i <= a.length(); i++) {
            int diagonal = row[0];
            row[0] = i;
            for (int j = 1; j <= b.length(); j++) {
                char x = Character.toLowerCase(a.charAt(i - 1)), y = Character.toLowerCase(b.charAt(j - 1));
                int replaced = diagonal + (x == y ? 0 : 1);
                diagonal = row[j];
                row[j] = Math.min(replaced, Math.min(row[j], row[j - 1]) + 1);
            }
        }
        return row[b.length()];
    }
}
