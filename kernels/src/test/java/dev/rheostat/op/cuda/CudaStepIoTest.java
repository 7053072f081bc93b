package dev.rheostat.op.cuda;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rheostat.op.AdamW;
import dev.rheostat.op.Backend;
import dev.rheostat.op.HostTensor;
import dev.rheostat.op.LossHead;
import dev.rheostat.op.RecordLayout;
import dev.rheostat.op.SlotLayout;
import dev.rheostat.op.StepIo;
import dev.rheostat.op.Tensor;
import dev.rheostat.op.cpu.PlainBackend;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.VarHandle;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

@Tag("kernels")
class CudaStepIoTest {
    private static final VarHandle SEQUENCE = JAVA_LONG.varHandle();

    /** Rings of one backend with everything that a step's io touches. */
    private static final class Side<X extends Tensor> {
        final Backend<X> backend;
        final StepIo.Rings rings;
        final StepIo<X> io;
        final StepIo.MicroBatch<X> batch;
        final AdamW.Control<X> control;
        final LossHead.Sums<X> sums;

        Side(Backend<X> backend, SlotLayout layout, int domains, int depth) {
            this.backend = backend;
            RecordLayout record = new RecordLayout(domains, layout.referenceLosses());
            rings = StepIo.Rings.allocate(backend, "rings", layout, record, depth);
            io = backend.stepIo(rings);
            batch = io.allocateMicroBatch();
            control = backend.adamW(16).allocateControl();
            LossHead<X> head = backend.lossHead(new LossHead.Shape(1, 8, 8, 8, domains, 1));
            sums = layout.referenceLosses() ? head.allocateSumsWithExcess() : head.allocateSums();
        }

        /** Random bytes with the step's number, the same for every side. */
        void fill(long step) {
            Random random = new Random(step);
            byte[] noise = new byte[(int) rings.slotLayout().bytes()];
            random.nextBytes(noise);
            MemorySegment slot = rings.slot(step);
            slot.copyFrom(MemorySegment.ofArray(noise));
            slot.set(JAVA_LONG, SlotLayout.STEP_OFFSET, step);
            slot.set(JAVA_FLOAT, SlotLayout.LEARNING_RATE_OFFSET, random.nextFloat());
            for (long b = 0; b < rings.slotLayout().sequences(); b++)
                slot.set(JAVA_FLOAT, rings.slotLayout().weightOffset() + 4 * b, random.nextFloat());
            for (long i = 0;
                    rings.slotLayout().referenceLosses()
                            && i < rings.slotLayout().tokensPerStep();
                    i++) slot.set(JAVA_FLOAT, rings.slotLayout().refLossOffset() + 4 * i, random.nextFloat());
        }

        List<X> batchTensors() {
            Stream<X> all = Stream.of(
                    batch.tokens_R(),
                    batch.targets_R(),
                    batch.domain_R(),
                    batch.weight_R(),
                    batch.docStart_R(),
                    batch.refLoss_R());
            return all.filter(Objects::nonNull).toList();
        }
    }

    /** T of no round number, so that nothing is aligned; fewer rows than a block and more; slots beyond one thread's loads. */
    @ParameterizedTest
    @CsvSource({
        "1, 1, 1, 1, 1, false",
        "6, 3, 5, 3, 2, true",
        "12, 2, 129, 22, 4, false",
        "12, 2, 129, 22, 4, true",
        "8, 4, 600, 300, 3, true"
    })
    void batchesAndRecordsAreThoseOfTheDefinition(
            int sequences, int microBatches, int T, int domains, int depth, boolean referenceLosses) {
        try (CudaUnderTest device = CudaUnderTest.open();
                Backend<HostTensor> plain = PlainBackend.open()) {
            SlotLayout layout = new SlotLayout(sequences, microBatches, T, referenceLosses);
            Side<DeviceTensor> found = new Side<>(device.backend(), layout, domains, depth);
            Side<HostTensor> expected = new Side<>(plain, layout, domains, depth);
            DeviceValues values = new DeviceValues(device.backend());
            long first = 5; // as a run that is resumed
            found.io.seek(first);
            expected.io.seek(first);
            for (long step = first; step < first + 2L * depth + 1; step++) {
                found.fill(step);
                expected.fill(step);
                found.io.begin(found.control);
                expected.io.begin(expected.control);
                for (int i = 0; i < microBatches; i++) {
                    found.io.load(found.batch, i);
                    expected.io.load(expected.batch, i);
                    for (int t = 0; t < (referenceLosses ? 6 : 5); t++)
                        assertArrayEquals(
                                expected.batchTensors().get(t).memory().toArray(JAVA_BYTE),
                                values.bytes(found.batchTensors().get(t)),
                                "step " + step + ", micro-batch " + i + ", tensor " + t);
                }
                publish(step, values, found, expected);
            }
        }
    }

    private static void publish(long step, DeviceValues values, Side<DeviceTensor> found, Side<HostTensor> expected) {
        int K = found.rings.recordLayout().domains();
        long[] sum_K = new Random(step).longs(K).toArray(),
                count_K = new Random(~step).longs(K).toArray();
        values.setLongs(found.sums.lossSum_K(), sum_K);
        values.setLongs(found.sums.tokenCount_K(), count_K);
        values.setLongs(found.sums.flags_2(), 3 * step, 4 * step);
        values.setLongs(found.control.counters_2(), 5 * step, 6 * step);
        values.set(found.control.gradNorm_1(), 0.5f * step);
        for (int k = 0; k < K; k++) {
            expected.sums.lossSum_K().setLong(k, sum_K[k]);
            expected.sums.tokenCount_K().setLong(k, count_K[k]);
        }
        for (int i = 0; i < 2; i++) {
            expected.sums.flags_2().setLong(i, (3 + i) * step);
            expected.control.counters_2().setLong(i, (5 + i) * step);
        }
        expected.control.gradNorm_1().setFloat(0, 0.5f * step);
        if (found.sums.excessSum_K() != null) {
            long[] excess_K = new Random(2 * step).longs(K).toArray();
            values.setLongs(found.sums.excessSum_K(), excess_K);
            for (int k = 0; k < K; k++) expected.sums.excessSum_K().setLong(k, excess_K[k]);
        }
        boolean trains = step % 3 != 0; // else it is an evaluation, which has no control
        found.io.publish(found.sums, trains ? found.control : null);
        expected.io.publish(expected.sums, trains ? expected.control : null);
        values.longs(found.sums.flags_2()); // waits
        // Both rings whole: other records are untouched too.
        assertArrayEquals(
                expected.rings.records().toArray(JAVA_BYTE),
                found.rings.records().toArray(JAVA_BYTE),
                "records after step " + step);
    }

    /** A step is the same ops every time: recorded once, it serves every slot. */
    @Test
    void oneProgramServesEveryStep() {
        try (CudaUnderTest device = CudaUnderTest.openWithGraphs()) {
            Side<DeviceTensor> side = new Side<>(device.backend(), new SlotLayout(2, 1, 3), 2, 2);
            DeviceValues values = new DeviceValues(device.backend());
            Runnable step = device.backend().program("step", () -> {
                side.io.begin(side.control);
                side.io.load(side.batch, 0);
                side.io.publish(side.sums, side.control);
            });
            side.io.seek(3);
            for (long t = 3; t < 8; t++) {
                side.fill(t);
                step.run();
                int[] tokens = values.ints(side.batch.tokens_R());
                assertEquals(side.rings.slot(t).get(JAVA_INT, SlotLayout.TOKENS_OFFSET), tokens[0]);
                assertEquals(t + 1, side.rings.record(t).get(JAVA_LONG, RecordLayout.SEQUENCE_OFFSET));
                assertEquals(
                        side.rings.slot(t).get(JAVA_FLOAT, SlotLayout.LEARNING_RATE_OFFSET),
                        side.rings.record(t).get(JAVA_FLOAT, RecordLayout.LEARNING_RATE_OFFSET));
            }
        }
    }

    /** Evaluation trains nothing: its slots have no learning rate to hand over, and it reads the same slot until it seeks. */
    @Test
    void aStepWithoutAControlLoadsItsBatch() {
        try (CudaUnderTest device = CudaUnderTest.open()) {
            Side<DeviceTensor> side = new Side<>(device.backend(), new SlotLayout(2, 1, 3), 1, 1);
            DeviceValues values = new DeviceValues(device.backend());
            for (long t = 0; t < 3; t++) {
                side.fill(t);
                side.io.begin(null);
                side.io.load(side.batch, 0);
                assertEquals(
                        side.rings.slot(t).get(JAVA_INT, SlotLayout.TOKENS_OFFSET),
                        values.ints(side.batch.tokens_R())[0]);
            }
            assertThrows(IllegalArgumentException.class, () -> side.io.load(side.batch, 1));
        }
    }

    /** Who sees a sequence number sees the whole record: a host thread reads while the device writes. */
    @Test
    void theSequenceNumberComesLast() {
        int K = 4096, steps = 12, depth = 2;
        try (CudaUnderTest device = CudaUnderTest.open()) {
            Side<DeviceTensor> side = new Side<>(device.backend(), new SlotLayout(1, 1, 1), K, depth);
            DeviceValues values = new DeviceValues(device.backend());
            RecordLayout layout = side.rings.recordLayout();
            for (long t = 0; t < steps; t++) {
                long mark = t + 1;
                side.fill(t);
                values.setLongs(
                        side.sums.lossSum_K(),
                        LongStream.generate(() -> mark).limit(K).toArray());
                values.setLongs(
                        side.sums.tokenCount_K(),
                        LongStream.generate(() -> -mark).limit(K).toArray());
                side.io.begin(side.control);
                side.io.publish(side.sums, side.control);
                MemorySegment record = side.rings.record(t);
                long deadlineNanos = System.nanoTime() + 20_000_000_000L;
                while ((long) SEQUENCE.getAcquire(record, RecordLayout.SEQUENCE_OFFSET) != mark) {
                    assertTrue(System.nanoTime() < deadlineNanos, "no record of step " + t);
                    Thread.onSpinWait();
                }
                assertEquals(t, record.get(JAVA_LONG, RecordLayout.STEP_OFFSET));
                for (int k = K - 1; k >= 0; k--) {
                    assertEquals(mark, record.get(JAVA_LONG, RecordLayout.LOSS_SUM_OFFSET + 8L * k));
                    assertEquals(-mark, record.get(JAVA_LONG, layout.tokenCountOffset() + 8L * k));
                }
            }
        }
    }
}
