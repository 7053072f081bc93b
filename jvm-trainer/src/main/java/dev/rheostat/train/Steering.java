package dev.rheostat.train;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RheostatException.Kind;
import dev.rheostat.config.RunConfig;
import dev.rheostat.config.RunConfigs;
import dev.rheostat.report.JsonLines;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.stream.Stream;

/**
 * What an operator changes in a run that is under way. A request is a file in {@code steering.requests/}, made whole by one
 * rename; the run takes it at a step boundary, writes it with its step into {@code steering.jsonl}, and only then obeys
 * it. So the log says which mixture rules from which step on, and a resumed run does the same again at the same steps.
 */
public final class Steering {
    /** Keys that can be changed while a run goes: what decides the mixture, and nothing that memory or data hang on. */
    private static final List<String> STEERABLE = List.of(
            "mixture.policy",
            "mixture.mode",
            "mixture.settings",
            "mixture.target",
            "mixture.shares",
            "mixture.stages",
            "mixture.graph",
            "mixture.minShare",
            "mixture.maxShare",
            "mixture.maxEpochs");

    private static final ObjectMapper JSON = new ObjectMapper();
    private static final long POLL_NANOS = 200_000_000L; // an operator does not feel it, and a step does not either

    /**
     * One change.
     *
     * @param id name of its request
     * @param step before which it took effect
     * @param set KEY=VALUE, as on a command line
     * @param by who asked, as the system names them
     * @param requested when, ISO 8601
     */
    public record Change(String id, long step, Map<String, String> set, String by, String requested) {}

    private final Path run, requests, log;
    private final Consumer<String> notes;
    private final List<Change> changes;
    private long polledNanos;

    /**
     * @param run folder of the run
     * @param notes hears of what is passed over
     * @throws RheostatException DAMAGED if the log of the run is not readable
     */
    Steering(Path run, Consumer<String> notes) {
        this.run = run;
        this.notes = notes;
        requests = requests(run);
        log = log(run);
        changes = new ArrayList<>(changes(run));
        polledNanos = System.nanoTime() - POLL_NANOS; // the first boundary looks at once
    }

    private static Path requests(Path run) {
        return run.resolve("steering.requests");
    }

    private static Path log(Path run) {
        return run.resolve("steering.jsonl");
    }

    /** What was changed in a run so far, oldest first. */
    public static List<Change> changes(Path run) {
        List<Change> changes = new ArrayList<>();
        if (!Files.exists(log(run))) return changes;
        JsonLines.read(
                log(run),
                line -> changes.add(new Change(
                        line.object().path("id").asText(),
                        line.count("step"),
                        texts(line.object("set")),
                        line.object().path("by").asText(),
                        line.object().path("requested").asText())));
        return changes;
    }

    private static Map<String, String> texts(JsonNode object) {
        Map<String, String> texts = new LinkedHashMap<>();
        object.properties()
                .forEach(entry -> texts.put(entry.getKey(), entry.getValue().asText()));
        return texts;
    }

    /** A run's config with the changes of every step before this one. */
    public static RunConfig before(long step, RunConfig run, List<Change> changes) {
        RunConfig config = run;
        for (Change change : changes) if (change.step < step) config = changed(config, change.set);
        return config;
    }

    /**
     * A resolved config with a change in it, resolved again.
     * @throws RheostatException BAD_REQUEST for a key that cannot be changed in a run, and as a run file's checks
     */
    public static RunConfig changed(RunConfig run, Map<String, String> set) {
        for (String key : set.keySet())
            if (STEERABLE.stream().noneMatch(known -> key.equals(known) || key.startsWith(known + ".")))
                throw new RheostatException(
                        Kind.BAD_REQUEST,
                        key + " cannot be changed while a run goes; these can: " + String.join(", ", STEERABLE));
        RunConfig changed = RunConfigs.overlay(run, "the run", set).config();
        return RunConfigs.resolve(changed, run.model().vocabulary());
    }

    /** Leaves a request. @return its id. @throws RheostatException MACHINE if it cannot be written */
    public static String request(Path run, Map<String, String> set, String by, String requested) {
        String id = requested.replace(":", "") + "-" + ProcessHandle.current().pid();
        ObjectNode request = JSON.createObjectNode();
        request.put("id", id).put("by", by).put("requested", requested);
        ObjectNode settings = request.putObject("set");
        set.forEach(settings::put);
        Path file = requests(run).resolve(id + ".json"), half = requests(run).resolve("." + id);
        try {
            Files.createDirectories(requests(run));
            Files.write(half, JSON.writeValueAsBytes(request));
            Files.move(half, file, StandardCopyOption.ATOMIC_MOVE);
        } catch (IOException e) {
            throw new RheostatException(Kind.MACHINE, "cannot write " + file + ": " + e.getMessage(), e);
        }
        return id;
    }

    /** Whether a request still waits to be taken. */
    public static boolean waits(Path run, String id) {
        return Files.exists(requests(run).resolve(id + ".json"));
    }

    /** Takes a request back that nobody has taken. @throws RheostatException MACHINE if it cannot be deleted */
    public static void withdraw(Path run, String id) {
        Path file = requests(run).resolve(id + ".json");
        try {
            Files.deleteIfExists(file);
        } catch (IOException e) {
            throw new RheostatException(Kind.MACHINE, "cannot delete " + file + ": " + e.getMessage(), e);
        }
    }

    /** All changes known, those of the log first. */
    List<Change> changes() {
        return List.copyOf(changes);
    }

    /** The changes that the log has at this step: what a resumed run does again. */
    List<Change> logged(long step) {
        return changes.stream().filter(change -> change.step == step).toList();
    }

    /**
     * The oldest request that waits, at most one a call and a look a fifth of a second. The caller obeys it or not, and then
     * says so: {@link #take} or {@link #refuse}.
     */
    Optional<Change> poll(long step) {
        long now = System.nanoTime();
        if (now - polledNanos < POLL_NANOS || !Files.isDirectory(requests)) return Optional.empty();
        polledNanos = now;
        Optional<Path> oldest;
        try (Stream<Path> files = Files.list(requests)) {
            oldest = files.filter(file -> file.toString().endsWith(".json")).min(Path::compareTo);
        } catch (IOException e) {
            return Optional.empty(); // looked at again at a later boundary
        }
        if (oldest.isEmpty()) return Optional.empty();
        polledNanos -= POLL_NANOS; // another may wait behind it
        Change change;
        try {
            change = request(oldest.get(), step);
        } catch (IOException e) {
            setAside(oldest.get(), e);
            return Optional.empty();
        }
        boolean taken = changes.stream().anyMatch(known -> known.id.equals(change.id));
        if (!taken) return Optional.of(change);
        refuse(change); // the process was killed between the log and this
        return Optional.empty();
    }

    /** The file's name is the id, whatever else it holds: by it the file is found again. */
    private static Change request(Path file, long step) throws IOException {
        JsonNode request = JSON.readTree(Files.readAllBytes(file));
        String id = file.getFileName().toString().replaceFirst("\\.json$", "");
        return new Change(
                id,
                step,
                texts(request.path("set")),
                request.path("by").asText(),
                request.path("requested").asText());
    }

    /** What nobody can read ends no run: it is kept under a name that is not looked at. */
    private void setAside(Path file, IOException why) {
        Path aside = file.resolveSibling(file.getFileName() + ".unreadable");
        try {
            Files.move(file, aside, StandardCopyOption.REPLACE_EXISTING);
        } catch (IOException e) {
            throw new RheostatException(
                    Kind.MACHINE, "cannot read " + file + ": " + why.getMessage() + "; delete it and resume", why);
        }
        notes.accept("a change of the mixture could not be read and was set aside as " + aside);
    }

    /** Into the log first, then off the list of requests. */
    void take(Change change) {
        ObjectNode line = JSON.createObjectNode();
        line.put("id", change.id).put("step", change.step).put("by", change.by).put("requested", change.requested);
        ObjectNode settings = line.putObject("set");
        change.set.forEach(settings::put);
        try {
            Files.write(
                    log,
                    (JSON.writeValueAsString(line) + "\n").getBytes(StandardCharsets.UTF_8),
                    StandardOpenOption.CREATE,
                    StandardOpenOption.APPEND,
                    StandardOpenOption.SYNC);
            changes.add(change);
        } catch (IOException e) {
            throw new RheostatException(Kind.MACHINE, "cannot write " + log + ": " + e.getMessage(), e);
        }
        refuse(change);
    }

    /** Off the list of requests, unobeyed. */
    void refuse(Change change) {
        withdraw(run, change.id);
    }
}
