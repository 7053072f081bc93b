package dev.rheostat.testbed;

import dev.rheostat.config.RunConfig;
import dev.rheostat.config.RunFile;
import dev.rheostat.data.DatasetFolder;
import dev.rheostat.data.TokenDataset;
import dev.rheostat.data.Trees;
import dev.rheostat.op.Backend;
import dev.rheostat.train.Backends;
import dev.rheostat.train.RunFolder;
import dev.rheostat.train.SavedModel;
import dev.rheostat.train.StepReport;
import dev.rheostat.train.TrainListener;
import dev.rheostat.train.Trainer;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;

/**
 * The bed with a real model: {@link Trainer} over the same text. No formula says what a transformer's loss would be at another
 * mixture, so runs are held against each other, by values of held-out windows; what no model can go below is known.
 */
public final class ModelBed {
    /**
     * One run.
     * @param reducibleNats_K loss of held-out values, L_k, above that of a learner that knows all, epsilon_k
     * @param objectiveNats J = sum_k prior_k L_k
     * @param floorNats of a learner that knows all: sum_k prior_k epsilon_k
     * @param share_K of the windows that were read
     */
    public record Outcome(
            String setting,
            String policy,
            long seed,
            double[] reducibleNats_K,
            double objectiveNats,
            double floorNats,
            double[] share_K) {
        /** Part of what there was to learn that was not learnt; 1 where every value is as likely as any other. */
        public double left() {
            return (objectiveNats - floorNats) / (LookupDomain.unknownNats() - floorNats);
        }
    }

    /**
     * How a run is trained and judged.
     * @param overrides of the run file
     * @param validationWindows of each domain, for policies that validate
     * @param heldOutWindows of each domain, for the judge
     */
    record Training(Map<String, String> overrides, int validationWindows, int heldOutWindows) {
        /**
         * The rate is twice a run file's default; it was chosen before any policy but natural was run. 16,384 held-out values of a domain
         * leave a standard error of a hundredth of a nat, most of which policies with the same seed have in common.
         */
        static final Training NANO = new Training(Map.of("optimizer.learningRate", "2e-3"), 64, 1024);
    }

    private final DataSettings settings;
    private final BedShape shape;
    private final Training training;
    private final Path folder;

    /** The bed with preset ado-nano. @param folder for corpora and datasets, which are used again, and runs */
    public static ModelBed nano(Path folder) {
        return new ModelBed(DataSettings.NANO, BedShape.NANO, Training.NANO, folder);
    }

    ModelBed(DataSettings settings, BedShape shape, Training training, Path folder) {
        this.settings = settings;
        this.shape = shape;
        this.training = training;
        this.folder = folder;
    }

    /** As {@link DataBed#run}. */
    public List<Outcome> run(
            String settingName, List<String> policies, long firstSeed, int seeds, Consumer<Outcome> done) {
        DataSetting setting = settings.byName(settingName);
        List<Outcome> all = new ArrayList<>();
        try {
            for (long seed = firstSeed; seed < firstSeed + seeds; seed++)
                for (String policy : policies) {
                    Outcome outcome = run(setting, policy, seed);
                    all.add(outcome);
                    done.accept(outcome);
                }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return all;
    }

    Outcome run(DataSetting setting, String policy, long seed) throws IOException {
        Path corpus = folder.resolve(setting.corpus()).resolve("seed-" + seed);
        Path prepared = new LookupCorpus(setting, shape, seed)
                .prepare(corpus, training.validationWindows() + training.heldOutWindows());
        Path run = folder.resolve("runs").resolve(setting.name() + "-" + policy.replaceAll("[/:=]", "-") + "-" + seed);
        Trees.delete(run);
        try (DatasetFolder dataset = DatasetFolder.open(prepared)) {
            RunConfig config =
                    BedFile.config(setting, shape, dataset.tokens(), prepared, policy, overrides(setting, seed));
            double[] share_K = train(config, dataset.tokens(), run);
            double[] lossNats_K = judge(run, dataset.tokens());
            Trees.delete(run.resolve("checkpoints"));
            double[] reducibleNats_K = new double[setting.K()];
            double objectiveNats = 0, floorNats = 0;
            for (int k = 0; k < reducibleNats_K.length; k++) {
                double entropyNats = setting.domains().get(k).entropyNats();
                reducibleNats_K[k] = lossNats_K[k] - entropyNats;
                objectiveNats += setting.prior_K()[k] * lossNats_K[k];
                floorNats += setting.prior_K()[k] * entropyNats;
            }
            return new Outcome(setting.name(), policy, seed, reducibleNats_K, objectiveNats, floorNats, share_K);
        }
    }

    /** Where the setting is not about the schedule the learning rate stays at its peak, as the counting learner's does. */
    private Map<String, String> overrides(DataSetting setting, long seed) {
        Map<String, String> overrides = new HashMap<>(training.overrides());
        overrides.put("seed", Long.toString(seed));
        overrides.put("evaluation.everySteps", "0");
        overrides.put("evaluation.windows", Integer.toString(training.validationWindows()));
        overrides.put("checkpoint.everySteps", "0");
        if (!setting.decays()) overrides.put("schedule.finalRate", "1");
        return overrides;
    }

    /** @return shares of the windows that were read */
    private double[] train(RunConfig config, TokenDataset dataset, Path run) {
        double[] share_K = new double[dataset.domains().size()];
        double all = (double) config.schedule().steps() * config.batch().sequences();
        TrainListener counts = new TrainListener() {
            @Override
            public void step(StepReport report) {
                for (int k = 0; k < share_K.length; k++) share_K[k] += report.sequences_K()[k] / all;
            }
        };
        try (Backend<?> backend = Backends.open(config);
                RunFolder runFolder = RunFolder.create(run, RunFile.write(config))) {
            new Trainer<>(config, dataset, backend, runFolder, counts).run();
        }
        return share_K;
    }

    private double[] judge(Path run, TokenDataset dataset) {
        SavedModel model = SavedModel.open(run, "newest", "cpu", note -> {});
        int from = training.validationWindows();
        try (Backend<?> backend = Backends.open(model.config())) {
            return new HeldOut(shape, dataset, from, from + training.heldOutWindows()).lossNats_K(model, backend);
        }
    }
}
