package dev.rheostat.data.corpus;

import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RheostatException.Kind;
import dev.rheostat.data.Prepare;
import dev.rheostat.data.Tokenizers;
import dev.rheostat.data.Trees;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;

/** The dataset that needs no data: {@link JdkCorpus} of the running JDK, in bytes, made once and kept in the user's cache. */
public final class EmbeddedCorpus {
    /** Raised when the making changes, so that an older corpus is not taken for this one. */
    private static final int VERSION = 1;

    private EmbeddedCorpus() {}

    /**
     * The dataset's folder; made if it is not there yet.
     * @param note is told that it is being made, and of what
     * @throws RheostatException MACHINE if the JDK ships no sources or the cache cannot be written
     */
    public static Path dataset(Consumer<String> note) {
        return dataset(Path.of(System.getProperty("java.home")), cacheFolder(), note);
    }

    static Path dataset(Path jdkHome, Path cache, Consumer<String> note) {
        String jdk = (System.getProperty("java.vendor.version") + "-" + Runtime.version())
                .replaceAll("[^A-Za-z0-9.+]+", "-");
        Path dataset = cache.resolve(jdk + "-" + VERSION);
        if (Files.exists(dataset.resolve("dataset.json"))) return dataset;
        try {
            Files.createDirectories(cache);
            make(jdkHome, cache, dataset, note);
        } catch (IOException | UncheckedIOException e) {
            throw new RheostatException(
                    Kind.MACHINE, "the embedded corpus cannot be made in " + cache + ": " + e.getMessage(), e);
        }
        return dataset;
    }

    /** One process at a time: another that wants the same waits, and finds it made. */
    private static void make(Path jdkHome, Path cache, Path dataset, Consumer<String> note) throws IOException {
        try (FileChannel channel =
                        FileChannel.open(cache.resolve("lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
                FileLock lock = channel.lock()) {
            if (!lock.isValid() || Files.exists(dataset.resolve("dataset.json"))) return;
            note.accept("making the embedded corpus from the JDK in " + jdkHome + " (once, kept in " + dataset + ")");
            Path text = Files.createTempDirectory(cache, "text-");
            try {
                JdkCorpus.write(jdkHome, text);
                prepare(text, dataset);
            } finally {
                Trees.delete(text);
            }
        }
    }

    private static void prepare(Path text, Path dataset) {
        Prepare.run(
                new Prepare.Request(
                        List.of(text),
                        dataset,
                        Tokenizers.byName("bytes"),
                        Optional.empty(),
                        "text",
                        0,
                        0,
                        Runtime.getRuntime().availableProcessors()),
                new Prepare.Listener() {});
    }

    private static Path cacheFolder() {
        String cache = System.getenv("XDG_CACHE_HOME"), home = System.getenv("HOME");
        Path base = cache != null && cache.startsWith("/")
                ? Path.of(cache)
                : home != null && home.startsWith("/") && Files.isWritable(Path.of(home))
                        ? Path.of(home, ".cache")
                        : Path.of(System.getProperty("java.io.tmpdir"), "rheostat-" + System.getProperty("user.name"));
        return base.resolve("rheostat").resolve("corpus");
    }
}
