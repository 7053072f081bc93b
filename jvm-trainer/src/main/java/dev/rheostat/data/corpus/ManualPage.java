package dev.rheostat.data.corpus;

import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** A manual page in troff's man macros as plain text: as much of them as the pages of a JDK use. */
final class ManualPage {
    private static final Pattern MACRO = Pattern.compile("\\.\\s*(\\S*)\\s*(.*)"),
            FONT = Pattern.compile("\\\\f(\\[[^]]*]|.)"),
            NAMED = Pattern.compile("\\\\\\[(\\w+)]|\\\\\\((..)");

    private ManualPage() {}

    static String text(String troff) {
        StringBuilder text = new StringBuilder();
        for (String line : troff.split("\\R")) {
            if (!line.startsWith(".") && !line.startsWith("'")) {
                text.append(inline(line)).append('\n');
                continue;
            }
            Matcher macro = MACRO.matcher(line);
            if (!macro.matches()) continue;
            String rest = inline(macro.group(2));
            switch (macro.group(1)) {
                case "SH", "SS" -> text.append('\n').append(unquoted(rest)).append('\n');
                case "PP", "P", "LP", "TP" -> text.append('\n');
                case "IP" -> text.append(rest.startsWith("•") ? "\n• " : "\n");
                case "B", "I", "R", "BR", "IR", "RB", "RI", "BI", "IB" ->
                    text.append(unquoted(rest)).append('\n');
                default -> {}
            }
        }
        return text.toString().replaceAll("\\n{3,}", "\n\n").strip() + "\n";
    }

    private static String unquoted(String text) {
        return text.replace("\"", "");
    }

    private static String inline(String line) {
        String text = FONT.matcher(line).replaceAll("");
        text = NAMED.matcher(text)
                .replaceAll(name ->
                        Matcher.quoteReplacement(character(name.group(1) == null ? name.group(2) : name.group(1))));
        return text.replace("\\-", "-")
                .replace("\\&", "")
                .replace("\\ ", " ")
                .replace("\\~", " ")
                .replace("\\e", "\\")
                .replace("\\'", "'")
                .replace("\\`", "`");
    }

    private static String character(String name) {
        return switch (name) {
            case "aq" -> "'";
            case "dq" -> "\"";
            case "lq" -> "“";
            case "rq" -> "”";
            case "oq" -> "‘";
            case "cq" -> "’";
            case "bu" -> "•";
            case "em" -> "—";
            case "en" -> "–";
            case "co" -> "©";
            case "ha" -> "^";
            case "ti" -> "~";
            case "ga" -> "`";
            case "rs" -> "\\";
            case "at" -> "@";
            case "sh" -> "#";
            case "Do" -> "$";
            default -> "";
        };
    }
}
