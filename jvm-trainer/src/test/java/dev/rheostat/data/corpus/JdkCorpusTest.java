package dev.rheostat.data.corpus;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.ObjectMapper;
import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RheostatException.Kind;
import dev.rheostat.data.DatasetFolder;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class JdkCorpusTest {
    private static final Path JDK = Path.of(System.getProperty("java.home"));

    @TempDir
    private Path folder;

    @Test
    void commentsGoAndWhatLooksLikeOneInsideALiteralStays() {
        JavaText text = JavaText.parse("""
                /* licence */
                package x; // trailing
                /** Doc of A. */
                class A {
                    String a = "// no comment /* none */", b = "say \\"hi\\" \\u00e4\\n"; /* c */ char q = '"', r = '\\'';

                    // alone


                    String t = \"""
                        /** text block */ "x" \""";
                }
                """);
        assertEquals("""
                package x;

                class A {
                    String a = "// no comment /* none */", b = "say \\"hi\\" \\u00e4\\n";  char q = '"', r = '\\'';

                    String t = \"""
                        /** text block */ "x" \""";
                }
                """, text.code());
        assertEquals(List.of(" Doc of A. "), text.javadoc());
        assertEquals(List.of("// no comment /* none */", "say \"hi\" ä\n"), text.literals());
    }

    @Test
    void unfinishedCommentsAndLiteralsEndWithTheSource() {
        assertEquals("a\n", JavaText.parse("a /* never closed").code());
        assertEquals("a \"open\n", JavaText.parse("a \"open").code());
        assertEquals("b\n", JavaText.parse("b // last").code());
    }

    @Test
    void proseOfACommentIsWhatAReaderSees() {
        assertEquals(
                "Returns the x of a list; see the docs or List.of(int, int).\nA second paragraph, a < b & c.\nAn item.\n",
                JavaText.prose("""

                         * Returns the {@code x} of a <b>list</b>; see {@link java.util.List the
                         * docs} or {@link List#of(int, int)}.
                         *
                         * <p>A second paragraph, {@literal a &lt; b} &amp; c.
                         * <pre> code {@code here} </pre>
                         * <ul><li>An item.</ul>
                         * @param x not prose
                         * @return nor this
                        """));
    }

    @Test
    void aManualPageLosesItsMacros() {
        assertEquals("""
                NAME
                jar - it's "an archive" with options

                SYNOPSIS
                jar [OPTION ...]

                • an item
                --bold and italic
                """, ManualPage.text("""
                .\\" a comment
                .TH "JAR" "1"
                .SH NAME
                jar \\- it\\(aqs \\[dq]an archive\\[dq] with \\f[I]options\\f[R]
                .SH "SYNOPSIS"
                \\f[CR]jar\\f[R] [\\f[I]OPTION\\f[R] ...]
                .IP \\(bu 2
                an item
                .B \\-\\-bold
                and \\fIitalic\\fP
                """).replace("--bold\nand", "--bold and"));
    }

    @Test
    void aJdkWithoutSourcesIsToldWithACure() throws IOException {
        Files.createDirectories(folder.resolve("lib"));
        Files.createSymbolicLink(folder.resolve("lib/src.zip"), folder.resolve("nowhere.zip"));
        RheostatException refusal = assertThrows(
                RheostatException.class, () -> EmbeddedCorpus.dataset(folder, folder.resolve("cache"), note -> {}));
        assertEquals(Kind.MACHINE, refusal.kind());
        assertTrue(
                refusal.getMessage().contains("lib/src.zip")
                        && refusal.getMessage().contains("rheostat prepare"),
                refusal.getMessage());
    }

    @Test
    void theRunningJdkGivesEightDomainsTheSameEveryTime() throws IOException {
        assumeTrue(Files.isRegularFile(JDK.resolve("lib/src.zip")), "the running JDK ships no lib/src.zip");
        Map<String, Long> bytes = JdkCorpus.write(JDK, folder.resolve("one"));
        JdkCorpus.write(JDK, folder.resolve("two"));
        assertTrue(bytes.size() >= 7, "domains: " + bytes); // eight where the JDK has manual pages
        for (String domain : bytes.keySet()) {
            assertTrue(bytes.get(domain) > 100_000, domain + ": " + bytes);
            for (String split : List.of("train.jsonl", "valid.jsonl")) {
                Path one = folder.resolve("one").resolve(domain).resolve(split);
                assertEquals(
                        -1,
                        Files.mismatch(
                                one, folder.resolve("two").resolve(domain).resolve(split)),
                        one.toString());
            }
            List<String> train = texts(folder.resolve("one").resolve(domain).resolve("train.jsonl")),
                    valid = texts(folder.resolve("one").resolve(domain).resolve("valid.jsonl"));
            Set<String> seen = new HashSet<>(train);
            assertEquals(train.size(), seen.size(), domain + ": a document twice");
            for (String text : valid) assertTrue(seen.add(text), domain + ": a validation document was trained on");
            long validBytes = valid.stream()
                    .mapToLong(text -> text.getBytes(StandardCharsets.UTF_8).length)
                    .sum();
            assertTrue(validBytes >= 20_000, domain + ": " + validBytes);
        }
        assertTrue(String.join("", texts(folder.resolve("one/messages_ja/train.jsonl")))
                .contains("です"));
        assertTrue(String.join("", texts(folder.resolve("one/messages_de/train.jsonl")))
                .contains("für"));
        String code = String.join("", texts(folder.resolve("one/java_code/train.jsonl")));
        assertTrue(!code.contains("DO NOT ALTER OR REMOVE COPYRIGHT NOTICES"), "comments are gone");
    }

    @Test
    void theDatasetIsMadeOnceAndKept() {
        assumeTrue(Files.isRegularFile(JDK.resolve("lib/src.zip")), "the running JDK ships no lib/src.zip");
        List<String> notes = new ArrayList<>();
        Path made = EmbeddedCorpus.dataset(JDK, folder.resolve("cache"), notes::add);
        assertEquals(made, EmbeddedCorpus.dataset(JDK, folder.resolve("cache"), notes::add));
        assertEquals(1, notes.size(), notes.toString());
        try (DatasetFolder dataset = DatasetFolder.open(made)) {
            dataset.verify();
        }
    }

    private static List<String> texts(Path jsonl) throws IOException {
        List<String> texts = new ArrayList<>();
        for (String line : Files.readAllLines(jsonl))
            texts.add(new ObjectMapper().readTree(line).get("text").textValue());
        return texts;
    }
}
