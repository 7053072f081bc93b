package dev.rheostat.report;

import java.math.BigDecimal;
import java.math.MathContext;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.ToDoubleFunction;

/** What the report's script draws, as plain values that become one JSON object; report.js names the same fields. */
public final class ReportData {
    /** A fortieth of the run to each side takes the noise of single batches and leaves the shape. */
    private static final int SMOOTHING_PARTS = 40;

    /** More than a pixel shows, and a third of the bytes. */
    private static final MathContext SIX_DIGITS = new MathContext(6);

    private ReportData() {}

    /** Every domain of any run, those of the first run first. */
    static List<String> domains(List<RunHistory> runs) {
        Set<String> domains = new LinkedHashSet<>();
        runs.forEach(run -> domains.addAll(run.domains()));
        return List.copyOf(domains);
    }

    static Map<String, Object> of(List<RunHistory> runs, List<String> names) {
        List<Map<String, Object>> all = new ArrayList<>();
        for (int r = 0; r < runs.size(); r++) all.add(run(runs.get(r), names.get(r)));
        return Map.of("domains", domains(runs), "runs", all);
    }

    private static Map<String, Object> run(RunHistory run, String name) {
        List<RunHistory.Step> steps = run.steps();
        int[] edges = Curves.edges(steps.size());
        int points = edges.length - 1, reach = points / SMOOTHING_PARTS;
        Map<String, Object> mixture = new LinkedHashMap<>(), train = new LinkedHashMap<>();
        for (int k = 0; k < run.domains().size(); k++) {
            int domain = k;
            String key = run.domains().get(k);
            mixture.put(key, rounded(Curves.means(edges, t -> steps.get(t).mixture_K()[domain], t -> 1)));
            double[] loss = Curves.means(
                    edges,
                    t -> steps.get(t).lossNats_K()[domain],
                    t -> steps.get(t).tokens_K()[domain]);
            double[] tokens = new double[points];
            for (int i = 0; i < points; i++)
                for (int t = edges[i]; t < edges[i + 1]; t++)
                    tokens[i] += steps.get(t).tokens_K()[domain];
            train.put(key, rounded(Curves.smooth(loss, tokens, reach)));
        }
        Map<String, Object> data = new LinkedHashMap<>();
        data.put("name", name);
        data.put("steps", steps.getLast().step() + 1);
        data.put("step", middles(edges, steps));
        data.put("mixture", mixture);
        data.put("train", train);
        data.put("learningRate", perPoint(edges, steps, RunHistory.Step::learningRate));
        data.put("gradNorm", perPoint(edges, steps, RunHistory.Step::gradNorm));
        data.put("dataSeconds", perPoint(edges, steps, RunHistory.Step::dataSeconds));
        data.put("stepSeconds", perPoint(edges, steps, RunHistory.Step::stepSeconds));
        data.put("mixtureSeconds", perPoint(edges, steps, RunHistory.Step::mixtureSeconds));
        data.put("totalSeconds", perPoint(edges, steps, RunHistory.Step::totalSeconds));
        data.put("validation", validation(run));
        data.put("fits", run.fits().stream().map(ReportData::fit).toList());
        return data;
    }

    private static List<Double> perPoint(
            int[] edges, List<RunHistory.Step> steps, ToDoubleFunction<RunHistory.Step> value) {
        return rounded(Curves.means(edges, t -> value.applyAsDouble(steps.get(t)), t -> 1));
    }

    private static List<Double> middles(int[] edges, List<RunHistory.Step> steps) {
        return rounded(Curves.means(edges, t -> steps.get(t).step(), t -> 1));
    }

    private static Map<String, Object> validation(RunHistory run) {
        Map<String, Object> byDomain = new LinkedHashMap<>();
        for (int k = 0; k < run.domains().size(); k++) {
            int domain = k;
            byDomain.put(
                    run.domains().get(k),
                    rounded(run.validations().stream()
                            .mapToDouble(v -> v.lossNats_K()[domain])
                            .toArray()));
        }
        return Map.of(
                "step",
                run.validations().stream().map(RunHistory.Validation::step).toList(),
                "lossNats",
                byDomain,
                "tokenMeanNats",
                rounded(run.validations().stream()
                        .mapToDouble(RunHistory.Validation::tokenMeanNats)
                        .toArray()),
                "unweightedMeanNats",
                rounded(run.validations().stream()
                        .mapToDouble(RunHistory.Validation::unweightedMeanNats)
                        .toArray()));
    }

    private static Map<String, Object> fit(RunHistory.Fit fit) {
        Map<String, Object> data = new LinkedHashMap<>();
        data.put("domain", fit.domain());
        data.put("step", fit.step());
        data.put("epsilon", number(fit.epsilon()));
        data.put("beta", number(fit.beta()));
        data.put("alpha", number(fit.alpha()));
        data.put("ready", fit.ready());
        data.put("reason", fit.reason());
        data.put("n", rounded(fit.n()));
        data.put("lossNats", rounded(fit.lossNats()));
        return data;
    }

    public static List<Double> rounded(double[] values) {
        return Arrays.stream(values).mapToObj(ReportData::six).toList();
    }

    private static Double six(double value) {
        return Double.isFinite(value)
                ? Double.valueOf(new BigDecimal(value).round(SIX_DIGITS).doubleValue())
                : null;
    }

    private static Double number(double value) {
        if (!Double.isFinite(value)) return null;
        return value;
    }
}
