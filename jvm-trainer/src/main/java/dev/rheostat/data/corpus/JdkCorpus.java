package dev.rheostat.data.corpus;

import com.fasterxml.jackson.databind.ObjectMapper;
import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RheostatException.Kind;
import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.UnaryOperator;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import java.util.zip.CRC32C;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;

/**
 * Real text of a JDK, cut into domains of different kind and size, as a source folder for prepare: code without comments and
 * Javadoc prose of a sample of its classes, messages of its localised resource bundles by language, licence texts, manual
 * pages. The same JDK gives the same bytes.
 */
final class JdkCorpus {
    private static final ObjectMapper JSON = new ObjectMapper();

    /** Sources are taken in the order of a hash of their names until the two domains made of them have so many bytes. */
    private static final long CODE_BYTES = 4_000_000, JAVADOC_BYTES = 3_000_000;

    /** Of a domain's bytes go to validation: a tenth, and never so little that its loss would be noise. */
    private static final double VALIDATION_SHARE = 0.1;

    private static final long LEAST_VALIDATION_BYTES = 20_000;
    private static final int MESSAGES_A_DOCUMENT = 40, LEAST_DOCUMENT_CHARACTERS = 200;

    /** Bundles of a JDK by the suffix of their class names. */
    private static final Map<String, String> LANGUAGES = Map.of("de", "de", "ja", "ja", "zh", "zh_CN");

    /** Tables of names rather than messages. */
    private static final Pattern NAME_TABLES =
            Pattern.compile(".*/(FormatData|TimeZoneNames|LocaleNames|CurrencyNames|CollationData)[^/]*");

    private static final Pattern LOCALISED = Pattern.compile("(.*)_(de|ja|zh_CN|es|fr|it|ko|pt_BR|sv|zh_TW)\\.java");

    private JdkCorpus() {}

    /**
     * Writes {@code folder/DOMAIN/train.jsonl} and {@code valid.jsonl}, a document a line in field "text".
     * @return bytes of text by domain
     * @throws RheostatException MACHINE if the JDK ships no sources
     */
    static Map<String, Long> write(Path jdkHome, Path folder) throws IOException {
        Path sources = jdkHome.resolve("lib").resolve("src.zip");
        if (!Files.isRegularFile(sources))
            throw new RheostatException(
                    Kind.MACHINE,
                    "the JDK in " + jdkHome
                            + " ships no lib/src.zip, of which the embedded corpus is made: install a JDK that"
                            + " does (Temurin 25, or your system's package of JDK sources), or bring text: rheostat prepare");
        Map<String, Collection<String>> domains = new LinkedHashMap<>();
        try (ZipFile zip = new ZipFile(sources.toFile())) {
            List<ZipEntry> entries = zip.stream()
                    .filter(entry -> entry.getName().endsWith(".java"))
                    .map(entry -> (ZipEntry) entry)
                    .sorted(Comparator.comparingLong((ZipEntry entry) -> hash(entry.getName()))
                            .thenComparing(ZipEntry::getName))
                    .toList();
            classes(zip, entries, domains);
            messages(zip, entries, domains);
        }
        domains.put("licences", files(jdkHome.resolve("legal"), text -> text));
        domains.put("manual", files(jdkHome.resolve("man").resolve("man1"), ManualPage::text));
        Map<String, Long> bytes = new LinkedHashMap<>();
        for (Map.Entry<String, Collection<String>> domain : domains.entrySet()) {
            List<String> documents = domain.getValue().stream()
                    .filter(text -> !text.isBlank())
                    .distinct()
                    .toList();
            if (!documents.isEmpty()) bytes.put(domain.getKey(), write(folder.resolve(domain.getKey()), documents));
        }
        return bytes;
    }

    private static void classes(ZipFile zip, List<ZipEntry> entries, Map<String, Collection<String>> domains)
            throws IOException {
        List<String> code = new ArrayList<>(), javadoc = new ArrayList<>();
        long codeBytes = 0, javadocBytes = 0;
        for (ZipEntry entry : entries) {
            if (codeBytes >= CODE_BYTES && javadocBytes >= JAVADOC_BYTES) break;
            if (LOCALISED.matcher(entry.getName()).matches() || entry.getName().startsWith("jdk.localedata/")) continue;
            JavaText source = JavaText.parse(read(zip, entry));
            if (codeBytes < CODE_BYTES && source.code().length() >= LEAST_DOCUMENT_CHARACTERS) {
                code.add(source.code());
                codeBytes += source.code().length();
            }
            StringBuilder prose = new StringBuilder();
            for (String comment : source.javadoc())
                prose.append(JavaText.prose(comment)).append('\n');
            String text = prose.toString().replaceAll("\\n{3,}", "\n\n").strip();
            if (javadocBytes < JAVADOC_BYTES && text.length() >= LEAST_DOCUMENT_CHARACTERS) {
                javadoc.add(text + "\n");
                javadocBytes += text.length();
            }
        }
        domains.put("java_code", code);
        domains.put("javadoc", javadoc);
    }

    /** English from the bundles that were translated, so that the languages say the same things. */
    private static void messages(ZipFile zip, List<ZipEntry> entries, Map<String, Collection<String>> domains)
            throws IOException {
        Set<String> bases = new HashSet<>();
        for (ZipEntry entry : entries) {
            Matcher name = LOCALISED.matcher(entry.getName());
            if (name.matches() && !NAME_TABLES.matcher(name.group(1)).matches()) bases.add(name.group(1));
        }
        List<String> sorted = bases.stream().sorted().toList();
        domains.put("messages_en", messages(zip, sorted, ""));
        for (String language : LANGUAGES.keySet().stream().sorted().toList())
            domains.put("messages_" + language, messages(zip, sorted, "_" + LANGUAGES.get(language)));
    }

    private static List<String> messages(ZipFile zip, List<String> bases, String suffix) throws IOException {
        List<String> documents = new ArrayList<>();
        Set<String> seen = new HashSet<>();
        for (String base : bases) {
            ZipEntry entry = zip.getEntry(base + suffix + ".java");
            if (entry == null) continue;
            List<String> fresh = JavaText.parse(read(zip, entry)).literals().stream()
                    .filter(JdkCorpus::isMessage)
                    .map(String::strip)
                    .filter(seen::add)
                    .toList();
            for (int i = 0; i < fresh.size(); i += MESSAGES_A_DOCUMENT)
                documents.add(String.join("\n", fresh.subList(i, Math.min(fresh.size(), i + MESSAGES_A_DOCUMENT)))
                        + "\n");
        }
        return documents;
    }

    /** Keys of a bundle have neither blanks nor letters of another script. */
    private static boolean isMessage(String literal) {
        return literal.strip().indexOf(' ') > 0 || literal.chars().anyMatch(c -> c > 0x7f);
    }

    private static List<String> files(Path root, UnaryOperator<String> clean) throws IOException {
        if (!Files.isDirectory(root)) return List.of();
        List<Path> files;
        try (Stream<Path> walk = Files.walk(root, java.nio.file.FileVisitOption.FOLLOW_LINKS)) {
            files = walk.filter(Files::isRegularFile).sorted().toList();
        }
        List<String> texts = new ArrayList<>();
        for (Path file : files) texts.add(clean.apply(new String(Files.readAllBytes(file), StandardCharsets.UTF_8)));
        return texts;
    }

    private static String read(ZipFile zip, ZipEntry entry) throws IOException {
        return new String(zip.getInputStream(entry).readAllBytes(), StandardCharsets.UTF_8);
    }

    /** Validation is the documents whose hash is least, as many as it takes. */
    private static long write(Path folder, List<String> documents) throws IOException {
        long total = 0;
        for (String document : documents) total += bytes(document);
        long wanted = Math.max(LEAST_VALIDATION_BYTES, (long) (VALIDATION_SHARE * total));
        List<String> byHash = documents.stream()
                .sorted(Comparator.comparingLong(JdkCorpus::hash).thenComparing(Comparator.naturalOrder()))
                .toList();
        Set<String> validation = new HashSet<>();
        long taken = 0;
        for (String document : byHash) {
            if (taken >= wanted) break;
            validation.add(document);
            taken += bytes(document);
        }
        Files.createDirectories(folder);
        try (BufferedWriter train = Files.newBufferedWriter(folder.resolve("train.jsonl"));
                BufferedWriter valid = Files.newBufferedWriter(folder.resolve("valid.jsonl"))) {
            for (String document : documents) {
                BufferedWriter split = validation.contains(document) ? valid : train;
                split.write(JSON.writeValueAsString(Map.of("text", document)));
                split.write('\n');
            }
        }
        return total;
    }

    private static long bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8).length;
    }

    private static long hash(String text) {
        CRC32C crc = new CRC32C();
        crc.update(text.getBytes(StandardCharsets.UTF_8));
        return crc.getValue();
    }
}
