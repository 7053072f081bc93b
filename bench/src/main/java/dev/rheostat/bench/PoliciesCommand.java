package dev.rheostat.bench;

import dev.rheostat.ado.MixturePolicy;
import dev.rheostat.ado.Observation;
import dev.rheostat.ado.Policies;
import dev.rheostat.ado.PolicyInputs;
import dev.rheostat.ado.PolicySettings;
import dev.rheostat.ado.PolicyState;
import dev.rheostat.ado.Refit;
import dev.rheostat.ado.ShareBounds;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** bench policies: what each mixture policy costs a step, without a model. */
@Command(
        name = "policies",
        mixinStandardHelpOptions = true,
        description = {
            "Time a step of every mixture policy: observing it, asking for the mixture, and projecting it onto its bounds.",
            "",
            "Refits, which run beside training, are timed apart. The ceiling is handing over the step's figures at all."
        })
final class PoliciesCommand implements Callable<Integer> {
    /** Steps that compile the code and are not timed. */
    private static final int WARM_UP = 4_000;

    private static final int SEQUENCES = 4_096;

    @Option(
            names = "--domains",
            converter = Counts.Positive.class,
            split = ",",
            defaultValue = "22,1000",
            paramLabel = "K",
            description = "Numbers of domains.")
    private int[] domains;

    @Option(
            names = "--steps",
            converter = Counts.Positive.class,
            defaultValue = "2000",
            description = "Steps that are timed.")
    private int steps;

    @Mixin
    private JsonFile json = new JsonFile();

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() {
        for (int K : domains)
            for (String policy : Policies.NAMES) {
                List<String> modes = Policies.modes(policy);
                for (String mode : modes.isEmpty() ? List.of("") : modes) time(policy, mode, K);
            }
        return 0;
    }

    private void time(String name, String mode, int K) {
        Machine machine = new Machine();
        long total = WARM_UP + steps;
        PolicySettings settings = Policies.settings(name, mode, total);
        // The published fit takes seconds a domain and has a benchmark of its own, bench fit.
        boolean fits = !mode.equals("reference");
        if (!fits) settings = settings.with("refitEvery", 1e15);
        MixturePolicy policy = Policies.create(name, mode, settings, inputs(K, total));
        Observation[] observations = observations(K);
        ShareBounds bounds = bounds(K);
        long[] drawn_K = new long[K];
        double[] validationNats_K = new double[K];
        for (int k = 0; k < K; k++) validationNats_K[k] = 2 + k % 3;
        PolicyState state = policy.initial();
        double[] stepMicros = new double[steps], handOverMicros = new double[steps];
        List<Double> refitMillis = new ArrayList<>();
        for (int t = 0; t < total; t++) {
            long start = System.nanoTime();
            Observation observation = at(t, observations[t % observations.length]);
            long handedOver = System.nanoTime();
            state = policy.observe(state, observation);
            double[] share_K = bounds.apply(policy.mixture(state), drawn_K, SEQUENCES);
            long end = System.nanoTime();
            if (Math.abs(Arrays.stream(share_K).sum() - 1) > 1e-9)
                throw new AssertionError(name + " is no mixture at step " + t);
            if (t >= WARM_UP) {
                stepMicros[t - WARM_UP] = (end - handedOver) * 1e-3;
                handOverMicros[t - WARM_UP] = (handedOver - start) * 1e-3;
            }
            Optional<Refit> refit = policy.refitDue(state);
            if (refit.isPresent()) {
                long from = System.nanoTime();
                Refit.Result result = refit.get().run();
                refitMillis.add((System.nanoTime() - from) * 1e-6);
                state = policy.adopt(state, result);
            }
            if (policy.validationDue(t + 1)) state = policy.validated(state, t + 1, validationNats_K);
        }
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("bench", "policies");
        line.put("policy", mode.isEmpty() ? name : name + "/" + mode);
        line.put("domains", K);
        double median = Samples.median(stepMicros), handOver = Samples.median(handOverMicros);
        line.put("step_us", Machine.round(median));
        line.put("hand_over_us", Machine.round(handOver));
        line.put("of_hand_over", Machine.round(median / handOver));
        if (!refitMillis.isEmpty())
            line.put("refit_ms", Machine.round(refitMillis.getLast())); // the last is compiled, and has the most points
        String text = machine.line(line);
        spec.commandLine().getOut().println(text);
        json.write(text);
    }

    private static Observation at(long step, Observation like) {
        return new Observation(step, 1e-3, like.sequences_K(), like.tokens_K(), like.lossNats_K(), like.excessNats_K());
    }

    /** Falling, noisy losses; some domains are absent from some steps. */
    private static Observation[] observations(int K) {
        Random random = new Random(1);
        Observation[] observations = new Observation[256];
        for (int t = 0; t < observations.length; t++) {
            long[] sequences_K = new long[K], tokens_K = new long[K];
            double[] lossNats_K = new double[K], excessNats_K = new double[K];
            for (int k = 0; k < K; k++) {
                sequences_K[k] = random.nextInt(4);
                tokens_K[k] = 1024 * sequences_K[k];
                lossNats_K[k] = sequences_K[k] == 0 ? Double.NaN : 2 + k % 3 + 0.05 * random.nextGaussian();
                excessNats_K[k] = sequences_K[k] == 0 ? Double.NaN : 0.1 * random.nextDouble();
            }
            sequences_K[0] = 1;
            lossNats_K[0] = 2;
            excessNats_K[0] = 0;
            observations[t] = new Observation(t, 1e-3, sequences_K, tokens_K, lossNats_K, excessNats_K);
        }
        return observations;
    }

    /** Floors that bite, so that the projection is timed too. */
    private static ShareBounds bounds(int K) {
        double[] floor_K = new double[K], cap_K = new double[K];
        long[] limit_K = new long[K];
        Arrays.fill(floor_K, 0.5 / K);
        Arrays.fill(cap_K, 1);
        Arrays.fill(limit_K, ShareBounds.UNLIMITED);
        return new ShareBounds(floor_K, cap_K, limit_K);
    }

    private static PolicyInputs inputs(int K, long total) {
        Random random = new Random(2);
        List<String> names = new ArrayList<>();
        double[] prior_K = new double[K];
        long[] windows_K = new long[K];
        Map<String, Double> shares = new LinkedHashMap<>();
        Map<String, Map<String, Double>> graph = new LinkedHashMap<>();
        for (int k = 0; k < K; k++) {
            names.add("d" + k);
            prior_K[k] = 0.05 + random.nextDouble();
            windows_K[k] = 10_000 + random.nextInt(1_000_000);
            shares.put("d" + k, 1.0 + k);
            graph.put("d" + k, Map.of("d" + (k + 1) % K, 0.5));
        }
        TreeMap<Long, Map<String, Double>> stages = new TreeMap<>(Map.of(0L, shares));
        return PolicyInputs.of(names, prior_K, SEQUENCES, total)
                .withWindows(windows_K)
                .withShares(shares)
                .withStages(stages)
                .withGraph(graph);
    }
}
