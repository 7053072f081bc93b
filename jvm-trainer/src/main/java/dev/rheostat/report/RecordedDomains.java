package dev.rheostat.report;

import com.fasterxml.jackson.databind.JsonNode;
import dev.rheostat.ado.Observation;
import dev.rheostat.report.JsonLines.Line;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/** The domains of a metrics file, as its first line names them, and what its lines say of each. */
public record RecordedDomains(List<String> names_K) {
    private static final long[] UNKNOWN = {};

    /** @throws dev.rheostat.config.RheostatException DAMAGED if the line names none */
    public static RecordedDomains of(Line first) {
        List<String> names = new ArrayList<>();
        first.object("domains").fieldNames().forEachRemaining(names::add);
        if (names.isEmpty()) throw first.damaged("field domains names no domain");
        return new RecordedDomains(List.copyOf(names));
    }

    /** The prior share of each domain, empty if not every domain has one: other tools record none. */
    public Optional<double[]> prior_K(Line first) {
        JsonNode byDomain = first.object("domains");
        if (!names_K.stream().allMatch(name -> byDomain.path(name).has("prior"))) return Optional.empty();
        double[] prior_K = new double[names_K.size()];
        for (int k = 0; k < prior_K.length; k++) {
            JsonNode prior = byDomain.path(names_K.get(k)).path("prior");
            if (!prior.isNumber()) throw first.missing("domains." + names_K.get(k) + ".prior", "a number");
            prior_K[k] = prior.asDouble();
        }
        return Optional.of(prior_K);
    }

    /** Sequences of training text that each domain has; empty if not every domain says. */
    public long[] windows_K(Line first) {
        JsonNode byDomain = first.object("domains");
        if (!names_K.stream().allMatch(name -> byDomain.path(name).has("windows"))) return UNKNOWN;
        long[] windows_K = new long[names_K.size()];
        for (int k = 0; k < windows_K.length; k++) {
            String name = names_K.get(k);
            windows_K[k] = first.count(byDomain.path(name), "windows", "domains." + name + ".windows");
        }
        return windows_K;
    }

    /** What the line's step told. @throws dev.rheostat.config.RheostatException DAMAGED naming the field that is wrong */
    public Observation observation(Line line) {
        long[] sequences_K = new long[names_K.size()], tokens_K = new long[names_K.size()];
        double[] lossNats_K = new double[names_K.size()], excessNats_K = new double[names_K.size()];
        Arrays.fill(lossNats_K, Double.NaN);
        Arrays.fill(excessNats_K, Double.NaN);
        boolean[] compared = {false};
        JsonNode byDomain = line.object("domains");
        byDomain.fieldNames().forEachRemaining(name -> {
            int k = names_K.indexOf(name);
            if (k < 0) throw line.damaged("domain " + name + " is not on the first line, which must name every domain");
            String path = "domains." + name + ".";
            JsonNode domain = byDomain.get(name);
            sequences_K[k] = line.count(domain, "sequences", path + "sequences");
            tokens_K[k] = line.count(domain, "tokens", path + "tokens");
            if (sequences_K[k] == 0) return;
            if (!domain.path("lossNats").isNumber()) throw line.missing(path + "lossNats", "a number");
            lossNats_K[k] = domain.path("lossNats").asDouble();
            if (!domain.path("excessNats").isNumber()) return;
            excessNats_K[k] = domain.path("excessNats").asDouble();
            compared[0] = true;
        });
        return new Observation(
                line.count("step"),
                line.number("learningRate"),
                sequences_K,
                tokens_K,
                lossNats_K,
                compared[0] ? excessNats_K : new double[0]);
    }

    /** Mean validation loss of each domain in a line of validation.jsonl, nats; NaN where it has none. */
    public double[] validationNats(Line line) {
        double[] lossNats_K = new double[names_K.size()];
        JsonNode byDomain = line.object("domains");
        for (int k = 0; k < lossNats_K.length; k++) {
            JsonNode loss = byDomain.path(names_K.get(k)).path("lossNats");
            lossNats_K[k] = loss.isNumber() ? loss.asDouble() : Double.NaN;
        }
        return lossNats_K;
    }

    /** Sequences of each domain in the line's batch. */
    public long[] sequences_K(Line line) {
        long[] sequences_K = new long[names_K.size()];
        JsonNode byDomain = line.object("domains");
        for (int k = 0; k < sequences_K.length; k++) {
            JsonNode domain = byDomain.path(names_K.get(k));
            if (domain.isObject())
                sequences_K[k] = line.count(domain, "sequences", "domains." + names_K.get(k) + ".sequences");
        }
        return sequences_K;
    }
}
