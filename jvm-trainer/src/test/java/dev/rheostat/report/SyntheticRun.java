package dev.rheostat.report;

import com.fasterxml.jackson.databind.ObjectMapper;
import dev.rheostat.config.RunConfigs;
import dev.rheostat.config.RunFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;

/** A run folder in the documented formats without a run: losses follow known power laws, shares drift from their start. */
public final class SyntheticRun {
    private static final ObjectMapper JSON = new ObjectMapper();

    private SyntheticRun() {}

    /** Writes folder/{run.yaml,metrics.jsonl,validation.jsonl,fits.jsonl}. */
    public static Path write(Path folder, List<String> domains, int steps, String yaml, long seed) throws IOException {
        Random random = new Random(seed);
        int K = domains.size();
        double[] epsilon = new double[K], beta = new double[K], alpha = new double[K], start = new double[K];
        double sum = 0;
        for (int k = 0; k < K; k++) {
            epsilon[k] = 1 + 2 * random.nextDouble();
            beta[k] = 6 + 8 * random.nextDouble();
            alpha[k] = 0.15 + 0.2 * random.nextDouble();
            sum += start[k] = 0.2 + random.nextDouble();
        }
        double[] drift = new double[K];
        for (int k = 0; k < K; k++) drift[k] = random.nextGaussian() * 0.35;
        List<Map<String, Object>> metrics = new ArrayList<>(),
                validations = new ArrayList<>(),
                fits = new ArrayList<>();
        double[][] n_K = new double[K][], loss_K = new double[K][];
        for (int t = 0; t < steps; t++) {
            double progress = Math.max(0, (t - 0.1 * steps) / steps), n = 8.0 * (t + 1);
            double[] share = new double[K];
            double total = 0;
            for (int k = 0; k < K; k++) total += share[k] = start[k] / sum * Math.exp(drift[k] * progress);
            Map<String, Object> mixture = new LinkedHashMap<>(), byDomain = new LinkedHashMap<>();
            for (int k = 0; k < K; k++) {
                mixture.put(domains.get(k), share[k] / total);
                double law = epsilon[k] + beta[k] * Math.pow(n, -alpha[k]);
                int sequences = (t + k) % 3;
                Map<String, Object> domain = new LinkedHashMap<>();
                domain.put("sequences", sequences);
                domain.put("tokens", sequences * 256);
                if (sequences > 0) domain.put("lossNats", law * (1 + 0.05 * random.nextGaussian()));
                domain.put("prior", start[k] / sum);
                domain.put("epoch", 0.004 * t * share[k]);
                byDomain.put(domains.get(k), domain);
            }
            Map<String, Object> line = new LinkedHashMap<>();
            line.put("step", t);
            line.put(
                    "learningRate",
                    1e-3 * Math.min(1, (t + 1) / (0.05 * steps)) * (0.55 + 0.45 * Math.cos(Math.PI * t / steps)));
            line.put("gradNorm", 0.6 + 2 * Math.exp(-t / 30.0) + 0.1 * random.nextDouble());
            line.put("skipped", false);
            line.put("clamped", 0);
            line.put("tokens", 2048);
            double seconds = 0.21 + 0.02 * random.nextDouble();
            line.put(
                    "seconds",
                    Map.of(
                            "data",
                            4e-4,
                            "step",
                            seconds,
                            "mixture",
                            3e-5 + 1e-5 * random.nextDouble(),
                            "total",
                            seconds + 6e-4));
            line.put("mixture", mixture);
            line.put("domains", byDomain);
            metrics.add(line);
            if (t % Math.max(1, steps / 10) == 0 || t == steps - 1)
                validations.add(validation(domains, t == 0 ? 0 : t + 1, epsilon, beta, alpha, 8.0 * Math.max(t, 0.3)));
        }
        List<Map<String, Object>> laws = new ArrayList<>();
        for (int k = 0; k < K; k++) {
            n_K[k] = new double[30];
            loss_K[k] = new double[30];
            for (int i = 0; i < 30; i++) {
                n_K[k][i] = 8 * Math.pow(steps, (i + 10) / 40.0);
                loss_K[k][i] =
                        (epsilon[k] + beta[k] * Math.pow(n_K[k][i], -alpha[k])) * (1 + 0.01 * random.nextGaussian());
            }
            boolean ready = k != 1;
            Map<String, Object> fit = new LinkedHashMap<>();
            fit.put("domain", domains.get(k));
            fit.put("epsilon", epsilon[k]);
            fit.put("beta", beta[k]);
            fit.put("alpha", alpha[k]);
            if (k != 0) { // as the reference mode's, which tells no intervals
                fit.put("epsilonLow", epsilon[k] - 0.25);
                fit.put("epsilonHigh", epsilon[k] + 0.125);
                fit.put("potentialLow", 0.03);
                fit.put("potentialHigh", 0.05);
            }
            if (k == 3) fit.put("shareGain", -0.045); // as where laws count shares
            fit.put("ready", ready);
            fit.put("reason", ready ? "fitted" : "12 bins of 20");
            fit.put("n", n_K[k]);
            fit.put("lossNats", loss_K[k]);
            laws.add(fit);
        }
        fits.add(Map.of("step", steps - 1, "fits", laws));
        Files.createDirectories(folder);
        lines(folder.resolve("metrics.jsonl"), metrics);
        lines(folder.resolve("validation.jsonl"), validations);
        lines(folder.resolve("fits.jsonl"), fits);
        Files.writeString(
                folder.resolve("run.yaml"),
                RunFile.write(RunConfigs.resolve(
                        RunFile.parse("run.yaml", yaml, folder, Map.of()).config(), 50_257)));
        return folder;
    }

    private static Map<String, Object> validation(
            List<String> domains, int step, double[] epsilon, double[] beta, double[] alpha, double n) {
        Map<String, Object> byDomain = new LinkedHashMap<>();
        double mean = 0;
        for (int k = 0; k < domains.size(); k++) {
            double nats = step == 0 ? 10.8 : epsilon[k] + 0.05 + beta[k] * Math.pow(n, -alpha[k]);
            mean += nats / domains.size();
            byDomain.put(
                    domains.get(k),
                    Map.of("lossNats", nats, "bitsPerByte", nats / 3 / Math.log(2), "tokens", 4096, "bytes", 12288));
        }
        return Map.of("step", step, "domains", byDomain, "tokenMeanNats", mean - 0.1, "unweightedMeanNats", mean);
    }

    private static void lines(Path file, List<Map<String, Object>> objects) throws IOException {
        StringBuilder text = new StringBuilder();
        for (Map<String, Object> object : objects)
            text.append(JSON.writeValueAsString(object)).append('\n');
        Files.writeString(file, text);
    }
}
