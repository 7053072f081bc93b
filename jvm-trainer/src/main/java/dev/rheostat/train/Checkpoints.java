package dev.rheostat.train;

import com.fasterxml.jackson.core.json.JsonReadFeature;
import com.fasterxml.jackson.core.json.JsonWriteFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RheostatException.Kind;
import dev.rheostat.data.Checksums;
import dev.rheostat.data.Trees;
import dev.rheostat.model.NamedTensor;
import dev.rheostat.op.Backend;
import dev.rheostat.op.Tensor;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.security.DigestOutputStream;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.function.Consumer;
import java.util.stream.Stream;

/**
 * The checkpoints of a run: folders named by the steps done, each made whole by one rename.
 *
 * <pre>
 * step-00000100/
 *   tensors.safetensors   weights, moments, counters
 *   state.json            what the run remembers besides: policy, sampler, filled slots, counters
 *   manifest.json         size and SHA-256 of the others; written last
 * </pre>
 *
 * Kept are the newest few and the best, by unweighted mean validation loss.
 */
public final class Checkpoints {
    private static final ObjectMapper JSON = JsonMapper.builder()
            .enable(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS)
            .disable(JsonWriteFeature.WRITE_NAN_AS_STRINGS)
            .disable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS)
            .build();
    private static final String PREFIX = "step-",
            TENSORS = "tensors.safetensors",
            STATE = "state.json",
            MANIFEST = "manifest.json",
            DISCARDED = ".discarded";

    /** Opens the files of a checkpoint that is being written; a test puts a full disk here. */
    @FunctionalInterface
    interface FileOpener {
        OutputStream create(Path file) throws IOException;
    }

    private final Path folder;
    private final int keepNewest;
    private final FileOpener files;

    public Checkpoints(Path folder, int keepNewest) {
        this(folder, keepNewest, file -> Files.newOutputStream(file, StandardOpenOption.CREATE_NEW));
    }

    Checkpoints(Path folder, int keepNewest, FileOpener files) {
        this.folder = folder;
        this.keepNewest = keepNewest;
        this.files = files;
    }

    /**
     * Writes a checkpoint and forgets those that need not be kept. One of the same step that is there already is replaced.
     * @param unweightedMeanNats of a validation after exactly these steps, if there was one
     * @throws RheostatException MACHINE if it cannot be written: those before it are as they were
     */
    public <X extends Tensor> Path save(
            long steps,
            Backend<X> backend,
            List<NamedTensor<X>> tensors,
            Map<String, Object> state,
            OptionalDouble unweightedMeanNats) {
        Path target = path(steps), partial = folder.resolve(".partial-" + target.getFileName());
        try {
            Trees.delete(partial);
            Files.createDirectories(partial);
            ObjectNode manifest = JSON.createObjectNode();
            manifest.put("format", 1).put("steps", steps);
            unweightedMeanNats.ifPresent(nats -> manifest.put("unweightedMeanNats", nats));
            ObjectNode listed = manifest.putObject("files");
            write(partial, TENSORS, listed, out -> Safetensors.write(backend, tensors, Channels.newChannel(out)));
            write(partial, STATE, listed, out -> out.write(JSON.writeValueAsBytes(state)));
            write(partial, MANIFEST, JSON.createObjectNode(), out -> out.write(JSON.writeValueAsBytes(manifest)));
            sync(partial);
            discard(target);
            Files.move(partial, target, StandardCopyOption.ATOMIC_MOVE);
            sync(folder);
            prune();
            return target;
        } catch (IOException e) {
            try {
                Trees.delete(partial);
            } catch (IOException second) {
                e.addSuppressed(second);
            }
            throw new RheostatException(
                    Kind.MACHINE,
                    "cannot write checkpoint " + target + " (" + e.getMessage() + "): free space and resume; "
                            + newest().map(path -> path + " is good").orElse("there is none before it"),
                    e);
        }
    }

    private interface Body {
        void write(OutputStream out) throws IOException;
    }

    private void write(Path in, String name, ObjectNode listed, Body body) throws IOException {
        MessageDigest digest = Checksums.sha256();
        Path file = in.resolve(name);
        try (OutputStream out = new DigestOutputStream(files.create(file), digest)) {
            body.write(out);
        }
        sync(file);
        listed.putObject(name)
                .put("bytes", Files.size(file))
                .put("sha256", HexFormat.of().formatHex(digest.digest()));
    }

    /** Of a file or folder: what it holds survives a loss of power. */
    private static void sync(Path path) throws IOException {
        try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
            channel.force(true);
        }
    }

    private Path path(long steps) {
        return folder.resolve(PREFIX + String.format("%08d", steps));
    }

    /** All that were made whole, oldest first. */
    public List<Path> all() {
        if (!Files.isDirectory(folder)) return List.of();
        try (Stream<Path> paths = Files.list(folder)) {
            return paths.filter(path -> path.getFileName().toString().startsWith(PREFIX))
                    .sorted()
                    .toList();
        } catch (IOException e) {
            throw new RheostatException(Kind.MACHINE, "cannot read " + folder + ": " + e.getMessage(), e);
        }
    }

    private Optional<Path> newest() {
        return all().stream().max(Comparator.naturalOrder());
    }

    /** The one with the least unweighted mean validation loss of those whose step was validated. */
    public Optional<Path> best() {
        return all().stream()
                .filter(path -> unweightedMeanNats(path) < Double.POSITIVE_INFINITY)
                .min(Comparator.comparingDouble(Checkpoints::unweightedMeanNats));
    }

    /** Infinite where there was no validation, and for a checkpoint whose manifest is not readable. */
    private static double unweightedMeanNats(Path path) {
        try {
            return manifest(path).path("unweightedMeanNats").asDouble(Double.POSITIVE_INFINITY);
        } catch (IOException e) {
            return Double.POSITIVE_INFINITY;
        }
    }

    private void prune() throws IOException {
        List<Path> all = all();
        Optional<Path> best = best();
        for (Path path : all.subList(0, Math.max(0, all.size() - keepNewest)))
            if (!best.equals(Optional.of(path))) discard(path);
    }

    /** Gone by one rename, so that a kill in the middle leaves no half of a checkpoint. */
    private void discard(Path checkpoint) throws IOException {
        if (!Files.exists(checkpoint)) return;
        Path discarded = folder.resolve(DISCARDED);
        Trees.delete(discarded);
        Files.move(checkpoint, discarded, StandardCopyOption.ATOMIC_MOVE);
        Trees.delete(discarded);
    }

    /**
     * What a checkpoint remembers besides its tensors.
     * @param tensorsSha256 of the file that holds them
     */
    public record Loaded(Path path, long steps, Map<String, Object> state, String tensorsSha256) {}

    /**
     * The newest checkpoint whose files are as they were written.
     * @param skipped is told of each newer one that is damaged, in a sentence
     * @throws RheostatException DAMAGED if there are checkpoints and none is good
     */
    public Optional<Loaded> newestGood(Consumer<String> skipped) {
        List<String> damage = new ArrayList<>();
        for (Path path : all().reversed()) {
            try {
                Loaded loaded = load(path);
                damage.forEach(skipped);
                return Optional.of(loaded);
            } catch (RheostatException e) {
                damage.add(e.getMessage());
            }
        }
        if (damage.isEmpty()) return Optional.empty();
        throw new RheostatException(Kind.DAMAGED, "no good checkpoint: " + String.join("; ", damage));
    }

    /** @throws RheostatException DAMAGED naming the file that is missing or differs from the manifest */
    public static Loaded load(Path path) {
        try {
            JsonNode manifest = manifest(path);
            for (var entry : manifest.path("files").properties()) {
                Path file = path.resolve(entry.getKey());
                if (Files.size(file) != entry.getValue().path("bytes").asLong()
                        || !Checksums.sha256(file)
                                .equals(entry.getValue().path("sha256").asText()))
                    throw new RheostatException(Kind.DAMAGED, file + " is damaged: its checksum is not the manifest's");
            }
            @SuppressWarnings("unchecked") // JSON objects are maps by string
            Map<String, Object> state = JSON.readValue(path.resolve(STATE).toFile(), Map.class);
            String tensorsSha256 =
                    manifest.path("files").path(TENSORS).path("sha256").asText();
            return new Loaded(path, manifest.path("steps").asLong(), state, tensorsSha256);
        } catch (NoSuchFileException e) {
            throw new RheostatException(Kind.DAMAGED, "checkpoint " + path + " lacks " + e.getMessage(), e);
        } catch (IOException e) {
            throw new RheostatException(Kind.DAMAGED, "checkpoint " + path + " cannot be read: " + e.getMessage(), e);
        }
    }

    private static JsonNode manifest(Path path) throws IOException {
        return JSON.readTree(Files.readAllBytes(path.resolve(MANIFEST)));
    }

    /** @throws RheostatException DAMAGED if it is of another model */
    public static <X extends Tensor> void readTensors(
            Loaded checkpoint, Backend<X> backend, List<NamedTensor<X>> tensors) {
        Path file = checkpoint.path().resolve(TENSORS);
        try {
            Safetensors.read(backend, tensors, file);
        } catch (IllegalArgumentException e) {
            throw new RheostatException(Kind.DAMAGED, file + " is of another model: " + e.getMessage(), e);
        } catch (IOException e) {
            throw new RheostatException(Kind.DAMAGED, file + " cannot be read: " + e.getMessage(), e);
        }
    }
}
