package dev.rheostat.data.corpus;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;

/**
 * A Java source taken apart: code without comments, documentation comments, string literals.
 * @param literals values of string literals, escapes decoded, in their order; text blocks are left out
 */
record JavaText(String code, List<String> javadoc, List<String> literals) {
    private static final Pattern BLANK_LINES = Pattern.compile("(?m)(^[ \\t]*\\R){2,}"),
            TRAILING_BLANKS = Pattern.compile("(?m)[ \\t]+$");
    private static final Pattern STARS = Pattern.compile("(?m)^[ \\t]*\\*+[ \\t]?"),
            BLOCK_TAGS = Pattern.compile("(?ms)^[ \\t]*@\\w.*"),
            CODE_BLOCKS = Pattern.compile("(?s)<pre>.*?</pre>"),
            INLINE_TAG = Pattern.compile("\\{@(\\w+)\\s*([^{}]*)}"),
            HTML = Pattern.compile("(?s)</?[a-zA-Z][^>]*>|<!--.*?-->"),
            ANY_BLANKS = Pattern.compile("[ \\t]*\\R[ \\t]*");

    static JavaText parse(String source) {
        StringBuilder code = new StringBuilder(source.length());
        List<String> javadoc = new ArrayList<>(), literals = new ArrayList<>();
        int i = 0, n = source.length();
        while (i < n) {
            if (source.startsWith("//", i)) {
                i = endOf(source, "\n", i, 0);
            } else if (source.startsWith("/*", i)) {
                int end = endOf(source, "*/", i + 2, 2);
                if (source.startsWith("/**", i) && end - i > 5) javadoc.add(source.substring(i + 3, end - 2));
                i = end;
            } else if (source.startsWith("\"\"\"", i)) {
                int end = endOf(source, "\"\"\"", i + 3, 3);
                code.append(source, i, end);
                i = end;
            } else if (source.charAt(i) == '"' || source.charAt(i) == '\'') {
                int end = endOfQuoted(source, i);
                if (source.charAt(i) == '"' && end - i >= 2) literals.add(unescape(source.substring(i + 1, end - 1)));
                code.append(source, i, end);
                i = end;
            } else {
                code.append(source.charAt(i++));
            }
        }
        String tidy = BLANK_LINES
                .matcher(TRAILING_BLANKS.matcher(code).replaceAll(""))
                .replaceAll("\n");
        return new JavaText(tidy.strip() + "\n", javadoc, literals);
    }

    private static int endOf(String source, String mark, int from, int length) {
        int at = source.indexOf(mark, from);
        return at < 0 ? source.length() : at + length;
    }

    private static int endOfQuoted(String source, int start) {
        char quote = source.charAt(start);
        for (int i = start + 1; i < source.length(); i++) {
            char c = source.charAt(i);
            if (c == '\\') i++;
            else if (c == quote || c == '\n') return i + 1;
        }
        return source.length();
    }

    /** The value of a literal: JLS 3.10.7 and 3.3. */
    static String unescape(String literal) {
        StringBuilder text = new StringBuilder(literal.length());
        for (int i = 0; i < literal.length(); i++) {
            char c = literal.charAt(i);
            if (c != '\\' || i + 1 == literal.length()) {
                text.append(c);
                continue;
            }
            c = literal.charAt(++i);
            switch (c) {
                case 'n' -> text.append('\n');
                case 't' -> text.append('\t');
                case 'r', 'b', 'f', 's' -> text.append(' ');
                case 'u' -> {
                    while (i + 1 < literal.length() && literal.charAt(i + 1) == 'u') i++;
                    if (i + 4 < literal.length()) text.append((char) Integer.parseInt(literal, i + 1, i + 5, 16));
                    i += 4;
                }
                default -> text.append(c);
            }
        }
        return text.toString();
    }

    /** The prose of a documentation comment: no stars, block tags, HTML or code blocks; a paragraph a line. */
    static String prose(String comment) {
        String text = STARS.matcher(comment).replaceAll("");
        text = BLOCK_TAGS.matcher(text).replaceAll("");
        text = CODE_BLOCKS.matcher(text).replaceAll("");
        for (String before = ""; !before.equals(text); ) { // tags lie inside each other
            before = text;
            text = INLINE_TAG
                    .matcher(text)
                    .replaceAll(tag -> java.util.regex.Matcher.quoteReplacement(label(tag.group(1), tag.group(2))));
        }
        text = text.replaceAll("(?i)<p>|</p>|<li>|<br>|<h\\d[^>]*>", "\n\n");
        text = HTML.matcher(text).replaceAll("");
        text = text.replace("&lt;", "<")
                .replace("&gt;", ">")
                .replace("&quot;", "\"")
                .replace("&nbsp;", " ")
                .replace("&#64;", "@")
                .replace("&amp;", "&");
        StringBuilder paragraphs = new StringBuilder();
        for (String paragraph : text.split("\\R\\s*\\R")) {
            String line = ANY_BLANKS.matcher(paragraph.strip()).replaceAll(" ");
            if (!line.isEmpty()) paragraphs.append(line).append('\n');
        }
        return paragraphs.toString();
    }

    /** What a reader sees of an inline tag. */
    private static String label(String tag, String content) {
        String text = content.strip();
        if (!tag.startsWith("link") && !tag.equals("index")) return tag.equals("inheritDoc") ? "" : text;
        int space = text.indexOf(' ', text.indexOf(')') + 1);
        return space < 0 ? text.replace('#', '.').replaceFirst("^\\.", "") : text.substring(space + 1);
    }
}
