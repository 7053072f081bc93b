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

    /** One policy under replay. A mixture waits in {@code held} until it is known what the batches before its own draw. */
    private static final class Replayed {
        private final PolicyDriver driver;
        private final ShareBounds bounds;
        private final int sequences;
        private final ArrayDeque<double[]> held = new ArrayDeque<>();

        Replayed(RunMixture mixture, int sequences) {
            driver = new PolicyDriver(mixture.policy(), mixture.policy().refitDelay(), null);
            bounds = mixture.bounds();
            this.sequences = sequences;
        }
    }

    private final List<RunFile> settings;
    private final Listener listener;
    private final Map<Long, Line> validations = new HashMap<>();
    private final List<Replayed> policies = new ArrayList<>();
    private final ArrayDeque<Long> heldSteps = new ArrayDeque<>();
    private RecordedDomains domains;
    private int ringDepth;
    private long[] drawn_K;
    private long lastStep = -1;

    private Replay(Path metrics, List<RunFile> settings, Listener listener) {
        this.settings = settings;
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

    /** @param settings one run file a policy; all of one ring depth. @throws RheostatException as docs/exit-codes.md says */
    static void run(Path metrics, List<RunFile> settings, Listener listener) {
        try (Replay replay = new Replay(metrics, settings, listener)) {
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
            if (!skipped) observe(policy.driver, line);
            validate(policy.driver, line, step + 1);
            policy.held.addLast(policy.driver.mixture());
        }
        heldSteps.addLast(step);
        // The mixture held after step t - S + 1 is for the batch after this line's.
        release(ringDepth - 1);
    }

    private void start(Line first) {
        domains = RecordedDomains.of(first);
        listener.domains(domains.names_K());
        double[] even_K = new double[domains.names_K().size()];
        Arrays.fill(even_K, 1);
        drawn_K = new long[even_K.length];
        for (RunFile file : settings) {
            file.checkDomains(domains.names_K());
            RunConfig config = file.config();
            ringDepth = config.runtime().ringDepth().orElse(1);
            RunMixture mixture = RunMixture.create(
                    config.mixture(),
                    new RunMixture.Run(
                            domains.names_K(),
                            domains.prior_K(first).orElse(even_K),
                            domains.windows_K(first),
                            config.batch().sequences(),
                            config.schedule().steps(),
                            ringDepth));
            Replayed policy = new Replayed(mixture, config.batch().sequences());
            validate(policy.driver, first, 0);
            policies.add(policy);
        }
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
            for (Replayed policy : policies)
                mixture_PK.add(policy.bounds.apply(policy.held.removeFirst(), drawn_K, policy.sequences));
            listener.row(new Row(heldSteps.removeFirst(), mixture_PK));
        }
    }

    @Override
    public void close() {
        policies.forEach(policy -> policy.driver.close());
    }
}
