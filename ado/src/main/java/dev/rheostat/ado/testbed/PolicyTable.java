package dev.rheostat.ado.testbed;

import dev.rheostat.ado.Policies;
import dev.rheostat.ado.PolicyInputs;
import dev.rheostat.ado.PolicySettings;
import dev.rheostat.ado.PolicyText;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.CancellationException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Future;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/** The regret of policies in worlds: once without noise, and over seeds with it. The same plan gives the same numbers. */
public final class PolicyTable {
    /** Two-sided 95 % points of Student's t by degrees of freedom, 1 to 30. */
    private static final double[] T95 = {
        12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120,
        2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042
    };

    public static final int MAX_SEEDS = T95.length + 1;

    /**
     * @param policies each as {@link PolicyText} has it
     * @param seeds of the runs with noise, 0 to {@link #MAX_SEEDS}; none are made where it is 0
     * @param seedsOf in its place for some of the policies, as where a run takes long
     * @param noiseNats standard deviation of one sequence's loss in those
     */
    public record Plan(
            List<String> policies,
            List<World> worlds,
            int seeds,
            Map<String, Integer> seedsOf,
            double noiseNats,
            Draw draw) {
        /**
         * @throws IllegalArgumentException for a policy or a setting that does not exist, naming the nearest; for a policy named twice, for
         *     seeds or noise out of range
         */
        public Plan {
            for (String policy : policies)
                PolicyText.parse(policy).settings(worlds.getFirst().steps());
            if (Set.copyOf(policies).size() < policies.size())
                throw new IllegalArgumentException("a policy is named twice: " + String.join(", ", policies));
            if (!(noiseNats >= 0 && noiseNats < Double.POSITIVE_INFINITY))
                throw new IllegalArgumentException("noise is " + noiseNats + " nats, must be 0 or more");
            checkSeeds("seeds", seeds);
            seedsOf.forEach((policy, count) -> {
                if (!policies.contains(policy))
                    throw new IllegalArgumentException("seeds of " + policy + ", which is none of " + policies);
                checkSeeds("seeds of " + policy, count);
            });
        }

        private static void checkSeeds(String what, int seeds) {
            if (seeds < 0 || seeds > MAX_SEEDS)
                throw new IllegalArgumentException(what + " is " + seeds + ", must be in [0, " + MAX_SEEDS + "]");
        }

        int seeds(String policy) {
            return seedsOf.getOrDefault(policy, seeds);
        }
    }

    /**
     * One cell.
     *
     * @param exactNats regret without noise
     * @param noisyNats regret of each seed
     * @param refusal why there is no number; empty where there is one
     */
    public record Cell(String policy, String world, double exactNats, double[] noisyNats, String refusal) {
        static Cell refused(String policy, String world, String refusal) {
            return new Cell(policy, world, Double.NaN, new double[0], refusal);
        }

        public double meanNats() {
            double sum = 0;
            for (double regret : noisyNats) sum += regret;
            return sum / noisyNats.length;
        }

        /** Half of the 95 % interval of the mean; infinite for one seed. */
        public double halfIntervalNats() {
            int count = noisyNats.length;
            if (count < 2) return Double.POSITIVE_INFINITY;
            double mean = meanNats(), squares = 0;
            for (double regret : noisyNats) squares += (regret - mean) * (regret - mean);
            return T95[count - 2] * Math.sqrt(squares / (count - 1) / count);
        }
    }

    private final Plan plan;
    private final List<Cell> cells;

    private PolicyTable(Plan plan, List<Cell> cells) {
        this.plan = plan;
        this.cells = cells;
    }

    /** Every policy there is, with each of its modes. */
    public static List<String> everyPolicy() {
        return Policies.NAMES.stream()
                .flatMap(name -> Policies.modes(name).isEmpty()
                        ? List.of(name).stream()
                        : Policies.modes(name).stream().map(mode -> name + "/" + mode))
                .toList();
    }

    /** @param executor runs one cell a task. @throws CancellationException if the thread is interrupted */
    public static PolicyTable measure(Plan plan, ExecutorService executor) {
        List<Future<Cell>> waiting = new ArrayList<>();
        for (World world : plan.worlds) {
            BedRun bed = new BedRun(world);
            for (String policy : plan.policies) waiting.add(executor.submit(cell(plan, bed, policy)));
        }
        List<Cell> cells = new ArrayList<>();
        try {
            for (Future<Cell> one : waiting) cells.add(one.get());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new CancellationException("interrupted");
        } catch (ExecutionException e) {
            throw new IllegalStateException("a run failed: " + e.getCause(), e.getCause());
        } finally {
            for (Future<Cell> one : waiting) one.cancel(true);
        }
        return new PolicyTable(plan, cells);
    }

    private static Callable<Cell> cell(Plan plan, BedRun bed, String policy) {
        return () -> {
            try {
                double exact = regret(bed, policy, new BedRun.Conditions(plan.draw, 0, 1));
                double[] noisy = new double[plan.seeds(policy)];
                for (int s = 0; s < noisy.length; s++)
                    noisy[s] = regret(bed, policy, new BedRun.Conditions(plan.draw, plan.noiseNats, s + 1));
                return new Cell(policy, bed.world().name(), exact, noisy, "");
            } catch (IllegalArgumentException e) {
                return Cell.refused(policy, bed.world().name(), e.getMessage());
            }
        };
    }

    private static double regret(BedRun bed, String policy, BedRun.Conditions conditions) {
        PolicyText text = PolicyText.parse(policy);
        PolicySettings settings = text.settings(bed.world().steps());
        return bed.run(Policies.create(text.name(), text.mode(), settings, inputs(bed)), conditions)
                .regretNats();
    }

    /**
     * What a run in this world would know: no prior but the target, the text that each domain has. Policies that are told
     * rather than learn are told the truth: static the best shares, schedule the natural ones and the best from half-way,
     * skill-it which domain helps which.
     */
    static PolicyInputs inputs(BedRun bed) {
        World world = bed.world();
        int K = world.domains();
        long[] windows_K = new long[K];
        Map<String, Double> natural = new LinkedHashMap<>(), best = new LinkedHashMap<>();
        Map<String, Map<String, Double>> graph = new LinkedHashMap<>();
        for (int k = 0; k < K; k++) {
            String name = world.names_K().get(k);
            windows_K[k] = (long) Math.min(world.unique_K()[k], (double) world.sequences() * world.steps());
            natural.put(name, world.target_K()[k]);
            best.put(name, bed.best().share_K()[k]);
            Map<String, Double> helped = new LinkedHashMap<>();
            for (int i = 0; i < K; i++)
                if (i != k && world.help_KK()[i][k] > 0)
                    helped.put(world.names_K().get(i), world.help_KK()[i][k]);
            if (!helped.isEmpty()) graph.put(name, helped);
        }
        TreeMap<Long, Map<String, Double>> stages = new TreeMap<>();
        stages.put(0L, natural);
        stages.put(world.steps() / 2, best);
        return PolicyInputs.of(world.names_K(), world.target_K(), world.sequences(), world.steps())
                .withWindows(windows_K)
                .withShares(best)
                .withStages(stages)
                .withGraph(graph);
    }

    public List<Cell> cells() {
        return cells;
    }

    /** @throws IllegalArgumentException if the plan had no such cell */
    public Cell cell(String policy, String world) {
        return cells.stream()
                .filter(cell -> cell.policy.equals(policy) && cell.world.equals(world))
                .findFirst()
                .orElseThrow(() -> new IllegalArgumentException("no run of " + policy + " in " + world));
    }

    /** Tables of seven worlds at most, regrets in units of 1e-4 nats; policies that were refused below, each with its reason. */
    public String markdown() {
        StringBuilder text = new StringBuilder();
        for (int from = 0; from < plan.worlds.size(); from += 7) {
            List<World> some = plan.worlds.subList(from, Math.min(from + 7, plan.worlds.size()));
            text.append("Without noise:\n\n");
            table(text, some, cell -> number(cell.exactNats));
            if (plan.seeds == 0) continue;
            text.append(String.format(
                    Locale.ROOT,
                    "With noise of %s nats a sequence, mean and half the 95 %% interval over %d %s%s:\n\n",
                    plan.noiseNats,
                    plan.seeds,
                    plan.seeds == 1 ? "seed" : "seeds",
                    plan.seedsOf.entrySet().stream()
                            .map(of -> "; `" + of.getKey() + "` over " + of.getValue())
                            .sorted()
                            .collect(Collectors.joining())));
            table(text, some, PolicyTable::noisy);
        }
        for (String policy : plan.policies) {
            String refusal = cell(policy, plan.worlds.getFirst().name()).refusal;
            if (!refusal.isEmpty())
                text.append("- `").append(policy).append("`: ").append(refusal).append('\n');
        }
        return text.toString();
    }

    /** One line a cell: policy, setting, exactNats, noisyNats; or policy, setting, refusal. */
    public List<String> jsonLines() {
        return cells.stream()
                .map(cell ->
                        String.format(Locale.ROOT, "{\"policy\":\"%s\",\"setting\":\"%s\",", cell.policy, cell.world)
                                + (cell.refusal.isEmpty()
                                        ? "\"exactNats\":" + cell.exactNats + ",\"noisyNats\":"
                                                + Arrays.toString(cell.noisyNats)
                                        : "\"refusal\":\"" + cell.refusal.replace('"', '\'') + "\"")
                                + "}")
                .toList();
    }

    private void table(StringBuilder text, List<World> some, Function<Cell, String> shown) {
        text.append("| policy |");
        for (World world : some) text.append(' ').append(world.name()).append(" |");
        text.append("\n| --- |").append(" --- |".repeat(some.size())).append('\n');
        for (String policy : plan.policies) {
            List<Cell> row =
                    some.stream().map(world -> cell(policy, world.name())).toList();
            if (row.stream().noneMatch(cell -> cell.refusal.isEmpty())) continue;
            text.append("| `").append(policy).append("` |");
            for (Cell cell : row)
                text.append(' ')
                        .append(cell.refusal.isEmpty() ? shown.apply(cell) : "refused")
                        .append(" |");
            text.append('\n');
        }
        text.append('\n');
    }

    private static String noisy(Cell cell) {
        return switch (cell.noisyNats.length) {
            case 0 -> "–";
            case 1 -> number(cell.meanNats());
            default -> number(cell.meanNats()) + " ± " + number(cell.halfIntervalNats());
        };
    }

    private static String number(double nats) {
        double tenths = Math.rint(nats * 1e5) / 10 + 0.0; // the rounding of whole sequences below 0 is no minus
        return String.format(Locale.ROOT, "%.1f", tenths);
    }

    /** The best mixtures, as a table. */
    public static String optima(List<World> worlds) {
        StringBuilder text = new StringBuilder("| setting | best shares | best J, nats |\n| --- | --- | --- |\n");
        for (World world : worlds) {
            Optimum best = Optimum.of(world);
            List<String> shares = IntStream.range(0, world.domains())
                    .mapToObj(k -> String.format(Locale.ROOT, "%.3f", best.share_K()[k]))
                    .toList();
            text.append(String.format(
                    Locale.ROOT,
                    "| %s | %s | %.5f |\n",
                    world.name(),
                    String.join(", ", shares),
                    best.objectiveNats()));
        }
        return text.toString();
    }
}
