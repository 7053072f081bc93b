package dev.rheostat.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.io.SerializedString;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.rheostat.ado.AdoSettings;
import dev.rheostat.ado.MixturePolicy;
import dev.rheostat.ado.Observation;
import dev.rheostat.ado.Policies;
import dev.rheostat.ado.PolicyDriver;
import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RheostatException.Kind;
import dev.rheostat.config.RunConfig;
import dev.rheostat.config.RunConfigs;
import dev.rheostat.config.RunFile;
import dev.rheostat.report.JsonLines;
import dev.rheostat.report.JsonLines.Line;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/** Hands the recorded steps to a policy, line by line, and writes down the mixture it holds after each. */
final class Replay implements AutoCloseable {
    private static final ObjectMapper JSON = new ObjectMapper();

    private final RunFile settings;
    private final JsonGenerator out;
    private List<String> domains = List.of();
    private PolicyDriver driver;
    private long lastStep = -1;

    private Replay(RunFile settings, JsonGenerator out) {
        this.settings = settings;
        this.out = out;
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
                    Replay replay = new Replay(settings, json)) {
                JsonLines.read(metrics, replay::step);
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
        if (!line.object().path("skipped").asBoolean()) observe(line, step);
        write(step, driver.mixture());
    }

    private void start(Line first) {
        List<String> names = new ArrayList<>();
        first.object("domains").fieldNames().forEachRemaining(names::add);
        if (names.isEmpty()) throw first.damaged("field domains names no domain");
        domains = List.copyOf(names);
        settings.checkDomains(domains);
        RunConfig.Mixture mixture = settings.config().mixture();
        AdoSettings ado =
                RunConfigs.adoSettings(mixture, settings.config().schedule().steps());
        MixturePolicy policy;
        try {
            policy = Policies.create(mixture.policy(), ado, domains, prior(first, mixture.prior()), mixture.shares());
        } catch (IllegalArgumentException e) {
            throw settings.refuse("mixture", e.getMessage());
        }
        int delay = mixture.policy().equals("ado") ? ado.refitDelay() : 0;
        driver = new PolicyDriver(policy, delay, null);
    }

    /** As set, else as the first line names it for every domain, else uniform: other tools record no prior. */
    private double[] prior(Line first, Map<String, Double> set) {
        double[] prior_K = new double[domains.size()];
        Arrays.fill(prior_K, 1.0 / domains.size());
        JsonNode byDomain = first.object("domains");
        boolean named =
                domains.stream().allMatch(domain -> byDomain.path(domain).has("prior"));
        for (int k = 0; k < prior_K.length; k++) {
            String domain = domains.get(k);
            JsonNode prior = byDomain.path(domain).path("prior");
            if (!set.isEmpty()) prior_K[k] = set.get(domain);
            else if (named && prior.isNumber()) prior_K[k] = prior.asDouble();
            else if (named) throw first.missing("domains." + domain + ".prior", "a number");
        }
        return prior_K;
    }

    private void observe(Line line, long step) {
        Observation observation = observation(line, step);
        try {
            driver.observe(observation);
        } catch (IllegalArgumentException e) { // as a step in which no domain was drawn
            throw line.damaged(e.getMessage());
        }
    }

    private Observation observation(Line line, long step) {
        long[] sequences_K = new long[domains.size()], tokens_K = new long[domains.size()];
        double[] lossNats_K = new double[domains.size()];
        Arrays.fill(lossNats_K, Double.NaN);
        JsonNode byDomain = line.object("domains");
        byDomain.fieldNames().forEachRemaining(name -> {
            int k = domains.indexOf(name);
            if (k < 0) throw line.damaged("domain " + name + " is not on the first line, which must name every domain");
            String path = "domains." + name + ".";
            JsonNode domain = byDomain.get(name);
            sequences_K[k] = line.count(domain, "sequences", path + "sequences");
            tokens_K[k] = line.count(domain, "tokens", path + "tokens");
            if (sequences_K[k] == 0) return;
            if (!domain.path("lossNats").isNumber()) throw line.missing(path + "lossNats", "a number");
            lossNats_K[k] = domain.path("lossNats").asDouble();
        });
        return new Observation(step, line.number("learningRate"), sequences_K, tokens_K, lossNats_K);
    }

    /** Jackson writes a double in the fewest digits that read back exactly. */
    private void write(long step, double[] mixture_K) {
        try {
            out.writeStartObject();
            out.writeNumberField("step", step);
            out.writeObjectFieldStart("mixture");
            for (int k = 0; k < mixture_K.length; k++) out.writeNumberField(domains.get(k), mixture_K[k]);
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
