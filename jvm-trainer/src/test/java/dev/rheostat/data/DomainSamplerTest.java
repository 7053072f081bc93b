package dev.rheostat.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rheostat.data.DomainSampler.Draw;
import java.util.HashSet;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class DomainSamplerTest {
    private static double[] mixture(Random random, int K) {
        double[] mixture = new double[K];
        double sum = 0;
        for (int k = 0; k < K; k++) sum += mixture[k] = Math.pow(-Math.log(1 - random.nextDouble()), 2);
        for (int k = 0; k < K; k++) mixture[k] /= sum;
        return mixture;
    }

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 5, 16, 17, 100, 257, 1000, 65537})
    void everyEpochVisitsEveryWindowOnce(long n) {
        for (long epoch = 0; epoch < 3; epoch++) {
            boolean[] seen = new boolean[Math.toIntExact(n)];
            for (long i = 0; i < n; i++) {
                int window = Math.toIntExact(WindowPermutation.at(42, 3, epoch, n, i));
                assertTrue(!seen[window], "window " + window + " twice in epoch " + epoch);
                seen[window] = true;
            }
        }
    }

    @Test
    void aTrillionWindowsNeedNoMemory() {
        Set<Long> seen = new HashSet<>();
        for (long i = 0; i < 10_000; i++) {
            long window = WindowPermutation.at(1, 0, 0, 1_000_000_000_000L, i);
            assertTrue(window >= 0 && window < 1_000_000_000_000L && seen.add(window));
        }
    }

    @Test
    void epochsAndSeedsHaveOrdersOfTheirOwn() {
        int same = 0, sameSeed = 0;
        for (long i = 0; i < 1000; i++) {
            if (WindowPermutation.at(1, 0, 0, 1000, i) == WindowPermutation.at(1, 0, 1, 1000, i)) same++;
            if (WindowPermutation.at(1, 0, 0, 1000, i) == WindowPermutation.at(2, 0, 0, 1000, i)) sameSeed++;
        }
        assertTrue(same < 10 && sameSeed < 10, same + " and " + sameSeed + " places alike of 1000; 1 is expected");
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 8})
    void countsStayWithinOneSequenceOfTheMixtureThatTurnsSlowly(int K) {
        TokenDataset dataset = MemoryTokens.dataset(K);
        DomainSampler sampler = new DomainSampler(dataset, 32, Draw.ERROR_FEEDBACK, 1);
        for (int seed = 0; seed < 20; seed++) {
            Random random = new Random(seed);
            double[] mixture = mixture(random, K), owed = new double[K];
            DomainSampler.State state = sampler.initial();
            for (int step = 0; step < 200; step++) {
                double[] toward = mixture(random, K);
                for (int k = 0; k < K; k++) mixture[k] = 0.98 * mixture[k] + 0.02 * toward[k];
                DomainSampler.Batch batch = sampler.next(state, mixture, 7);
                for (int k = 0; k < K; k++) owed[k] += 7 * mixture[k];
                for (int domain : batch.domain_B()) owed[domain]--;
                for (int k = 0; k < K; k++)
                    assertTrue(Math.abs(owed[k]) <= 1, "K=" + K + " domain " + k + ": " + owed[k]);
                state = batch.next();
            }
        }
    }

    @Test
    void theBatchIsAFunctionOfSeedStateAndMixture() {
        TokenDataset dataset = MemoryTokens.dataset(4);
        for (Draw draw : Draw.values()) {
            DomainSampler sampler = new DomainSampler(dataset, 16, draw, 9),
                    again = new DomainSampler(dataset, 16, draw, 9);
            DomainSampler.State state = sampler.initial();
            for (int step = 0; step < 30; step++) {
                DomainSampler.Batch batch = sampler.next(state, dataset.shares(), 5);
                DomainSampler.Batch twin = again.next(again.restore(state.save()), dataset.shares(), 5);
                assertArrayEquals(batch.domain_B(), twin.domain_B());
                assertArrayEquals(batch.window_B(), twin.window_B());
                state = batch.next();
            }
            assertEquals(30, state.step());
        }
    }

    @Test
    void aMultinomialFollowsTheMixtureInTheLongRun() {
        DomainSampler sampler = new DomainSampler(MemoryTokens.dataset(3), 16, Draw.MULTINOMIAL, 5);
        double[] mixture = {0.5, 0, 0.5};
        DomainSampler.State state = sampler.initial();
        for (int step = 0; step < 1000; step++)
            state = sampler.next(state, mixture, 8).next();
        assertEquals(0, state.drawn_K()[1]);
        assertEquals(4000, state.drawn_K()[0], 4 * Math.sqrt(8000 * 0.25)); // four standard deviations
    }

    @Test
    void aDomainShorterThanOneWindowIsNamed() {
        TokenDataset dataset = MemoryTokens.dataset(2);
        String message = assertThrows(
                        IllegalArgumentException.class,
                        () -> new DomainSampler(dataset, 15_000, Draw.ERROR_FEEDBACK, 1))
                .getMessage();
        assertTrue(message.contains("domain1") && message.contains("10000") && message.contains("15001"), message);
    }
}
