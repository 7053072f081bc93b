package dev.rheostat.ado;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rheostat.ado.fit.PowerLaw;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** What every policy keeps, whatever it is: P3, P4 and P6, within bounds that a user set. */
class PolicyContractTest {
    private static final int STEPS = 150, SEQUENCES = 64;

    /** Robust ADO with what its laws may count beside n. */
    private static Stream<Arguments> counting() {
        Map<String, Double> shares = Map.of("shareMemory", 20.0), rates = Map.of("annealMemory", 0.9);
        Map<String, Double> both = Map.of("shareMemory", 20.0, "annealMemory", 0.9);
        return Stream.of(shares, rates, both).map(settings -> Arguments.of("ado", "robust", settings));
    }

    static Stream<Arguments> policies() {
        Stream<Arguments> named = Policies.NAMES.stream().flatMap(name -> {
            List<String> modes = Policies.modes(name);
            return (modes.isEmpty() ? List.of("") : modes).stream().map(mode -> Arguments.of(name, mode, Map.of()));
        });
        return Stream.concat(named, counting());
    }

    static Stream<Arguments> policiesOfAnySize() {
        return policies().flatMap(one -> {
            boolean plain = ((Map<?, ?>) one.get()[2]).isEmpty();
            return (plain ? Stream.of(1, 2, 22, 200, 1000) : Stream.of(1, 2, 22))
                    .map(K -> Arguments.of(one.get()[0], one.get()[1], one.get()[2], K));
        });
    }

    /** A run over K domains with all that any policy may ask for. */
    private static PolicyInputs inputs(int K) {
        Random random = new Random(K);
        List<String> names = new ArrayList<>();
        double[] prior_K = new double[K], target_K = new double[K];
        long[] windows_K = new long[K];
        Map<String, Double> shares = new LinkedHashMap<>(), later = new LinkedHashMap<>();
        Map<String, Map<String, Double>> graph = new LinkedHashMap<>();
        for (int k = 0; k < K; k++) {
            names.add("d" + k);
            prior_K[k] = 0.05 + random.nextDouble();
            target_K[k] = 0.05 + random.nextDouble();
            windows_K[k] = 200 + random.nextInt(20_000);
            shares.put("d" + k, k + 1.0);
            later.put("d" + k, 1.0 + K - k);
        }
        for (int k = 0; k < K; k++) graph.put("d" + k, Map.of("d" + (k + 1) % K, 0.5));
        TreeMap<Long, Map<String, Double>> stages = new TreeMap<>();
        stages.put(0L, shares);
        stages.put(70L, later);
        return PolicyInputs.of(names, prior_K, SEQUENCES, STEPS)
                .withTarget(target_K)
                .withWindows(windows_K)
                .withShares(shares)
                .withStages(stages)
                .withGraph(graph);
    }

    private static PolicyInputs permuted(PolicyInputs in, int[] order) {
        List<String> names = new ArrayList<>();
        long[] windows_K = new long[order.length];
        for (int k = 0; k < order.length; k++) {
            names.add(in.names_K().get(order[k]));
            windows_K[k] = in.windows_K()[order[k]];
        }
        return PolicyInputs.of(names, permuted(in.prior_K(), order), SEQUENCES, STEPS)
                .withTarget(permuted(in.target_K(), order))
                .withWindows(windows_K)
                .withShares(in.shares())
                .withStages(in.stages())
                .withGraph(in.graph());
    }

    private static double[] permuted(double[] x_K, int[] order) {
        double[] permuted = new double[order.length];
        for (int k = 0; k < order.length; k++) permuted[k] = x_K[order[k]];
        return permuted;
    }

    private static MixturePolicy policy(String name, String mode, Map<String, Double> others, PolicyInputs in) {
        PolicySettings settings = Policies.settings(name, mode, STEPS).with(others);
        if (name.equals("ado") && !mode.equals("reference")) settings = settings.with("gateSpread", 100); // steer early
        if (mode.equals("reference"))
            settings = settings.with("startStep", 100)
                    .with("ignoreSteps", 50)
                    .with("refitEvery", in.domains() > 22 ? STEPS : 120);
        return Policies.create(name, mode, settings, in);
    }

    /** The losses of a made-up run: those of domain "dj" depend on j and the step, not on the place in an array. */
    private static double loss(String name, long step) {
        int j = Integer.parseInt(name.substring(1));
        double noise = new Random(31L * j + 7919 * step).nextGaussian();
        return 1.5 + 0.1 * (j % 7) + (3 + j % 5) * Math.pow(step + 1, -0.1 - 0.1 * (j % 4)) + 0.01 * noise;
    }

    /** Batches that no policy chose, so that permuted runs see the same; every domain is absent now and then. */
    private static Observation observation(PolicyInputs in, long step) {
        int K = in.domains();
        long[] sequences_K = new long[K], tokens_K = new long[K];
        double[] loss_K = new double[K], excess_K = new double[K];
        for (int k = 0; k < K; k++) {
            int j = Integer.parseInt(in.names_K().get(k).substring(1));
            sequences_K[k] = (j + step) % 3 == 0 && K > 1 ? 0 : 1 + (j + step) % 2;
            tokens_K[k] = 32 * sequences_K[k];
            loss_K[k] = sequences_K[k] == 0 ? Double.NaN : loss(in.names_K().get(k), step);
            excess_K[k] = sequences_K[k] == 0 ? Double.NaN : Math.max(0, loss_K[k] - 2);
        }
        return new Observation(step, 1e-3, sequences_K, tokens_K, loss_K, excess_K);
    }

    private static void step(PolicyDriver driver, PolicyInputs in, long step) {
        driver.observe(observation(in, step));
        double[] validation_K = new double[in.domains()];
        for (int k = 0; k < validation_K.length; k++)
            validation_K[k] = loss(in.names_K().get(k), step) + 0.1;
        driver.validated(step + 1, validation_K);
    }

    /** A state that holds laws as if they had been fitted: the fit itself takes a fifth of a second a domain. */
    @SuppressWarnings("unchecked")
    private static Map<String, Object> withLaws(Map<String, Object> saved, int K) {
        List<Map<String, Object>> fits = new ArrayList<>();
        for (int k = 0; k < K; k++) {
            PowerLaw law = new PowerLaw(1.7 + 0.1 * (k % 7), 3 + k % 5, 0.02 + 0.1 * (k % 4));
            fits.add(new DomainFit(Optional.of(law), true, "fitted", 0.1, new double[0], new double[0]).save());
        }
        Map<String, Object> state = new LinkedHashMap<>((Map<String, Object>) saved.get("state"));
        state.put("fits", fits);
        saved.put("state", state);
        return saved;
    }

    @ParameterizedTest
    @MethodSource("policiesOfAnySize")
    void p3EveryMixtureIsAMixtureWithinItsBounds(String name, String mode, Map<String, Double> others, int K) {
        PolicyInputs in = inputs(K);
        MixturePolicy policy = policy(name, mode, others, in);
        assertEquals(name, policy.name());
        double[] floor_K = new double[K], cap_K = new double[K];
        long[] limit_K = new long[K], drawn_K = new long[K];
        Arrays.fill(floor_K, 0.2 / K);
        Arrays.fill(cap_K, Math.min(1, 4.0 / K));
        Arrays.fill(limit_K, K == 1 ? ShareBounds.UNLIMITED : 2L * STEPS * SEQUENCES / K);
        ShareBounds bounds = new ShareBounds(floor_K, cap_K, limit_K);
        try (PolicyDriver driver = new PolicyDriver(policy, 0, null)) {
            if (mode.equals("reference") && K > 22) driver.restore(withLaws(driver.save(), K));
            for (int t = 0; t < STEPS; t++) {
                step(driver, in, t);
                double[] mixture_K = driver.mixture();
                assertEquals(1, Simplex.sum(mixture_K), 1e-12, "step " + t);
                double[] bounded_K = bounds.apply(mixture_K, drawn_K, SEQUENCES);
                assertEquals(1, Simplex.sum(bounded_K), 1e-12, "step " + t);
                for (int k = 0; k < K; k++) {
                    assertTrue(mixture_K[k] >= 0 && mixture_K[k] <= 1, "step " + t + " domain " + k);
                    double left =
                            limit_K[k] == ShareBounds.UNLIMITED ? 1 : (limit_K[k] - drawn_K[k]) / (double) SEQUENCES;
                    assertTrue(bounded_K[k] <= Math.min(cap_K[k], left), "step " + t + " cap of domain " + k);
                    assertTrue(bounded_K[k] >= Math.min(floor_K[k], left), "step " + t + " floor of domain " + k);
                    drawn_K[k] += (long) (bounded_K[k] * SEQUENCES);
                }
                if (t == STEPS - 1 && mode.equals("reference") && K > 22)
                    assertFalse(Arrays.equals(Simplex.normalise(in.prior_K()), mixture_K), "the laws steer");
                double[] weight_K = driver.lossWeight_K();
                for (double weight : weight_K) assertTrue(weight >= 0 && Double.isFinite(weight), "weight " + weight);
            }
        }
    }

    @ParameterizedTest
    @MethodSource("policies")
    void p4TheOrderOfDomainsDoesNotMatter(String name, String mode, Map<String, Double> others) {
        int K = 6;
        int[] order = {3, 0, 5, 1, 4, 2};
        PolicyInputs in = inputs(K), other = permuted(in, order);
        try (PolicyDriver one = new PolicyDriver(policy(name, mode, others, in), 0, null);
                PolicyDriver two = new PolicyDriver(policy(name, mode, others, other), 0, null)) {
            for (int t = 0; t < STEPS; t++) {
                assertArrayEquals(permuted(one.mixture(), order), two.mixture(), 1e-9, "step " + t);
                step(one, in, t);
                step(two, other, t);
            }
        }
    }

    /** Saved at every step through plain values, the run goes on to the last bit; the old state is not touched by it. */
    @ParameterizedTest
    @MethodSource("policies")
    void p6ASavedPolicyGoesOnAsIfItHadNotStopped(String name, String mode, Map<String, Double> others) {
        int K = 4, saveEvery = mode.equals("reference") ? 37 : 1;
        PolicyInputs in = inputs(K);
        try (PolicyDriver whole = new PolicyDriver(policy(name, mode, others, in), 3, null)) {
            PolicyDriver parts = new PolicyDriver(policy(name, mode, others, in), 3, null);
            for (int t = 0; t < STEPS; t++) {
                step(whole, in, t);
                step(parts, in, t);
                assertArrayEquals(whole.mixture(), parts.mixture(), "step " + t);
                assertArrayEquals(whole.lossWeight_K(), parts.lossWeight_K(), "step " + t);
                if (t % saveEvery != 0) continue;
                Map<String, Object> saved = parts.save();
                parts.close();
                parts = new PolicyDriver(policy(name, mode, others, in), 3, null);
                parts.restore(saved);
                assertArrayEquals(whole.mixture(), parts.mixture(), "restored at step " + t);
            }
            parts.close();
        }
    }
}
