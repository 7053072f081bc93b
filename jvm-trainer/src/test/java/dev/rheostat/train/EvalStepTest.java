package dev.rheostat.train;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.rheostat.config.ModelConfig;
import dev.rheostat.model.NamedTensor;
import dev.rheostat.model.Parameters;
import dev.rheostat.model.ReferenceGpt;
import dev.rheostat.model.Toy;
import dev.rheostat.op.Backend;
import dev.rheostat.op.HostTensor;
import dev.rheostat.op.SlotLayout;
import dev.rheostat.train.TrainStepTest.Run;
import java.util.HashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class EvalStepTest {
    private static final int DOMAINS = 3;

    @ParameterizedTest
    @EnumSource
    void evaluatingBetweenStepsChangesNoBitOfTheTraining(BackendsUnderTest kind) {
        SlotLayout layout = new SlotLayout(4, 2, 9);
        try (Run plain = new Run(kind, Toy.everyOption(true), layout, 1);
                Run watched = new Run(kind, Toy.everyOption(true), layout, 1)) {
            EvalStep<HostTensor> evaluation = EvalStep.beside(watched.step);
            ToyBatch unseen = new ToyBatch(evaluation.slotLayout(), 11, DOMAINS, 50);
            for (int step = 0; step < 6; step++) {
                plain.step(step, 1e-2);
                unseen.write(evaluation.slot(), 1000, 1e9);
                evaluation.run();
                watched.step(step, 1e-2);
                assertEquals(-1, plain.record.mismatch(watched.record), "record of step " + step);
            }
            Map<String, byte[]> wanted = plain.remembered();
            watched.remembered().forEach((name, bytes) -> assertArrayEquals(wanted.get(name), bytes, name));
        }
    }

    @ParameterizedTest
    @EnumSource
    void lossesAreTheReferences(BackendsUnderTest kind) {
        for (ModelConfig config : new ModelConfig[] {Toy.paper(true), Toy.everyOption(false), Toy.llama()})
            for (boolean documentMask : new boolean[] {false, true})
                try (Alone alone = new Alone(kind, config, new SlotLayout(3, 1, 10), documentMask)) {
                    ToyBatch batch = new ToyBatch(alone.evaluation.slotLayout(), config.vocabulary(), DOMAINS, 4);
                    float[] nats = alone.losses(batch);
                    for (int b = 0; b < 3; b++) {
                        double[] wanted = alone.reference()
                                .tokenLosses(batch.tokens_BT1[b], documentMask ? batch.docStart_BT[b] : new int[10]);
                        for (int t = 0; t < 10; t++)
                            assertEquals(wanted[t], nats[10 * b + t], 2e-5, "b=" + b + " t=" + t);
                    }
                }
    }

    /** Weights are evaluated alike beside a training step and alone, in as little memory. */
    @ParameterizedTest
    @EnumSource
    void aloneEqualsBeside(BackendsUnderTest kind) {
        SlotLayout layout = new SlotLayout(2, 1, 9);
        try (Run run = new Run(kind, Toy.paper(true), layout, 1);
                Alone alone = new Alone(kind, Toy.paper(true), layout, false)) {
            EvalStep<HostTensor> beside = EvalStep.beside(run.step);
            run.batch.write(beside.slot(), 0, 0);
            beside.run();
            assertArrayEquals(alone.losses(run.batch), beside.tokenLosses().toArray(JAVA_FLOAT));
        }
    }

    @ParameterizedTest
    @EnumSource
    void totalsCountOnlyTheSequencesThatWereAskedFor(BackendsUnderTest kind) {
        try (Alone alone = new Alone(kind, Toy.paper(true), new SlotLayout(3, 1, 10), false)) {
            ToyBatch batch = new ToyBatch(alone.evaluation.slotLayout(), 11, DOMAINS, 4);
            batch.domain_B[0] = 2;
            batch.domain_B[1] = 0;
            batch.domain_B[2] = 2;
            float[] nats = alone.losses(batch);
            EvalStep.Totals totals = new EvalStep.Totals(DOMAINS);
            alone.evaluation.run(2, totals);
            alone.evaluation.run(1, totals);
            double[] sum = new double[2];
            for (int t = 0; t < 10; t++) {
                sum[0] += nats[t];
                sum[1] += nats[10 + t];
            }
            assertArrayEquals(new long[] {10, 0, 20}, totals.tokens_K());
            assertArrayEquals(new double[] {sum[1], 0, 2 * sum[0]}, totals.lossNats_K());
            assertEquals(sum[0] / 10, totals.meanNats(2));
            assertEquals(Double.NaN, totals.meanNats(1));
        }
    }

    /** Two documents in one sequence under the mask have the losses that each has in a sequence of its own. */
    @ParameterizedTest
    @EnumSource
    void theDocumentMaskEqualsSeparateSequences(BackendsUnderTest kind) {
        try (Alone alone = new Alone(kind, Toy.paper(true), new SlotLayout(2, 1, 10), true)) {
            ToyBatch packed = new ToyBatch(alone.evaluation.slotLayout(), 11, DOMAINS, 4);
            int border = 6;
            for (int t = 0; t < 10; t++) packed.docStart_BT[0][t] = t < border ? 0 : border;
            // Sequence 1 starts with what is the second document of sequence 0, then holds something else.
            System.arraycopy(packed.tokens_BT1[0], border, packed.tokens_BT1[1], 0, 11 - border);
            packed.docStart_BT[1] = new int[10];
            float[] nats = alone.losses(packed);
            for (int t = border; t < 10; t++) assertEquals(nats[10 + t - border], nats[t], 1e-5, "t=" + t);

            // What follows a document does not reach back into it: replacing it changes no bit before the border.
            ToyBatch other = new ToyBatch(alone.evaluation.slotLayout(), 11, DOMAINS, 4);
            other.docStart_BT[0] = packed.docStart_BT[0].clone();
            for (int t = border + 1; t <= 10; t++) other.tokens_BT1[0][t] = (other.tokens_BT1[0][t] + 1) % 11;
            float[] otherNats = alone.losses(other);
            for (int t = 0; t < border; t++) assertEquals(nats[t], otherNats[t], "t=" + t);
        }
    }

    @Test
    void evaluationHasOneMicroBatch() {
        IllegalArgumentException refusal = assertThrows(
                IllegalArgumentException.class,
                () -> new Alone(BackendsUnderTest.PLAIN, Toy.paper(true), new SlotLayout(4, 2, 5), false).close());
        assertEquals("microBatches=2; evaluation has one", refusal.getMessage());
    }

    /** An evaluation with weights as {@link Run}'s seed 1 has them. */
    private static final class Alone implements AutoCloseable {
        final Backend<HostTensor> backend;
        final Parameters<HostTensor> parameters;
        final EvalStep<HostTensor> evaluation;

        Alone(BackendsUnderTest kind, ModelConfig config, SlotLayout layout, boolean documentMask) {
            backend = kind.open();
            parameters = Parameters.weights(backend, config);
            dev.rheostat.model.Initializer.initialize(backend, parameters, 1);
            evaluation = EvalStep.alone(backend, config, parameters, layout, DOMAINS, documentMask);
        }

        float[] losses(ToyBatch batch) {
            batch.write(evaluation.slot(), 0, 0);
            evaluation.run();
            return evaluation.tokenLosses().toArray(JAVA_FLOAT);
        }

        ReferenceGpt reference() {
            Map<String, double[]> values = new HashMap<>();
            for (NamedTensor<HostTensor> named : parameters.named("")) {
                double[] copy = new double[Math.toIntExact(named.tensor().size())];
                for (int i = 0; i < copy.length; i++) copy[i] = named.tensor().getFloat(i);
                values.put(named.name(), copy);
            }
            return new ReferenceGpt(evaluation.config(), values);
        }

        @Override
        public void close() {
            backend.close();
        }
    }
}
