package dev.rheostat.testbed;

import dev.rheostat.config.RunConfig;
import dev.rheostat.config.RunConfigs;
import dev.rheostat.config.RunFile;
import dev.rheostat.data.DatasetFolder;
import dev.rheostat.op.Backend;
import dev.rheostat.train.Backends;
import dev.rheostat.train.LearnerLoop;
import dev.rheostat.train.StepReport;
import dev.rheostat.train.Trainer;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.stream.Collectors;

/** One run of the counting learner over a prepared corpus, from a run file like any other's. */
final class BedRun implements AutoCloseable {
    private final DataSetting setting;
    private final BedShape shape;
    private final DatasetFolder dataset;
    private final Backend<?> backend;
    private final CountingLearner learner;
    private final LearnerLoop loop;

    /**
     * @param folder of the dataset
     * @param policy NAME, NAME/MODE, or either with :SETTING=VALUE after it
     * @param overrides of the run file
     * @param corpusSeed that the corpus was made with
     * @throws dev.rheostat.config.RheostatException BAD_REQUEST for a policy that is none or asks for what counting has not
     */
    BedRun(
            DataSetting setting,
            BedShape shape,
            Path folder,
            String policy,
            Map<String, String> overrides,
            long corpusSeed,
            Consumer<StepReport> reports) {
        this.setting = setting;
        this.shape = shape;
        dataset = DatasetFolder.open(folder);
        RunConfig config = Backends.resolve(RunConfigs.resolve(
                RunFile.parse("the bed's run", runFile(setting, shape, policy), folder, overrides)
                        .config(),
                dataset.tokens().tokenizer().vocabulary()));
        backend = Backends.open(config);
        learner = new CountingLearner(
                setting, shape, Trainer.slotLayout(config), config.optimizer().learningRate(), corpusSeed);
        loop = new LearnerLoop(config, dataset.tokens(), backend, learner, reports);
    }

    /** What the run would be written as. */
    static String runFile(DataSetting setting, BedShape shape, String policy) {
        String[] parts = policy.split(":", -1), named = (parts[0] + "/").split("/", -1);
        return String.format(
                Locale.ROOT,
                """
                model: {preset: ado-nano, context: %d}
                batch: {sequences: %d}
                mixture: {policy: %s, mode: "%s", settings: {%s}, prior: {%s}}
                schedule: {steps: %d}
                runtime: {threads: 1}
                device: cpu
                """,
                shape.tokens(),
                shape.sequences(),
                named[0],
                named[1],
                Arrays.stream(parts).skip(1).map(one -> one.replace("=", ": ")).collect(Collectors.joining(", ")),
                String.join(
                        ", ",
                        new TreeMap<>(setting.prior())
                                .entrySet().stream()
                                        .map(entry -> entry.getKey() + ": " + entry.getValue())
                                        .toList()),
                shape.steps());
    }

    LearnerLoop loop() {
        return loop;
    }

    CountingLearner learner() {
        return learner;
    }

    /** Pairs of each domain that taught anything: of a pool that is read again, its size. */
    double[] pairs_K() {
        double[] pairs_K = new double[setting.K()], pool_K = pool_K();
        for (int k = 0; k < pairs_K.length; k++) pairs_K[k] = Math.min(learner.learnt_K()[k], pool_K[k]);
        return pairs_K;
    }

    /** Pairs that each domain's text has. */
    double[] pool_K() {
        double[] pool_K = new double[setting.K()];
        for (int k = 0; k < pool_K.length; k++)
            pool_K[k] = (double) shape.pairs()
                    * (dataset.tokens().domains().get(k).train().tokens() / (shape.tokens() + 1));
        return pool_K;
    }

    @Override
    public void close() {
        loop.close();
        backend.close();
        dataset.close();
    }
}
