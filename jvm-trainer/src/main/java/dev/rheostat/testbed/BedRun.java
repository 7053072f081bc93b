package dev.rheostat.testbed;

import dev.rheostat.config.RunConfig;
import dev.rheostat.data.DatasetFolder;
import dev.rheostat.op.Backend;
import dev.rheostat.train.Backends;
import dev.rheostat.train.LearnerLoop;
import dev.rheostat.train.StepReport;
import dev.rheostat.train.Trainer;
import java.nio.file.Path;
import java.util.Map;
import java.util.function.Consumer;

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
     * @param policy as {@link BedFile#config} reads it
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
        RunConfig config = BedFile.config(setting, shape, dataset.tokens(), folder, policy, overrides);
        backend = Backends.open(config);
        learner = new CountingLearner(
                setting, shape, Trainer.slotLayout(config), config.optimizer().learningRate(), corpusSeed);
        loop = new LearnerLoop(config, dataset.tokens(), backend, learner, reports);
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
