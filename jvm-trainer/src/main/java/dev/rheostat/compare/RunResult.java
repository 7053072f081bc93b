package dev.rheostat.compare;

import dev.rheostat.config.RunConfig;
import dev.rheostat.report.Curves;
import dev.rheostat.report.RunHistory;
import dev.rheostat.report.RunHistory.Validation;
import java.util.List;

/**
 * What a comparison needs of one run. Validation V is after step_V[V] steps and tokens_V[V] tokens, the first before step 0;
 * points P of the mixture's path are means over equal runs of steps.
 *
 * @param lossNats_VK NaN where a domain has no validation text
 * @param pathStep_P the middle of each point
 * @param meanShare_K over all steps
 * @param mixtureCost share of the steps' time that the policy took
 */
record RunResult(
        List<String> domains,
        long[] step_V,
        double[] tokens_V,
        double[][] lossNats_VK,
        double[] pathStep_P,
        double[][] share_PK,
        double[] meanShare_K,
        double mixtureCost) {

    /** @param config of the run, resolved: a policy may have asked for more validations than its evaluation.everySteps */
    static RunResult of(RunHistory run, RunConfig config) {
        long every = config.evaluation().everySteps().orElse(0),
                steps = config.schedule().steps();
        List<Validation> validations = run.validations().stream()
                .filter(v -> v.step() == 0 || v.step() == steps || every > 0 && v.step() % every == 0)
                .toList();
        int V = validations.size(), K = run.domains().size();
        long[] step_V = new long[V];
        double[] tokens_V = new double[V];
        double[][] lossNats_VK = new double[V][];
        double tokensPerStep =
                (double) config.batch().sequences() * config.model().context();
        for (int v = 0; v < V; v++) {
            step_V[v] = validations.get(v).step();
            tokens_V[v] = step_V[v] * tokensPerStep;
            lossNats_VK[v] = validations.get(v).lossNats_K();
        }
        int[] edges = Curves.edges(run.steps().size());
        double[][] share_PK = new double[edges.length - 1][K];
        double[] meanShare_K = new double[K];
        for (int k = 0; k < K; k++) {
            int domain = k;
            double[] share_P = Curves.means(edges, t -> run.steps().get(t).mixture_K()[domain], t -> 1);
            for (int p = 0; p < share_P.length; p++) share_PK[p][k] = share_P[p];
            meanShare_K[k] = run.steps().stream()
                    .mapToDouble(step -> step.mixture_K()[domain])
                    .average()
                    .orElseThrow();
        }
        return new RunResult(
                run.domains(),
                step_V,
                tokens_V,
                lossNats_VK,
                Curves.means(edges, t -> run.steps().get(t).step(), t -> 1),
                share_PK,
                meanShare_K,
                run.secondsByPhase().get("mixture") / run.secondsByPhase().get("total"));
    }

    /** Loss after the last step, nats. */
    double[] finalNats_K() {
        return lossNats_VK[lossNats_VK.length - 1];
    }

    /**
     * Mean of each domain's loss over the run, nats: the area under its validation curve, by trapezoids in steps, over its width.
     * It begins at the first validation after a step, because the one before is the same whatever the policy.
     */
    double[] curveNats_K() {
        int last = step_V.length - 1, first = Math.min(1, last);
        if (first == last) return finalNats_K();
        double[] mean_K = new double[domains.size()];
        for (int k = 0; k < mean_K.length; k++) {
            double area = 0;
            for (int v = first + 1; v <= last; v++)
                area += (step_V[v] - step_V[v - 1]) * (lossNats_VK[v][k] + lossNats_VK[v - 1][k]) / 2;
            mean_K[k] = area / (step_V[last] - step_V[first]);
        }
        return mean_K;
    }

    /** The validation curve of the weighted mean over domains, nats. */
    double[] curve_V(double[] weight_K) {
        double[] nats_V = new double[lossNats_VK.length];
        for (int v = 0; v < nats_V.length; v++) nats_V[v] = Curves.mean(lossNats_VK[v], weight_K);
        return nats_V;
    }

    /**
     * Tokens until the weighted mean loss first is at most so many nats, read off the validation curve, straight between its
     * points; NaN if it never is.
     */
    double tokensTo(double nats, double[] weight_K) {
        double[] nats_V = curve_V(weight_K);
        for (int v = 0; v < nats_V.length; v++) {
            if (!(nats_V[v] <= nats)) continue;
            if (v == 0) return tokens_V[0];
            double part = (nats_V[v - 1] - nats) / (nats_V[v - 1] - nats_V[v]);
            return tokens_V[v - 1] + part * (tokens_V[v] - tokens_V[v - 1]);
        }
        return Double.NaN;
    }

    double tokens() {
        return tokens_V[tokens_V.length - 1];
    }
}
