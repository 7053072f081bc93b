package dev.rheostat.train;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rheostat.config.ModelConfig;
import dev.rheostat.config.ModelConfig.Mlp;
import dev.rheostat.config.ModelConfig.NormKind;
import dev.rheostat.config.ModelConfig.Positions;
import dev.rheostat.model.NamedTensor;
import dev.rheostat.model.Toy;
import dev.rheostat.op.AdamW;
import dev.rheostat.op.Backend;
import dev.rheostat.op.HostTensor;
import dev.rheostat.op.LossHead;
import dev.rheostat.op.RecordLayout;
import dev.rheostat.op.SlotLayout;
import dev.rheostat.op.StepIo;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.management.ManagementFactory;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class TrainStepTest {
    private static final int DOMAINS = 3;
    private static final AdamW.Settings SETTINGS = new AdamW.Settings(0.9f, 0.95f, 1e-8f, 0.1f, 1);

    @ParameterizedTest
    @EnumSource
    void oneBatchIsLearntByHeart(BackendsUnderTest kind) {
        try (Run run = new Run(kind, Toy.paper(true), new SlotLayout(2, 1, 12), 1)) {
            double first = run.step(0, 1e-2);
            double last = first;
            for (int step = 1; step < 120; step++) last = run.step(step, 1e-2);
            // Before it has learnt, a model knows no more than chance: ln 11 and what random weights add to it.
            assertTrue(first > 2 && first < 5, "first=" + first);
            assertTrue(last < 0.1, "last=" + last);
        }
    }

    @ParameterizedTest
    @EnumSource
    void sameSeedSameBits(BackendsUnderTest kind) {
        SlotLayout layout = new SlotLayout(4, 2, 9);
        Map<String, byte[]> one, two, other;
        try (Run run = new Run(kind, Toy.everyOption(true), layout, 1)) {
            for (int step = 0; step < 5; step++) run.step(step, 1e-2);
            one = run.remembered();
        }
        try (Run run = new Run(kind, Toy.everyOption(true), layout, 1)) {
            for (int step = 0; step < 5; step++) run.step(step, 1e-2);
            two = run.remembered();
        }
        try (Run run = new Run(kind, Toy.everyOption(true), layout, 2)) {
            for (int step = 0; step < 5; step++) run.step(step, 1e-2);
            other = run.remembered();
        }
        assertEquals(one.keySet(), two.keySet());
        one.forEach((name, bytes) -> assertArrayEquals(bytes, two.get(name), name));
        assertFalse(Arrays.equals(one.get("embedding.weight"), other.get("embedding.weight")));
    }

    /** What a checkpoint does: a run that goes on from another's remembered tensors has the same bits. */
    @ParameterizedTest
    @EnumSource
    void namedTensorsAreAllThatARunRemembers(BackendsUnderTest kind) {
        SlotLayout layout = new SlotLayout(2, 1, 9);
        try (Run whole = new Run(kind, Toy.everyOption(false), layout, 1);
                Run resumed = new Run(kind, Toy.everyOption(false), layout, 99)) {
            for (int step = 0; step < 3; step++) whole.step(step, 1e-2);
            resumed.restore(whole.remembered());
            for (int step = 3; step < 6; step++) {
                whole.step(step, 1e-2);
                resumed.step(step, 1e-2);
            }
            Map<String, byte[]> wanted = whole.remembered();
            resumed.remembered().forEach((name, bytes) -> assertArrayEquals(wanted.get(name), bytes, name));
        }
    }

    @ParameterizedTest
    @EnumSource
    void microBatchesAddUpToTheBatch(BackendsUnderTest kind) {
        try (Run whole = new Run(kind, Toy.paper(true), new SlotLayout(4, 1, 9), 1);
                Run parts = new Run(kind, Toy.paper(true), new SlotLayout(4, 4, 9), 1)) {
            assertEquals(whole.step(0, 0), parts.step(0, 0), 1e-6);
            for (int k = 0; k < DOMAINS; k++) assertEquals(whole.tokenCount(k), parts.tokenCount(k));
            Map<String, float[]> wanted = whole.gradients();
            parts.gradients().forEach((name, d) -> {
                // Both round sums of 36 rows, in another order: a few units of 2^-24 of the largest summand's size.
                assertArrayEquals(wanted.get(name), d, 64 * 0x1p-24f * largest(wanted.get(name)), name);
            });
        }
    }

    @ParameterizedTest
    @EnumSource
    void theTiedGradientIsTheSumOfBothUses(BackendsUnderTest kind) {
        SlotLayout layout = new SlotLayout(2, 1, 9);
        try (Run tied = new Run(kind, Toy.paper(true), layout, 1);
                Run untied = new Run(kind, Toy.paper(false), layout, 1)) {
            // The untied head is initialised from the embedding, so both models are the same function.
            assertEquals(tied.step(0, 0), untied.step(0, 0), 0);
            float[] sum = untied.gradients().get("embedding.weight");
            float[] head = untied.gradients().get("head.weight");
            for (int i = 0; i < sum.length; i++) sum[i] += head[i];
            assertTrue(largest(head) > 0.01f);
            assertArrayEquals(sum, tied.gradients().get("embedding.weight"), 16 * 0x1p-24f * largest(sum));
        }
    }

    @ParameterizedTest
    @EnumSource
    void paddingRowsStayZero(BackendsUnderTest kind) {
        ModelConfig config = Toy.paper(false);
        try (Run run = new Run(kind, config, new SlotLayout(2, 1, 9), 1)) {
            for (int step = 0; step < 10; step++) run.step(step, 1e-2);
            int used = config.vocabulary() * config.width();
            for (NamedTensor<HostTensor> named : run.step.namedTensors()) {
                if (!named.name().endsWith("embedding.weight") && !named.name().endsWith("head.weight")) continue;
                assertEquals(config.paddedVocabulary(), named.tensor().dim(0));
                for (long i = used; i < named.tensor().size(); i++)
                    assertEquals(0, named.tensor().getFloat(i), named.name());
            }
        }
    }

    @ParameterizedTest
    @EnumSource
    void theRecordTellsTheStep(BackendsUnderTest kind) {
        SlotLayout layout = new SlotLayout(4, 2, 9);
        try (Run run = new Run(kind, Toy.paper(true), layout, 1)) {
            run.step(41, 0.5);
            long tokens = 0;
            for (int k = 0; k < DOMAINS; k++) tokens += run.tokenCount(k);
            assertEquals(layout.tokensPerStep(), tokens);
            assertEquals(42, run.record.get(JAVA_LONG, RecordLayout.SEQUENCE_OFFSET));
            assertEquals(41, run.record.get(JAVA_LONG, RecordLayout.STEP_OFFSET));
            assertEquals(0.5f, run.record.get(JAVA_FLOAT, RecordLayout.LEARNING_RATE_OFFSET));
            assertEquals(1, run.record.get(JAVA_LONG, RecordLayout.APPLIED_OFFSET));
            assertEquals(0, run.record.get(JAVA_LONG, RecordLayout.SKIPPED_OFFSET));
            double squares = 0;
            for (float[] d : run.gradients().values()) for (float g : d) squares += (double) g * g;
            float norm = run.record.get(JAVA_FLOAT, RecordLayout.GRAD_NORM_OFFSET);
            assertEquals(Math.sqrt(squares), norm, 1e-5 * norm);
        }
    }

    @ParameterizedTest
    @EnumSource
    void aWeightThatIsNoNumberSkipsTheStepAndIsCounted(BackendsUnderTest kind) {
        try (Run run = new Run(kind, Toy.paper(true), new SlotLayout(2, 1, 9), 1)) {
            run.step(0, 1e-2);
            Map<String, byte[]> before = run.remembered();
            run.batch.weight_B[1] = Float.NaN;
            run.step(1, 1e-2);
            assertEquals(1, run.record.get(JAVA_LONG, RecordLayout.APPLIED_OFFSET));
            assertEquals(1, run.record.get(JAVA_LONG, RecordLayout.SKIPPED_OFFSET));
            Map<String, byte[]> after = run.remembered();
            before.forEach((name, bytes) -> {
                if (!name.equals("adam.counters")) assertArrayEquals(bytes, after.get(name), name);
            });
        }
    }

    @ParameterizedTest
    @EnumSource
    void aStepTakesNothingThatItKeeps(BackendsUnderTest kind) {
        try (Run run = new Run(kind, Toy.everyOption(true), new SlotLayout(4, 2, 9), 1)) {
            run.step(0, 1e-2);
            Map<String, Long> before = new LinkedHashMap<>(run.backend.allocatedBytes());
            for (int step = 1; step < 5; step++) run.step(step, 1e-2);
            assertEquals(before, run.backend.allocatedBytes());
        }
    }

    /** On the heap a step makes views and lambdas; what a collection cannot take away again would be a leak. */
    @Test
    void aStepLeavesNothingOnTheHeap() {
        int steps = 50;
        try (Run run = new Run(BackendsUnderTest.CPU, wide(64), new SlotLayout(4, 2, 9), 1)) {
            for (int step = 0; step < steps; step++) run.step(step, 1e-3);
            long before = liveHeapBytes();
            for (int step = steps; step < 2 * steps; step++) run.step(step, 1e-3);
            long left = liveHeapBytes() - before;
            long oneActivationAStep = steps * 4L * 9 * 64 * Float.BYTES;
            assertTrue(left < oneActivationAStep / 8, steps + " steps left " + left + " bytes");
        }
    }

    /** What is reachable: the least of a few collections, since other threads of the machine allocate too. */
    private static long liveHeapBytes() {
        long least = Long.MAX_VALUE;
        for (int i = 0; i < 5; i++) {
            System.gc();
            least = Math.min(
                    least,
                    ManagementFactory.getMemoryMXBean().getHeapMemoryUsage().getUsed());
        }
        return least;
    }

    private static ModelConfig wide(int width) {
        return new ModelConfig(
                        "",
                        2,
                        2,
                        0,
                        width,
                        0,
                        12,
                        11,
                        NormKind.RMS,
                        true,
                        true,
                        Mlp.SWIGLU,
                        true,
                        Positions.LEARNED,
                        0,
                        true)
                .resolve(11);
    }

    @Test
    void moreTokensThanTheContextAreRefused() {
        IllegalArgumentException refusal = assertThrows(
                IllegalArgumentException.class,
                () -> new Run(BackendsUnderTest.PLAIN, Toy.paper(true), new SlotLayout(1, 1, 13), 1).close());
        assertEquals("tokens=13 is more than the model's context 12", refusal.getMessage());
    }

    private static float largest(float[] values) {
        float largest = 0;
        for (float value : values) largest = Math.max(largest, Math.abs(value));
        return largest;
    }

    /** A backend, a step and one batch that every step repeats. */
    static final class Run implements AutoCloseable {
        final Backend<HostTensor> backend;
        final TrainStep<HostTensor> step;
        final ToyBatch batch;
        final MemorySegment record;
        private final Arena arena = Arena.ofConfined();
        private final MemorySegment slot;

        Run(BackendsUnderTest kind, ModelConfig config, SlotLayout layout, long seed) {
            backend = kind.open();
            StepIo.Rings rings = StepIo.Rings.allocate(backend, "rings", layout, new RecordLayout(DOMAINS), 1);
            step = new TrainStep<>(backend, config, rings, SETTINGS, false);
            step.initialize(seed);
            batch = new ToyBatch(layout, config.vocabulary(), DOMAINS, 7);
            slot = rings.slot(0);
            record = rings.record(0);
        }

        /** @return mean nats of the step's tokens */
        double step(long number, double learningRate) {
            batch.write(slot, number, learningRate);
            step.run();
            double nats = 0;
            for (int k = 0; k < DOMAINS; k++)
                nats += record.get(JAVA_LONG, RecordLayout.LOSS_SUM_OFFSET + 8L * k) / LossHead.FIXED_POINT;
            return nats / step.slotLayout().tokensPerStep();
        }

        long tokenCount(int k) {
            return record.get(JAVA_LONG, step.recordLayout().tokenCountOffset() + 8L * k);
        }

        Map<String, byte[]> remembered() {
            Map<String, byte[]> all = new LinkedHashMap<>();
            for (NamedTensor<HostTensor> named : step.namedTensors()) {
                byte[] bytes = new byte[Math.toIntExact(named.tensor().bytes())];
                MemorySegment copy = arena.allocate(bytes.length, 64);
                backend.download(copy, named.tensor());
                MemorySegment.ofArray(bytes).copyFrom(copy);
                all.put(named.name(), bytes);
            }
            return all;
        }

        void restore(Map<String, byte[]> remembered) {
            for (NamedTensor<HostTensor> named : step.namedTensors()) {
                byte[] bytes = remembered.get(named.name());
                MemorySegment copy = arena.allocate(bytes.length, 64);
                copy.copyFrom(MemorySegment.ofArray(bytes));
                backend.upload(named.tensor(), copy);
            }
        }

        Map<String, float[]> gradients() {
            Map<String, float[]> all = new LinkedHashMap<>();
            for (NamedTensor<HostTensor> named : step.gradients().parameters().named(""))
                all.put(named.name(), named.tensor().memory().toArray(JAVA_FLOAT));
            return all;
        }

        @Override
        public void close() {
            arena.close();
            backend.close();
        }
    }
}
