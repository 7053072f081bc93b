package dev.rheostat.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.github.luben.zstd.ZstdOutputStream;
import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RheostatException.Kind;
import dev.rheostat.data.DatasetFolder.DomainFigures;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class PrepareTest {
    private static final ObjectMapper JSON = new ObjectMapper();

    @TempDir
    private Path folder;

    private Path sources;
    private Path out;

    @BeforeEach
    void folders() {
        sources = folder.resolve("text");
        out = folder.resolve("tokens");
    }

    private static List<String> documents(long seed, int count) {
        Random random = new Random(seed);
        List<String> all = new ArrayList<>();
        for (int i = 0; i < count; i++)
            all.add("Document " + i + " von " + seed + ": " + "größer 漢字 😀 ".repeat(random.nextInt(30)) + "end");
        return all;
    }

    private static byte[] jsonl(List<String> documents) throws IOException {
        StringBuilder lines = new StringBuilder();
        for (String document : documents)
            lines.append(JSON.writeValueAsString(Map.of("text", document))).append('\n');
        return lines.toString().getBytes(StandardCharsets.UTF_8);
    }

    private Path write(String file, byte[] bytes) throws IOException {
        Path path = sources.resolve(file);
        Files.createDirectories(path.getParent());
        try (OutputStream raw = Files.newOutputStream(path);
                OutputStream to = file.endsWith(".gz")
                        ? new GZIPOutputStream(raw)
                        : file.endsWith(".zst") ? new ZstdOutputStream(raw) : raw) {
            to.write(bytes);
        }
        return path;
    }

    private Prepare.Request request(String tokenizer, int threads, double validationShare, double maxBadShare) {
        return new Prepare.Request(
                List.of(sources),
                out,
                Tokenizers.byName(tokenizer),
                Optional.empty(),
                "text",
                validationShare,
                maxBadShare,
                threads);
    }

    private Prepare.Request request() {
        return request("bytes", 2, 0, 0);
    }

    private long prepare(Prepare.Request request) {
        return Prepare.run(request, new Prepare.Listener() {});
    }

    private RheostatException refused(Prepare.Request request) {
        return assertThrows(RheostatException.class, () -> prepare(request));
    }

    private static Map<String, byte[]> bytesOf(Path dataset) throws IOException {
        Map<String, byte[]> all = new TreeMap<>();
        try (Stream<Path> files = Files.walk(dataset)) {
            for (Path file : files.filter(Files::isRegularFile).toList())
                all.put(dataset.relativize(file).toString(), Files.readAllBytes(file));
        }
        return all;
    }

    private static void assertSameFiles(Map<String, byte[]> expected, Map<String, byte[]> actual) {
        assertEquals(expected.keySet(), actual.keySet());
        expected.forEach((file, bytes) -> assertArrayEquals(bytes, actual.get(file), file));
    }

    @ParameterizedTest
    @ValueSource(strings = {"bytes", "gpt2"})
    void everyKindOfFileReadsBackAsItsText(String tokenizer) throws IOException {
        Map<String, List<String>> texts = new TreeMap<>();
        for (String suffix : List.of(".jsonl", ".jsonl.gz", ".jsonl.zst")) {
            String domain = "d" + suffix.replace('.', '_');
            texts.put(domain, documents(suffix.length(), 50));
            write(domain + "/train" + suffix, jsonl(texts.get(domain)));
            write(domain + "/valid" + suffix, jsonl(documents(99, 3)));
        }
        texts.put("trees", List.of("first file\n", "second file", "third"));
        write("trees/a/1.txt", texts.get("trees").get(0).getBytes(StandardCharsets.UTF_8));
        write("trees/b/c/2.txt", texts.get("trees").get(1).getBytes(StandardCharsets.UTF_8));
        write("trees/d.txt", texts.get("trees").get(2).getBytes(StandardCharsets.UTF_8));
        write("trees/valid/v.txt", "validation".getBytes(StandardCharsets.UTF_8));
        assertEquals(0, prepare(request(tokenizer, 2, 0.5, 0)));
        try (DatasetFolder dataset = DatasetFolder.open(out)) {
            assertEquals(List.copyOf(texts.keySet()), dataset.tokens().names());
            dataset.verify();
            double shares = 0;
            for (int k = 0; k < texts.size(); k++) {
                List<String> documents = texts.get(dataset.tokens().names().get(k));
                DomainFigures figures = dataset.figures().get(k);
                assertEquals(String.join("", documents), dataset.sample(k, Integer.MAX_VALUE));
                assertEquals(documents.size(), figures.documents());
                long bytes = String.join("", documents).getBytes(StandardCharsets.UTF_8).length;
                assertEquals(bytes, figures.bytes());
                if (tokenizer.equals("bytes")) assertEquals(bytes + documents.size(), figures.tokens());
                assertEquals(k == 3 ? 1 : 3, figures.validDocuments());
                shares += figures.share();
            }
            assertEquals(1, shares, 1e-12);
        }
    }

    @Test
    void theNumberOfThreadsChangesNoByte() throws IOException {
        write("a/one.jsonl", jsonl(documents(1, 3000)));
        write("a/two.jsonl.gz", jsonl(documents(2, 1000)));
        write("b/one.jsonl", jsonl(documents(3, 500)));
        prepare(request("gpt2", 1, 0.1, 0));
        Map<String, byte[]> one = bytesOf(out);
        prepare(request("gpt2", 4, 0.1, 0));
        assertSameFiles(one, bytesOf(out));
    }

    @Test
    void aPrepareThatWasKilledGoesOnAndHasTheSameBytes() throws IOException {
        for (int f = 0; f < 6; f++) write("a/" + f + ".jsonl", jsonl(documents(f, 400)));
        prepare(request());
        Map<String, byte[]> whole = bytesOf(out);
        Trees.delete(out);
        class Kill extends RuntimeException {
            private static final long serialVersionUID = 1L;
        }
        assertThrows(
                Kill.class,
                () -> Prepare.run(request(), new Prepare.Listener() {
                    @Override
                    public void progress(long done, long total) {
                        if (done > total / 2) throw new Kill();
                    }
                }));
        assertFalse(Files.exists(out), "the dataset appears whole or not at all");
        Path finished = folder.resolve("tokens.partial/a/train-00001.bin");
        long written = Files.getLastModifiedTime(finished).toMillis();
        prepare(request());
        assertSameFiles(whole, bytesOf(out));
        assertEquals(
                written,
                Files.getLastModifiedTime(out.resolve("a/train-00001.bin")).toMillis(),
                "done once");
        assertFalse(Files.exists(folder.resolve("tokens.partial")));
    }

    @Test
    void aChangedSourceIsReadAgain() throws IOException {
        write("a/one.jsonl", jsonl(documents(1, 20)));
        prepare(request());
        write("a/one.jsonl", jsonl(documents(2, 30)));
        prepare(request());
        try (DatasetFolder dataset = DatasetFolder.open(out)) {
            assertEquals(30, dataset.figures().getFirst().documents());
        }
        assertFalse(Files.exists(folder.resolve("tokens.old")));
    }

    @Test
    void aFieldOfTheLineNamesItsDomain() throws IOException {
        StringBuilder lines = new StringBuilder();
        for (int i = 0; i < 400; i++)
            lines.append("{\"text\": \"text " + i + "\", \"meta\": {\"set\": \"" + (i % 4 == 0 ? "Wiki (en)" : "a/b")
                    + "\"}}\n");
        Path file = write("pile.jsonl", lines.toString().getBytes(StandardCharsets.UTF_8));
        prepare(new Prepare.Request(
                List.of(file), out, Tokenizers.byName("bytes"), Optional.of("meta.set"), "text", 0.2, 0, 2));
        try (DatasetFolder dataset = DatasetFolder.open(out)) {
            assertEquals(List.of("Wiki (en)", "a/b"), dataset.tokens().names());
            DomainFigures wiki = dataset.figures().getFirst(),
                    other = dataset.figures().getLast();
            assertEquals(100, wiki.documents() + wiki.validDocuments());
            assertEquals(300, other.documents() + other.validDocuments());
            // 400 draws of 0.2: four standard deviations are 32.
            assertEquals(80, wiki.validDocuments() + other.validDocuments(), 32);
        }
    }

    @Test
    void copiesOfATextLieInOneSplit() throws IOException {
        List<String> documents = new ArrayList<>();
        for (int copy = 0; copy < 10; copy++) documents.addAll(documents(5, 50));
        write("a/one.jsonl", jsonl(documents));
        prepare(request("bytes", 2, 0.3, 0));
        try (DatasetFolder dataset = DatasetFolder.open(out)) {
            DomainFigures a = dataset.figures().getFirst();
            assertEquals(0, a.validDocuments() % 10);
            assertTrue(a.validDocuments() > 0 && a.documents() > 0, a.toString());
        }
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "{\"text\": \"cut | malformed JSON",
                "[1, 2] | no JSON object",
                "{\"body\": \"x\"} | no text in field text",
                "{\"text\": 7} | no text in field text",
                "{\"text\": \"\"} | no text in field text"
            })
    void aBadLineIsPassedOverCountedAndToldAndTooManyAreRefused(String line, String why) throws IOException {
        byte[] good = jsonl(documents(1, 99));
        byte[] bytes =
                (new String(good, StandardCharsets.UTF_8) + line.strip() + "\n").getBytes(StandardCharsets.UTF_8);
        Path file = write("a/one.jsonl", bytes);
        List<String> told = new ArrayList<>();
        long bad = Prepare.run(request("bytes", 2, 0, 0.01), new Prepare.Listener() {
            @Override
            public void bad(String place, String reason) {
                told.add(place + " " + reason);
            }
        });
        assertEquals(1, bad);
        assertEquals(List.of(file + ":100 " + why.strip()), told);
        RheostatException refusal = refused(request("bytes", 2, 0, 0.009));
        assertEquals(Kind.DAMAGED, refusal.kind());
        assertTrue(
                refusal.getMessage().contains(file + ":100")
                        && refusal.getMessage().contains("--max-bad-share"),
                refusal.getMessage());
    }

    @Test
    void invalidUtf8IsABadLineAndABadTextFile() throws IOException {
        byte[] good = jsonl(documents(1, 9)), bytes = new byte[good.length + 14];
        System.arraycopy(good, 0, bytes, 0, good.length);
        byte[] bad = "{\"text\": \"\u0000\u0000\"}\n".getBytes(StandardCharsets.ISO_8859_1);
        bad[10] = (byte) 0xc3;
        bad[11] = (byte) 0x28;
        System.arraycopy(bad, 0, bytes, good.length, 14);
        Path file = write("a/one.jsonl", java.util.Arrays.copyOf(bytes, good.length + bad.length));
        RheostatException refusal = refused(request());
        assertTrue(refusal.getMessage().contains(file + ":10 (not valid UTF-8)"), refusal.getMessage());
        Files.delete(file);
        Path text = write("a/1.txt", new byte[] {'a', (byte) 0xff});
        assertTrue(refused(request()).getMessage().contains(text + " (not valid UTF-8)"));
    }

    @ParameterizedTest
    @ValueSource(strings = {".gz", ".zst"})
    void compressedDataThatEndsEarlyIsDamaged(String suffix) throws IOException {
        Path file = write("a/one.jsonl" + suffix, jsonl(documents(1, 2000)));
        byte[] whole = Files.readAllBytes(file);
        Files.write(file, java.util.Arrays.copyOf(whole, whole.length * 2 / 3));
        RheostatException refusal = refused(request());
        assertEquals(Kind.DAMAGED, refusal.kind());
        assertTrue(refusal.getMessage().startsWith(file + " cannot be read to its end"), refusal.getMessage());
    }

    @Test
    void anEmptyDomainIsNamed() throws IOException {
        write("a/one.jsonl", jsonl(documents(1, 5)));
        Files.createDirectories(sources.resolve("void"));
        RheostatException noFile = refused(request());
        assertEquals(Kind.BAD_REQUEST, noFile.kind());
        assertTrue(noFile.getMessage().startsWith("domain void is empty"), noFile.getMessage());
        write("void/one.jsonl", new byte[0]);
        assertTrue(refused(request()).getMessage().startsWith("domain void is empty"));
        Files.delete(sources.resolve("void/one.jsonl"));
        write("void/valid.jsonl", jsonl(documents(1, 5)));
        assertTrue(refused(request()).getMessage().contains("no training document"));
    }

    @Test
    void nothingToPrepareAndAForeignOutAreRefused() throws IOException {
        assertEquals(Kind.BAD_REQUEST, refused(request()).kind(), "no such folder");
        Files.createDirectories(sources);
        assertTrue(refused(request()).getMessage().contains("nothing to prepare"));
        write("a/one.jsonl", jsonl(documents(1, 5)));
        Files.createDirectories(out);
        Files.writeString(out.resolve("letter.txt"), "mine");
        assertTrue(refused(request()).getMessage().contains("is no dataset"));
        assertTrue(Files.exists(out.resolve("letter.txt")));
        assertThrows(RheostatException.class, () -> request("bytes", 2, 1.5, 0));
        assertThrows(RheostatException.class, () -> request("bytes", 0, 0, 0));
    }

    @Test
    void manyFilesKeepTheOrderOfTheirNames() throws IOException {
        for (int f = 9; f >= 0; f--) write("a/" + f + ".jsonl", jsonl(List.of("file " + f + ";")));
        prepare(request());
        try (DatasetFolder dataset = DatasetFolder.open(out)) {
            String expected = Stream.iterate(0, f -> f + 1)
                    .limit(10)
                    .map(f -> "file " + f + ";")
                    .collect(Collectors.joining());
            assertEquals(expected, dataset.sample(0, 1000));
        }
    }
}
