package dev.rheostat.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rheostat.config.RheostatException;
import dev.rheostat.model.Initializer;
import dev.rheostat.model.Parameters;
import dev.rheostat.model.Toy;
import dev.rheostat.op.Backend;
import dev.rheostat.op.HostTensor;
import dev.rheostat.op.SlotLayout;
import dev.rheostat.train.Generator.Sampling;
import dev.rheostat.train.TrainStepTest.Run;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class GeneratorTest {
    private static final Sampling GREEDY = new Sampling(0, 0, 1);

    /** Id v is followed by v + 3 modulo 11; a model that has learnt this counts on, past its window too. */
    @ParameterizedTest
    @EnumSource
    void aLearntTextIsContinued(BackendsUnderTest kind) {
        try (Run run = new Run(kind, Toy.paper(true), new SlotLayout(4, 1, 12), 1)) {
            for (int b = 0; b < 4; b++) for (int t = 0; t <= 12; t++) run.batch.tokens_BT1[b][t] = (5 * b + 3 * t) % 11;
            for (int step = 0; step < 60; step++) run.step(step, 1e-2);
            Generator<HostTensor> generator = new Generator<>(run.backend, run.step.config(), run.step.parameters(), 8);
            int[] prompt = counting(0, 2);
            assertArrayEquals(counting(2, 20), generator.generate(prompt, 20, -1, GREEDY));
            int stop = counting(7, 1)[0];
            assertArrayEquals(counting(2, 5), generator.generate(prompt, 20, stop, GREEDY), "stops before");
            int[] longer = counting(0, 15);
            assertArrayEquals(counting(15, 3), generator.generate(longer, 3, -1, GREEDY), "longer than the window");
        }
    }

    @ParameterizedTest
    @EnumSource
    void aSeedGivesOneTextAndPaddingIdsNeverCome(BackendsUnderTest kind) {
        try (Backend<HostTensor> backend = kind.open()) {
            Parameters<HostTensor> parameters = Parameters.weights(backend, Toy.everyOption(false));
            Initializer.initialize(backend, parameters, 1);
            Generator<HostTensor> generator = new Generator<>(backend, Toy.everyOption(false), parameters, 6);
            int[] one = generator.generate(new int[] {1}, 40, -1, new Sampling(2, 0, 5));
            assertArrayEquals(one, generator.generate(new int[] {1}, 40, -1, new Sampling(2, 0, 5)));
            assertFalse(Arrays.equals(one, generator.generate(new int[] {1}, 40, -1, new Sampling(2, 0, 6))));
            for (int token : one) assertTrue(token >= 0 && token < 11, () -> "token " + token);
        }
    }

    @Test
    void drawsFollowTheSoftmax() {
        float[] logits = {1, 3, -2, 2};
        int n = 20_000;
        double[] share = shares(logits, new Sampling(0.5, 0, 1), n);
        double total = 0;
        for (float logit : logits) total += Math.exp(logit / 0.5);
        // The uniform numbers are a grid of n cells, so a share is off by at most one cell at each end.
        for (int v = 0; v < 4; v++) assertEquals(Math.exp(logits[v] / 0.5) / total, share[v], 2.0 / n);
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3})
    void topKLeavesSoMany(int k) {
        double[] share = shares(new float[] {1, 3, -2, 2}, new Sampling(5, k, 1), 1000);
        assertEquals(k, Arrays.stream(share).filter(s -> s > 0).count());
        assertTrue(share[1] > 0);
    }

    @Test
    void temperatureZeroTakesTheLikeliestAndTheLowestAmongEquals() {
        assertEquals(2, Generator.draw(new float[] {1, 0, 4, 4}, GREEDY, 0.999));
    }

    @Test
    void logitsThatAreNoNumbersAreADamagedCheckpoint() {
        RheostatException refusal =
                assertThrows(RheostatException.class, () -> Generator.draw(new float[] {1, Float.NaN}, GREEDY, 0.5));
        assertEquals(RheostatException.Kind.DAMAGED, refusal.kind());
        assertEquals(
                "the weights give token 1 the logit NaN: take an earlier checkpoint of this run", refusal.getMessage());
    }

    @Test
    void settingsAreChecked() {
        assertThrows(IllegalArgumentException.class, () -> new Sampling(-1, 0, 0));
        assertThrows(IllegalArgumentException.class, () -> new Sampling(Double.NaN, 0, 0));
        assertThrows(IllegalArgumentException.class, () -> new Sampling(1, -1, 0));
    }

    private static int[] counting(int from, int count) {
        int[] ids = new int[count];
        for (int i = 0; i < count; i++) ids[i] = 3 * (from + i) % 11;
        return ids;
    }

    private static double[] shares(float[] logits, Sampling sampling, int n) {
        double[] share = new double[logits.length];
        for (int i = 0; i < n; i++) share[Generator.draw(logits, sampling, (i + 0.5) / n)] += 1.0 / n;
        return share;
    }
}
