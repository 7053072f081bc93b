package dev.rheostat.testbed;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;

/** Runs policies over settings and says how far each stays from the best that could be done. */
public final class DataBed {
    /**
     * One run.
     * @param regretNats of the prior-weighted expected loss, above the best static split of the same pairs
     * @param share_K of the pairs that were read
     * @param best_K the shares of that best split
     */
    public record Regret(
            String setting, String policy, long seed, double regretNats, double[] share_K, double[] best_K) {}

    /** J is known so much better than the regrets differ. */
    private static final double GAP_NATS = 1e-7;

    private final BedShape shape;
    private final Path folder;

    /** The bed with the counting learner. @param folder for corpora and datasets, which are used again */
    public static DataBed counting(Path folder) {
        return new DataBed(BedShape.COUNTING, folder);
    }

    DataBed(BedShape shape, Path folder) {
        this.shape = shape;
        this.folder = folder;
    }

    /** Names of the settings. */
    public static List<String> settings() {
        return DataSettings.COUNTING.names();
    }

    /**
     * Refuses a policy that is none before anything is run.
     * @param policy as {@link #run} takes it
     * @throws dev.rheostat.config.RheostatException BAD_REQUEST
     */
    public static void check(String policy) {
        DataSetting any = DataSettings.COUNTING.byName(settings().getFirst());
        BedFile.file(any, BedShape.COUNTING, Path.of(""), policy, Map.of());
    }

    /**
     * Every policy on one setting with each seed: the same corpus for all policies of a seed, another for another seed.
     * @param policies NAME or NAME/MODE, with :SETTING=VALUE after it where one is not at its default
     * @param done hears of each run
     */
    public List<Regret> run(
            String settingName, List<String> policies, long firstSeed, int seeds, Consumer<Regret> done) {
        DataSetting setting = DataSettings.COUNTING.byName(settingName);
        LookupLaw law = new LookupLaw(setting, shape.keys());
        List<Regret> all = new ArrayList<>();
        try {
            for (long seed = firstSeed; seed < firstSeed + seeds; seed++) {
                Path dataset = new LookupCorpus(setting, shape, seed)
                        .prepare(folder.resolve(setting.corpus()).resolve("seed-" + seed), 1);
                for (String policy : policies) {
                    Regret regret = run(setting, law, dataset, policy, seed);
                    all.add(regret);
                    done.accept(regret);
                }
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return all;
    }

    private Regret run(DataSetting setting, LookupLaw law, Path dataset, String policy, long seed) {
        try (BedRun run =
                new BedRun(setting, shape, dataset, policy, Map.of("seed", Long.toString(seed)), seed, report -> {})) {
            run.loop().start();
            run.loop().runTo(shape.steps());
            long[] learnt_K = run.learner().learnt_K();
            double all = Arrays.stream(learnt_K).sum();
            LookupLaw.Optimum best = law.optimum(all, run.pool_K(), GAP_NATS);
            double[] share_K = new double[setting.K()], best_K = new double[setting.K()];
            for (int k = 0; k < share_K.length; k++) {
                share_K[k] = learnt_K[k] / all;
                best_K[k] = best.pairs_K()[k] / all;
            }
            double regret = law.objectiveNats(run.pairs_K()) - best.objectiveNats();
            return new Regret(setting.name(), policy, seed, regret, share_K, best_K);
        }
    }
}
