package dev.rheostat.data;

import com.fasterxml.jackson.databind.ObjectMapper;
import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RheostatException.Kind;
import dev.rheostat.data.DatasetIndex.DomainIndex;
import dev.rheostat.data.DatasetIndex.ShardIndex;
import dev.rheostat.data.DatasetIndex.Split;
import dev.rheostat.data.UnitWriter.UnitResult;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.stream.Stream;

/**
 * Text to token shards. Documents are tokenised by many threads and written in the order they are read, so a dataset's bytes
 * are the same whatever the number of threads. The work is cut into units, a source file each; what is done of a unit is
 * written to OUT.partial, and a unit that is finished is not done again when the command is started anew. OUT appears by one
 * rename.
 */
public final class Prepare {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final String UNITS = ".units";

    private Prepare() {}

    /**
     * @param domainField dotted path of the field that names a line's domain; empty where folders do
     * @param textField dotted path of the text
     * @param validationShare of documents, dealt by a hash of their text, where a domain has no files of its own for it
     * @param maxBadShare of a source file's lines that may be unreadable before it is refused
     */
    public record Request(
            List<Path> sources,
            Path out,
            Tokenizer tokenizer,
            Optional<String> domainField,
            String textField,
            double validationShare,
            double maxBadShare,
            int threads) {
        public Request {
            share("--validation-share", validationShare);
            share("--max-bad-share", maxBadShare);
            if (threads < 1) throw new RheostatException(Kind.BAD_REQUEST, "--threads: " + threads + " is not above 0");
        }

        private static void share(String option, double share) {
            if (!(share >= 0 && share < 1))
                throw new RheostatException(Kind.BAD_REQUEST, option + ": " + share + " is not in [0, 1)");
        }

        /** What a finished unit depends on besides its files. */
        String settings() {
            return tokenizer.name() + " " + domainField + " " + textField + " " + validationShare;
        }
    }

    /** Hears how it goes, on the thread that called. */
    public interface Listener {
        /** @param doneBytes of source files, as on the disk */
        default void progress(long doneBytes, long totalBytes) {}

        /** A document that was passed over. @param place file and line */
        default void bad(String place, String why) {}
    }

    /**
     * @return number of documents that were passed over, those of earlier, unfinished calls included
     * @throws RheostatException BAD_REQUEST if there is nothing to prepare, a domain is empty or OUT holds something else;
     *     DAMAGED naming the file that cannot be read; MACHINE if OUT cannot be written. What was finished before stays.
     */
    public static long run(Request request, Listener listener) {
        List<Sources.Unit> units =
                Sources.find(request.sources(), request.domainField().isPresent());
        checkOut(request.out());
        Path partial = request.out().resolveSibling(request.out().getFileName() + ".partial");
        try (ExecutorService workers = Executors.newFixedThreadPool(request.threads())) {
            List<UnitResult> results = units(request, listener, units, partial, workers);
            DatasetIndex index = index(request, results);
            index.write(partial);
            publish(partial, request.out());
            return results.stream().mapToLong(UnitResult::bad).sum();
        } catch (IOException | UncheckedIOException e) {
            throw new RheostatException(Kind.MACHINE, "cannot write " + partial + ": " + e.getMessage(), e);
        }
    }

    private static List<UnitResult> units(
            Request request, Listener listener, List<Sources.Unit> units, Path partial, ExecutorService workers)
            throws IOException {
        long totalBytes = 0, doneBytes = 0;
        for (Sources.Unit unit : units) totalBytes += unit.bytes();
        Files.createDirectories(partial.resolve(UNITS));
        List<UnitResult> results = new ArrayList<>();
        for (int u = 0; u < units.size(); u++) {
            Sources.Unit unit = units.get(u);
            Path done = partial.resolve(UNITS).resolve(u + ".json");
            String key = key(request, unit);
            UnitResult result = finished(done, key);
            if (result == null) {
                long before = doneBytes, total = totalBytes;
                result = new UnitWriter(request, listener, partial, u, workers)
                        .write(unit, key, read -> listener.progress(before + read, total));
                Path half = done.resolveSibling(u + ".half");
                JSON.writeValue(half.toFile(), result);
                Files.move(half, done, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
            }
            results.add(result);
            doneBytes += unit.bytes();
            listener.progress(doneBytes, totalBytes);
        }
        return results;
    }

    private static String key(Request request, Sources.Unit unit) throws IOException {
        StringBuilder key = new StringBuilder(request.settings())
                .append(' ')
                .append(unit.domain())
                .append(unit.validation())
                .append(unit.hashed());
        for (Path file : unit.files())
            key.append(' ')
                    .append(file.toAbsolutePath())
                    .append(' ')
                    .append(Files.size(file))
                    .append(' ')
                    .append(Files.getLastModifiedTime(file).toMillis());
        return key.toString();
    }

    private static UnitResult finished(Path done, String key) throws IOException {
        if (!Files.exists(done)) return null;
        UnitResult result = JSON.readValue(done.toFile(), UnitResult.class);
        return result.key().equals(key) ? result : null;
    }

    private static DatasetIndex index(Request request, List<UnitResult> results) {
        Map<String, DomainIndex> domains = new TreeMap<>();
        for (UnitResult result : results)
            for (UnitWriter.WrittenShard shard : result.shards()) {
                DomainIndex domain = domains.computeIfAbsent(
                        shard.domain(),
                        name -> new DomainIndex(name, new Split(new ArrayList<>()), new Split(new ArrayList<>())));
                (shard.validation() ? domain.valid() : domain.train()).shards().add(shard.index());
            }
        for (DomainIndex domain : domains.values())
            if (domain.train().sum(ShardIndex::documents) == 0)
                throw new RheostatException(
                        Kind.BAD_REQUEST,
                        "domain " + domain.name() + " is empty: it has no training document; bring text for it or leave"
                                + " it out");
        for (UnitResult result : results)
            if (!result.domain().isEmpty() && !domains.containsKey(result.domain()))
                throw new RheostatException(
                        Kind.BAD_REQUEST, "domain " + result.domain() + " is empty: its files hold no document");
        return new DatasetIndex(DatasetIndex.FORMAT, request.tokenizer().name(), List.copyOf(domains.values()));
    }

    private static void checkOut(Path out) {
        try {
            if (!Files.exists(out) || Files.exists(out.resolve(DatasetIndex.FILE))) return;
            if (Files.isDirectory(out))
                try (Stream<Path> entries = Files.list(out)) {
                    if (entries.findAny().isEmpty()) return;
                }
        } catch (IOException e) {
            throw new RheostatException(Kind.MACHINE, "cannot read " + out + ": " + e.getMessage(), e);
        }
        throw new RheostatException(
                Kind.BAD_REQUEST, "--out: " + out + " is there and is no dataset: give another name");
    }

    /** The old dataset steps aside, the new one takes its place; whatever a kill leaves is tidied up by the next call. */
    private static void publish(Path partial, Path out) throws IOException {
        Path old = out.resolveSibling(out.getFileName() + ".old");
        Trees.delete(old);
        if (Files.exists(out)) Files.move(out, old, StandardCopyOption.ATOMIC_MOVE);
        Files.move(partial, out, StandardCopyOption.ATOMIC_MOVE);
        Trees.delete(out.resolve(UNITS));
        Trees.delete(old);
    }
}
