package dev.rheostat.testbed;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.rheostat.data.DatasetFolder;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class DataBedTest {
    private static final ObjectMapper JSON = new ObjectMapper();

    /** A fifth of the bed's pairs. */
    private static final BedShape SMALL = new BedShape(20_000, 3, 16, 16, 500);

    private static final DataSetting FOUR = DataSettings.COUNTING.byName("four");

    @TempDir
    static Path folder;

    private static Path dataset;

    @BeforeAll
    static void corpus() throws IOException {
        dataset = new LookupCorpus(FOUR, SMALL, 1).prepare(folder, 1);
    }

    @Test
    void everyDocumentIsOneWindow() {
        try (DatasetFolder prepared = DatasetFolder.open(dataset)) {
            assertEquals(
                    List.of("common", "medium", "rare", "scarce"),
                    prepared.tokens().names());
            for (DatasetFolder.DomainFigures domain : prepared.figures())
                assertEquals(domain.documents() * (SMALL.tokens() + 1), domain.tokens());
        }
    }

    @Test
    void entropyIsThatOfTheDistribution() {
        LookupDomain domain = new LookupDomain("one", 1, 0.1);
        double sum = -0.9 * Math.log(0.9);
        for (int value = 1; value < LookupDomain.VALUES; value++)
            sum -= 0.1 / (LookupDomain.VALUES - 1) * Math.log(0.1 / (LookupDomain.VALUES - 1));
        assertEquals(sum, domain.entropyNats(), 1e-12);
    }

    /** Unseen mass times m^alpha tends to c = Gamma(1 - 1/s) Z^(-1/s) / s: 0.691 for a = 1, by the reference. */
    @Test
    void theLawIsAPowerLawOfTheKnownExponent() {
        LookupLaw law = new LookupLaw(FOUR, 200_000);
        LookupDomain medium = FOUR.domains().get(1);
        for (double pairs : new double[] {1e3, 1e4, 1e5}) {
            double reducible = law.lossNats_K(new double[] {0, pairs, 0, 0})[1] - medium.entropyNats();
            double unseen = reducible / (LookupDomain.unknownNats() - medium.entropyNats());
            assertEquals(0.691, unseen * Math.pow(pairs, medium.exponent()), 0.02);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"four", "transfer", "hub"})
    void blocksSumToTheLawKeyByKey(String name) {
        DataSetting setting = DataSettings.COUNTING.byName(name);
        int keys = 20_000;
        double[] pairs_K = {30_000, 5_000, 800, 100_000};
        double[] direct_K = new double[setting.K()];
        double[][] p_K = new double[setting.K()][];
        for (int k = 0; k < setting.K(); k++) p_K[k] = setting.domains().get(k).frequencies(keys);
        double[] lnMissed = new double[setting.spaces() * keys];
        for (int j = 0; j < setting.K(); j++)
            for (int rank = 0; rank < keys; rank++)
                lnMissed[setting.key(j, rank, keys)] += pairs_K[j] * Math.log1p(-p_K[j][rank]);
        for (int k = 0; k < setting.K(); k++) {
            double unseen = 0;
            for (int rank = 0; rank < keys; rank++)
                unseen += p_K[k][rank] * Math.exp(lnMissed[setting.key(k, rank, keys)]);
            double entropy = setting.domains().get(k).entropyNats();
            direct_K[k] = entropy + (LookupDomain.unknownNats() - entropy) * unseen;
        }
        assertArrayEquals(direct_K, new LookupLaw(setting, keys).lossNats_K(pairs_K), 1e-6);
    }

    @ParameterizedTest
    @ValueSource(strings = {"four", "repetition", "transfer", "hub"})
    void noNeighbourOfTheOptimumIsBetter(String name) {
        DataSetting setting = DataSettings.COUNTING.byName(name);
        LookupLaw law = new LookupLaw(setting, 20_000);
        double all = 200_000;
        double[] cap_K =
                Arrays.stream(setting.poolShare_K()).map(share -> share * all).toArray();
        LookupLaw.Optimum best = law.optimum(all, cap_K, 1e-8);
        assertEquals(all, Arrays.stream(best.pairs_K()).sum(), 1e-3);
        assertTrue(best.gapNats() <= 1e-8, () -> "gap " + best.gapNats());
        for (int from = 0; from < setting.K(); from++)
            for (int to = 0; to < setting.K(); to++) {
                double step = Math.min(1000, Math.min(best.pairs_K()[from], cap_K[to] - best.pairs_K()[to]));
                double[] moved_K = best.pairs_K().clone();
                moved_K[from] -= step;
                moved_K[to] += step;
                assertTrue(law.objectiveNats(moved_K) >= best.objectiveNats() - 1e-8);
            }
    }

    /** The learner is the law's: 5 sd of the unseen mass, whose variance is at most sum p^2 P(unseen) < its mean / m. */
    @Test
    void theLearnerLosesWhatTheLawSays() {
        try (BedRun run = run("natural", Map.of())) {
            run.loop().start();
            run.loop().runTo(SMALL.steps());
            double[] expected_K = new LookupLaw(FOUR, SMALL.keys()).lossNats_K(run.pairs_K());
            for (int k = 0; k < FOUR.K(); k++) {
                double reducible = expected_K[k] - FOUR.domains().get(k).entropyNats();
                double sd = Math.sqrt(reducible * LookupDomain.unknownNats() / run.pairs_K()[k]);
                assertEquals(expected_K[k], run.learner().populationNats(k), 5 * sd);
            }
        }
    }

    /** Three corpora, in three orders, at the size of the command: a quarter of natural's regret at most, in the mean. */
    @Test
    void adoHasAQuarterOfNaturalsRegretOnTheFourDomainCorpus() {
        List<DataBed.Regret> regrets = DataBed.counting(folder.resolve("counting"))
                .run("four", List.of("natural", "ado/robust"), 1, 3, done -> {});
        double natural = 0, ado = 0;
        for (DataBed.Regret regret : regrets)
            if (regret.policy().equals("natural")) natural += regret.regretNats();
            else ado += regret.regretNats();
        double ratio = ado / natural;
        assertTrue(natural > 3 * 0.002, "natural's regret is far above what the optimum is known to");
        assertTrue(ratio <= 0.25, () -> "of natural's regret: " + ratio);
    }

    /** So few pairs leave the fits vague: what is asked here is that vague fits do no harm. */
    @ParameterizedTest
    @ValueSource(strings = {"four", "four-even", "four-hard", "four-noisy", "repetition", "schedule"})
    void adoNeverHasMoreThanNaturalsRegret(String setting) {
        List<DataBed.Regret> regrets = new DataBed(SMALL, folder.resolve("bed"))
                .run(setting, List.of("natural", "ado/robust"), 1, 2, done -> {});
        double natural = regrets.get(0).regretNats() + regrets.get(2).regretNats(),
                ado = regrets.get(1).regretNats() + regrets.get(3).regretNats();
        assertTrue(natural > 0.002, () -> "natural " + natural);
        assertTrue(ado <= natural * (1 + 1e-9), () -> ado + " of " + natural);
    }

    /** A policy that goes by validation losses is told the learner's expected loss, at each step that it asks for. */
    @Test
    void theLearnerIsValidatedWhereAPolicyAsks() {
        try (BedRun run = run("ado-transfer", Map.of())) {
            run.loop().start();
            run.loop().runTo(200);
            List<?> points = points(run.loop().save(), "pointsLoss");
            assertTrue(points.size() > 10, () -> "validated " + points.size() + " times");
            run.loop().runTo(201);
            while (points(run.loop().save(), "pointsLoss").size() == points.size())
                run.loop().runTo(((Number) run.loop().save().get("steps")).longValue() + 1);
            double[] told_K = (double[]) points(run.loop().save(), "pointsLoss").getLast();
            for (int k = 0; k < FOUR.K(); k++) assertEquals(run.learner().populationNats(k), told_K[k], 0);
        }
    }

    private static List<?> points(Map<String, Object> saved, String key) {
        Map<?, ?> driver = (Map<?, ?>) ((Map<?, ?>) saved.get("policy")).get("driver");
        return (List<?>) ((Map<?, ?>) driver.get("state")).get(key);
    }

    @ParameterizedTest
    @ValueSource(strings = {"transfer", "hub"})
    void adoTransferNeverHasMoreThanNaturalsRegretWhereDomainsHelpEachOther(String setting) {
        List<DataBed.Regret> regrets = new DataBed(SMALL, folder.resolve("help"))
                .run(setting, List.of("natural", "ado-transfer"), 1, 2, done -> {});
        double natural = regrets.get(0).regretNats() + regrets.get(2).regretNats(),
                ado = regrets.get(1).regretNats() + regrets.get(3).regretNats();
        assertTrue(ado <= natural * (1 + 1e-9), () -> ado + " of " + natural);
    }

    /** An own pair of medium or rare says little of their rarer keys, a pair of the hub more. */
    @Test
    void theHubIsWorthSeveralTimesItsPrior() {
        DataSetting hub = DataSettings.COUNTING.byName("hub");
        double all = BedShape.COUNTING.allPairs();
        double[] any_K = {all, all, all, all}, none_K = {0, all, all, all};
        LookupLaw law = new LookupLaw(hub, BedShape.COUNTING.keys());
        LookupLaw.Optimum best = law.optimum(all, any_K, 1e-6), without = law.optimum(all, none_K, 1e-6);
        assertTrue(best.pairs_K()[0] > 5 * hub.prior_K()[0] * all, () -> Arrays.toString(best.pairs_K()));
        assertTrue(without.objectiveNats() > best.objectiveNats() + 0.004);
    }

    @Test
    void aCapOfOneEpochSparesWhatReadingAgainWouldCost() {
        DataBed bed = new DataBed(SMALL, folder.resolve("cap"));
        DataBed.Regret
                free =
                        bed.run("repetition", List.of("uniform"), 1, 1, done -> {})
                                .getFirst(),
                capped =
                        bed.run("repetition-capped", List.of("uniform"), 1, 1, done -> {})
                                .getFirst();
        assertEquals(0.25, free.share_K()[3], 1e-3);
        assertEquals(0.15, capped.share_K()[3], 1e-3);
        assertTrue(capped.regretNats() < 0.8 * free.regretNats(), () -> capped + " of " + free);
    }

    @Test
    void aStaticSplitIsReadAsItWasAskedFor() {
        DataBed.Regret regret = new DataBed(SMALL, folder.resolve("static"))
                .run("four", List.of("static:common=0.1:medium=0.2:rare=0.3:scarce=0.4"), 1, 1, done -> {})
                .getFirst();
        assertArrayEquals(new double[] {.1, .2, .3, .4}, regret.share_K(), 1e-3);
    }

    @ParameterizedTest
    @CsvSource({"1,301,ado/robust:gateSpread=1", "4,302,ado/robust:gateSpread=1", "4,303,ado-transfer"})
    void aRunThatIsKilledAndGoesOnDrawsAndLosesTheSame(int depth, long killed, String policy) throws IOException {
        Map<String, String> settings = Map.of("runtime.ringDepth", Integer.toString(depth));
        List<String> whole = new ArrayList<>(), parts = new ArrayList<>();
        String saved, learner, end;
        try (BedRun run = run(policy, settings, whole)) {
            run.loop().start();
            run.loop().runTo(killed);
            saved = JSON.writeValueAsString(run.loop().save());
            learner = JSON.writeValueAsString(run.learner().save());
            parts.addAll(whole);
            run.loop().runTo(400);
            end = JSON.writeValueAsString(run.loop().save());
        }
        TypeReference<Map<String, Object>> object = new TypeReference<>() {};
        try (BedRun run = run(policy, settings, parts)) {
            run.learner().restore(JSON.readValue(learner, object));
            run.loop().restart(JSON.readValue(saved, object));
            run.loop().runTo(400);
            assertEquals(end, JSON.writeValueAsString(run.loop().save()));
        }
        assertEquals(400, whole.size());
        assertEquals(whole, parts);
    }

    private static BedRun run(String policy, Map<String, String> settings) {
        return run(policy, settings, new ArrayList<>());
    }

    private static BedRun run(String policy, Map<String, String> settings, List<String> steps) {
        return new BedRun(
                FOUR,
                SMALL,
                dataset,
                policy,
                settings,
                1,
                report -> steps.add(report.step()
                        + Arrays.toString(report.mixture_K())
                        + Arrays.toString(report.lossNats_K())
                        + Arrays.toString(report.sequences_K())));
    }
}
