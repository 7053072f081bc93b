package dev.rheostat.cli;

import dev.rheostat.ado.MixturePolicy;
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
import dev.rheostat.train.Steering;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Hands the recorded steps to policies, line by line, and tells the mixture that each holds after every step. */
final class Replay implements AutoCloseable {
    /** What the policies hold after a step. @param mixture_PK one mixture a policy, within its bounds */
    record Row(long step, List<double[]> mixture_PK) {}

    /** Hears of every step. */
    interface Listener {
        /** Once, before the first row. */
        void domains(List<String> names_K);

        void row(Row row);
    }

    /** A policy to be shown the run. @param changes of its mixture, to be done again at their steps */
    record Asked(RunFile file, List<Steering.Change> changes) {}

    /** What a policy held after a step, and the bounds of then. */
    private record Held(double[] mixture_K, ShareBounds bounds) {}

    /** One policy under replay. A mixture waits in {@code held} until it is known what the batches before its own draw. */
    private static final class Replayed {
        private final List<Steering.Change> changes;
        private RunConfig config;
        private PolicyDriver driver;
        private ShareBounds bounds;
        private final ArrayDeque<Held> held = new ArrayDeque<>();

        Replayed(Asked asked) {
            changes = asked.changes();
            config = asked.file().config();
        }

        void take(RunMixture mixture) {
            driver = new PolicyDriver(mixture.policy(), mixture.policy().refitDelay(), null);
            bounds = mixture.bounds();
        }
    }

    private final Path metrics;
    private final List<Asked> asked;
    private final Listener listener;
    private final Map<Long, Line> validations = new HashMap<>();
    private final List<Replayed> policies = new ArrayList<>();
    private final ArrayDeque<Long> heldSteps = new ArrayDeque<>();
    private RecordedDomains domains;
    private Line first;
    private int ringDepth;
    private long[] drawn_K;
    private long lastStep = -1;

    private Replay(Path metrics, List<Asked> asked, Listener listener) {
        this.metrics = metrics;
        this.asked = asked;
        this.listener = listener;
        Path beside = metrics.toAbsolutePath().resolveSibling("validation.jsonl");
        if (Files.exists(beside)) JsonLines.read(beside, line -> validations.put(line.count("step"), line));
    }

    static long countSteps(Path metrics) {
        long[] lines = {0};
        JsonLines.read(metrics, line -> lines[0]++);
        if (lines[0] == 0) throw new RheostatException(Kind.DAMAGED, metrics + ": no step in it");
        return lines[0];
    }

    /** @param asked policies, all of one ring depth. @throws RheostatException as docs/exit-codes.md says */
    static void run(Path metrics, List<Asked> asked, Listener listener) {
        try (Replay replay = new Replay(metrics, asked, listener)) {
            JsonLines.read(metrics, replay::step);
            replay.release(0);
        }
    }

    private void step(Line line) {
        if (policies.isEmpty()) start(line);
        long step = line.count("step");
        if (step <= lastStep) throw line.damaged("step " + step + " after step " + lastStep);
        lastStep = step;
        long[] sequences_K = domains.sequences_K(line);
        for (int k = 0; k < drawn_K.length; k++) drawn_K[k] += sequences_K[k];
        boolean skipped = line.object().path("skipped").asBoolean();
        for (Replayed policy : policies) {
            for (Steering.Change change : policy.changes) if (change.step() == step) steer(policy, change);
            if (!skipped) observe(policy.driver, line);
            validate(policy.driver, line, step + 1);
            policy.held.addLast(new Held(policy.driver.mixture(), policy.bounds));
        }
        heldSteps.addLast(step);
        // The mixture held after step t - S + 1 is for the batch after this line's.
        release(ringDepth - 1);
    }

    private void start(Line first) {
        domains = RecordedDomains.of(first);
        this.first = first;
        listener.domains(domains.names_K());
        drawn_K = new long[domains.names_K().size()];
        for (Asked one : asked) {
            one.file().checkDomains(domains.names_K());
            Replayed policy = new Replayed(one);
            ringDepth = policy.config.runtime().ringDepth().orElse(1);
            policy.take(mixture(policy.config));
            validate(policy.driver, first, 0);
            policies.add(policy);
        }
    }

    private RunMixture mixture(RunConfig config) {
        double[] even_K = new double[domains.names_K().size()];
        Arrays.fill(even_K, 1);
        return RunMixture.create(
                config.mixture(),
                new RunMixture.Run(
                        domains.names_K(),
                        domains.prior_K(first).orElse(even_K),
                        domains.windows_K(first),
                        config.batch().sequences(),
                        config.schedule().steps(),
                        config.runtime().ringDepth().orElse(1)));
    }

    /** As the run did: the same policy goes on from what it knows, another is shown all that was. */
    private void steer(Replayed policy, Steering.Change change) {
        RunConfig before = policy.config;
        PolicyDriver old = policy.driver;
        policy.config = Steering.changed(before, change.set());
        policy.take(mixture(policy.config));
        if (before.mixture().samePolicy(policy.config.mixture())) policy.driver.restore(old.save());
        else
            RunMixture.showRecorded(
                    policy.driver, metrics, metrics.toAbsolutePath().resolveSibling("validation.jsonl"), change.step());
        old.close();
    }

    private void observe(PolicyDriver driver, Line line) {
        Observation observation = domains.observation(line);
        MixturePolicy policy = driver.policy();
        if (policy.needs().contains(Need.REFERENCE_LOSS) && observation.excessNats_K().length == 0)
            throw line.missing("domains.*.excessNats", "a number, and policy " + policy.name() + " needs it");
        try {
            driver.observe(observation);
        } catch (IllegalArgumentException e) { // as a step in which no domain was drawn
            throw line.damaged(e.getMessage());
        }
    }

    private void validate(PolicyDriver driver, Line line, long stepsDone) {
        if (!driver.policy().validationDue(stepsDone)) return;
        Line validation = validations.get(stepsDone);
        if (validation == null)
            throw line.damaged("policy " + driver.policy().name() + " needs the validation losses after " + stepsDone
                    + " steps, and validation.jsonl beside the metrics has none");
        driver.validated(stepsDone, domains.validationNats(validation));
    }

    /** Tells all but the newest so many of the mixtures held. */
    private void release(int keep) {
        while (heldSteps.size() > keep) {
            List<double[]> mixture_PK = new ArrayList<>();
            for (Replayed policy : policies) {
                Held held = policy.held.removeFirst();
                mixture_PK.add(held.bounds.apply(
                        held.mixture_K, drawn_K, policy.config.batch().sequences()));
            }
            listener.row(new Row(heldSteps.removeFirst(), mixture_PK));
        }
    }

    @Override
    public void close() {
        policies.forEach(policy -> policy.driver.close());
    }
}
