package dev.rheostat.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.io.SerializedString;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.rheostat.ado.Need;
import dev.rheostat.ado.Observation;
import dev.rheostat.ado.PolicyDriver;
import dev.rheostat.ado.ShareBounds;
import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RheostatException.Kind;
import dev.rheostat.config.RunConfig;
import dev.rheostat.config.RunFile;
import dev.rheostat.report.JsonLines;
import dev.rheostat.report.JsonLines.Line;
import dev.rheostat.report.RecordedDomains;
import dev.rheostat.train.RunMixture;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;

/** Hands the recorded steps to a policy, line by line, and writes down the mixture it holds after each. */
final class Replay implements AutoCloseable {
    private static final ObjectMapper JSON = new ObjectMapper();

    /** A mixture that is held and not yet drawn from: its bounds depend on what the batches before it draw. */
    private record Held(long step, double[] mixture_K) {}

    private final RunFile settings;
    private final JsonGenerator out;
    private final int ringDepth;
    private final Map<Long, Line> validations = new HashMap<>();
    private final ArrayDeque<Held> held = new ArrayDeque<>();
    private RecordedDomains domains;
    private PolicyDriver driver;
    private ShareBounds bounds;
    private int sequences;
    private long[] drawn_K;
    private long lastStep = -1;

    private Replay(Path metrics, RunFile settings, JsonGenerator out) {
        this.settings = settings;
        this.out = out;
        ringDepth = settings.config().runtime().ringDepth().orElse(1);
        Path beside = metrics.toAbsolutePath().resolveSibling("validation.jsonl");
        if (Files.exists(beside)) JsonLines.read(beside, line -> validations.put(line.count("step"), line));
    }

    static long countSteps(Path metrics) {
        long[] lines = {0};
        JsonLines.read(metrics, line -> lines[0]++);
        if (lines[0] == 0) throw new RheostatException(Kind.DAMAGED, metrics + ": no step in it");
        return lines[0];
    }

    /** Writes out whole or not at all. @throws RheostatException as docs/exit-codes.md says */
    static void run(Path metrics, RunFile settings, Path out) {
        Path half = out.resolveSibling(out.getFileName() + ".half");
        try {
            Files.createDirectories(out.toAbsolutePath().getParent());
            try (JsonGenerator json = JSON.getFactory()
                            .createGenerator(Files.newBufferedWriter(half))
                            .setRootValueSeparator(new SerializedString("\n"));
                    Replay replay = new Replay(metrics, settings, json)) {
                JsonLines.read(metrics, replay::step);
                replay.writeHeld(0);
                json.writeRaw('\n');
            }
            Files.move(half, out, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        } catch (IOException e) {
            throw new RheostatException(Kind.MACHINE, out + ": cannot be written: " + e.getMessage(), e);
        } catch (UncheckedIOException e) {
            throw new RheostatException(
                    Kind.MACHINE, out + ": cannot be written: " + e.getCause().getMessage(), e);
        } finally {
            deleteIfThere(half);
        }
    }

    private void step(Line line) {
        if (driver == null) start(line);
        long step = line.count("step");
        if (step <= lastStep) throw line.damaged("step " + step + " after step " + lastStep);
        lastStep = step;
        long[] sequences_K = domains.sequences_K(line);
        for (int k = 0; k < drawn_K.length; k++) drawn_K[k] += sequences_K[k];
        if (!line.object().path("skipped").asBoolean()) observe(line);
        validate(line, step + 1);
        held.addLast(new Held(step, driver.mixture()));
        // The mixture held after step t - S + 1 is for the batch after this line's.
        writeHeld(ringDepth - 1);
    }

    private void start(Line first) {
        domains = RecordedDomains.of(first);
        settings.checkDomains(domains.names_K());
        RunConfig config = settings.config();
        double[] even_K = new double[domains.names_K().size()];
        Arrays.fill(even_K, 1);
        RunMixture mixture = RunMixture.create(
                config.mixture(),
                new RunMixture.Run(
                        domains.names_K(),
                        domains.prior_K(first).orElse(even_K),
                        domains.windows_K(first),
                        config.batch().sequences(),
                        config.schedule().steps(),
                        ringDepth));
        bounds = mixture.bounds();
        sequences = config.batch().sequences();
        drawn_K = new long[even_K.length];
        driver = new PolicyDriver(mixture.policy(), mixture.policy().refitDelay(), null);
        if (mixture.policy().validationDue(0)) validate(first, 0);
    }

    private void observe(Line line) {
        Observation observation = domains.observation(line);
        if (driver.policy().needs().contains(Need.REFERENCE_LOSS) && observation.excessNats_K().length == 0)
            throw line.missing(
                    "domains.*.excessNats",
                    "a number, and policy " + driver.policy().name() + " needs it");
        try {
            driver.observe(observation);
        } catch (IllegalArgumentException e) { // as a step in which no domain was drawn
            throw line.damaged(e.getMessage());
        }
    }

    private void validate(Line line, long stepsDone) {
        if (!driver.policy().validationDue(stepsDone)) return;
        Line validation = validations.get(stepsDone);
        if (validation == null)
            throw line.damaged("policy " + driver.policy().name() + " needs the validation losses after " + stepsDone
                    + " steps, and validation.jsonl beside the metrics has none");
        driver.validated(stepsDone, domains.validationNats(validation));
    }

    /** Writes all but the newest so many of the mixtures held. */
    private void writeHeld(int keep) {
        for (; held.size() > keep; held.removeFirst())
            write(held.getFirst().step, bounds.apply(held.getFirst().mixture_K, drawn_K, sequences));
    }

    /** Jackson writes a double in the fewest digits that read back exactly. */
    private void write(long step, double[] mixture_K) {
        try {
            out.writeStartObject();
            out.writeNumberField("step", step);
            out.writeObjectFieldStart("mixture");
            for (int k = 0; k < mixture_K.length; k++)
                out.writeNumberField(domains.names_K().get(k), mixture_K[k]);
            out.writeEndObject();
            out.writeEndObject();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public void close() {
        if (driver != null) driver.close();
    }

    private static void deleteIfThere(Path half) {
        try {
            Files.deleteIfExists(half);
        } catch (IOException e) {
            half.toFile().deleteOnExit();
        }
    }
}
