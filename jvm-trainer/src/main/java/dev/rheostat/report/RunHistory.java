package dev.rheostat.report;

import com.fasterxml.jackson.databind.JsonNode;
import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RheostatException.Kind;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Map;

/**
 * What a run folder remembers of its run: {@code metrics.jsonl}, {@code validation.jsonl}, {@code fits.jsonl},
 * {@code steering.jsonl} and {@code run.yaml}. The formats are docs/metrics.md's.
 *
 * @param name the folder's name
 * @param config run.yaml as it stands, empty if there is none
 * @param domains in the order of the metrics; entries _K below are in this order
 * @param fits the last fit of each domain that has one
 * @param changes oldest first
 */
public record RunHistory(
        String name,
        String config,
        List<String> domains,
        List<Step> steps,
        List<Validation> validations,
        List<Fit> fits,
        List<Change> changes) {
    /** One training step. {@code lossNats_K} is NaN where the domain was absent. */
    public record Step(
            long step,
            double learningRate,
            double gradNorm,
            boolean skipped,
            long tokens,
            double dataSeconds,
            double stepSeconds,
            double mixtureSeconds,
            double totalSeconds,
            double[] mixture_K,
            long[] tokens_K,
            double[] lossNats_K,
            double[] epoch_K) {}

    /** Validation after {@code step} steps. NaN where a domain has no validation split. */
    public record Validation(
            long step, double[] lossNats_K, double[] bitsPerByte_K, double tokenMeanNats, double unweightedMeanNats) {
        /** Weighted mean over the domains that have a loss, nats. */
        public double meanNats(double[] weight_K) {
            return Curves.mean(lossNats_K, weight_K);
        }
    }

    /**
     * L(n) = epsilon + beta n^-alpha, and the points it was fitted to. Low and high are 90 % intervals, and shareGain what a larger share
     * gains at once, nats; NaN where none was told.
     */
    public record Fit(
            String domain,
            long step,
            double epsilon,
            double beta,
            double alpha,
            double epsilonLow,
            double epsilonHigh,
            double potentialLow,
            double potentialHigh,
            double shareGain,
            boolean ready,
            String reason,
            double[] n,
            double[] lossNats) {}

    /** What an operator changed before a step. @param set KEY=VALUE, joined */
    record Change(long step, String by, String set) {}

    /** @throws RheostatException BAD_REQUEST if the folder is none of a run, DAMAGED with file and line for a bad line */
    public static RunHistory read(Path folder) {
        Path metrics = folder.resolve("metrics.jsonl");
        if (!Files.isRegularFile(metrics))
            throw new RheostatException(
                    Kind.BAD_REQUEST,
                    folder + ": no run folder, or one of a run without a step: it has no metrics.jsonl");
        List<String> domains = new ArrayList<>();
        List<Step> steps = new ArrayList<>();
        JsonLines.read(metrics, line -> {
            if (domains.isEmpty()) line.object("domains").fieldNames().forEachRemaining(domains::add);
            steps.add(step(line, domains));
        });
        if (steps.isEmpty())
            throw new RheostatException(
                    Kind.BAD_REQUEST, metrics + ": no step in it yet, so there is nothing to report");
        List<Validation> validations = new ArrayList<>();
        Path validation = folder.resolve("validation.jsonl");
        if (Files.exists(validation)) JsonLines.read(validation, line -> validations.add(validation(line, domains)));
        List<Fit> fits = new ArrayList<>();
        Path fitted = folder.resolve("fits.jsonl");
        if (Files.exists(fitted)) JsonLines.read(fitted, line -> fits(line, fits));
        List<Change> changes = new ArrayList<>();
        Path steered = folder.resolve("steering.jsonl");
        if (Files.exists(steered)) JsonLines.read(steered, line -> changes.add(change(line)));
        String name = folder.toAbsolutePath().normalize().getFileName().toString();
        return new RunHistory(name, config(folder), List.copyOf(domains), steps, validations, fits, changes);
    }

    private static String config(Path folder) {
        Path file = folder.resolve("run.yaml");
        try {
            return Files.exists(file) ? Files.readString(file) : "";
        } catch (IOException e) {
            throw new RheostatException(Kind.MACHINE, file + ": cannot be read: " + e.getMessage(), e);
        }
    }

    private static Step step(JsonLines.Line line, List<String> domains) {
        int K = domains.size();
        double[] mixture_K = new double[K], lossNats_K = new double[K], epoch_K = new double[K];
        long[] tokens_K = new long[K];
        JsonNode byDomain = line.object("domains"), mixture = line.object("mixture"), seconds = line.object("seconds");
        for (int k = 0; k < K; k++) {
            JsonNode domain = byDomain.path(domains.get(k));
            mixture_K[k] = mixture.path(domains.get(k)).asDouble();
            tokens_K[k] = domain.path("tokens").asLong();
            lossNats_K[k] = tokens_K[k] == 0 ? Double.NaN : finite(domain.path("lossNats"));
            epoch_K[k] = domain.path("epoch").asDouble();
        }
        return new Step(
                line.count("step"),
                line.number("learningRate"),
                finite(line.object().path("gradNorm")),
                line.object().path("skipped").asBoolean(),
                line.count("tokens"),
                seconds.path("data").asDouble(),
                seconds.path("step").asDouble(),
                seconds.path("mixture").asDouble(),
                seconds.path("total").asDouble(),
                mixture_K,
                tokens_K,
                lossNats_K,
                epoch_K);
    }

    private static Validation validation(JsonLines.Line line, List<String> domains) {
        double[] lossNats_K = new double[domains.size()], bitsPerByte_K = new double[domains.size()];
        JsonNode byDomain = line.object("domains");
        for (int k = 0; k < domains.size(); k++) {
            JsonNode domain = byDomain.path(domains.get(k));
            lossNats_K[k] = finite(domain.path("lossNats"));
            bitsPerByte_K[k] = finite(domain.path("bitsPerByte"));
        }
        return new Validation(
                line.count("step"),
                lossNats_K,
                bitsPerByte_K,
                finite(line.object().path("tokenMeanNats")),
                finite(line.object().path("unweightedMeanNats")));
    }

    private static void fits(JsonLines.Line line, List<Fit> latest) {
        long step = line.count("step");
        Iterator<JsonNode> all = line.object().path("fits").elements();
        while (all.hasNext()) {
            JsonNode fit = all.next();
            String domain = fit.path("domain").asText();
            latest.removeIf(before -> before.domain().equals(domain));
            latest.add(new Fit(
                    domain,
                    step,
                    finite(fit.path("epsilon")),
                    finite(fit.path("beta")),
                    finite(fit.path("alpha")),
                    finite(fit.path("epsilonLow")),
                    finite(fit.path("epsilonHigh")),
                    finite(fit.path("potentialLow")),
                    finite(fit.path("potentialHigh")),
                    finite(fit.path("shareGain")),
                    fit.path("ready").asBoolean(),
                    fit.path("reason").asText(),
                    numbers(fit.path("n")),
                    numbers(fit.path("lossNats"))));
        }
    }

    private static Change change(JsonLines.Line line) {
        List<String> set = new ArrayList<>();
        line.object("set")
                .properties()
                .forEach(
                        entry -> set.add(entry.getKey() + "=" + entry.getValue().asText()));
        return new Change(line.count("step"), line.object().path("by").asText(), String.join(", ", set));
    }

    private static double[] numbers(JsonNode array) {
        double[] numbers = new double[array.size()];
        for (int i = 0; i < numbers.length; i++) numbers[i] = finite(array.get(i));
        return numbers;
    }

    /** JSON knows no NaN: null stands for it, and so does a number that a writer put in quotes. */
    private static double finite(JsonNode value) {
        return value.isNumber() ? value.asDouble() : Double.NaN;
    }

    public long tokensSeen() {
        return steps.stream().mapToLong(Step::tokens).sum();
    }

    public long skippedSteps() {
        return steps.stream().filter(Step::skipped).count();
    }

    double trainingSeconds() {
        return steps.stream().mapToDouble(Step::totalSeconds).sum();
    }

    public Map<String, Double> secondsByPhase() {
        double data = 0, step = 0, mixture = 0, total = 0;
        for (Step s : steps) {
            data += s.dataSeconds();
            step += s.stepSeconds();
            mixture += s.mixtureSeconds();
            total += s.totalSeconds();
        }
        return Map.of("data", data, "step", step, "mixture", mixture, "total", total);
    }
}
