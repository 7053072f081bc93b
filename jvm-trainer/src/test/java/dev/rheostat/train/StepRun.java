package dev.rheostat.train;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.rheostat.config.ModelConfig;
import dev.rheostat.config.ModelConfig.Mlp;
import dev.rheostat.config.ModelConfig.NormKind;
import dev.rheostat.config.ModelConfig.Positions;
import dev.rheostat.model.NamedTensor;
import dev.rheostat.op.AdamW;
import dev.rheostat.op.Backend;
import dev.rheostat.op.LossHead;
import dev.rheostat.op.RecordLayout;
import dev.rheostat.op.SlotLayout;
import dev.rheostat.op.StepIo;
import dev.rheostat.op.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.locks.LockSupport;

/** A training step on any backend, fed one batch at a time: it waits for each record. Closing it closes the backend. */
final class StepRun<X extends Tensor> implements AutoCloseable {
    static final int DOMAINS = 3;
    static final AdamW.Settings SETTINGS = new AdamW.Settings(0.9f, 0.95f, 1e-8f, 0.1f, 1);
    private static final int VOCABULARY = 61;

    final Backend<X> backend;
    final TrainStep<X> step;
    final ToyBatch batch;
    final MemorySegment record;
    private final Arena arena = Arena.ofConfined();
    private final LossRing losses;
    private final MemorySegment slot;

    /** @param batch that every step repeats, unless it is changed between two */
    StepRun(Backend<X> backend, ModelConfig config, ToyBatch batch, AdamW.Settings settings) {
        this.backend = backend;
        this.batch = batch;
        RecordLayout recordLayout = new RecordLayout(DOMAINS, batch.layout.referenceLosses());
        StepIo.Rings rings = StepIo.Rings.allocate(backend, "rings", batch.layout, recordLayout, 1);
        step = new TrainStep<>(backend, config, rings, settings, true);
        step.initialize(1);
        losses = new LossRing(rings);
        slot = rings.slot(0);
        record = rings.record(0);
    }

    /** The paper's block with one head of width 64, which is what the device's attention asks for. */
    static ModelConfig paper(int context) {
        return model(1, 0, context, NormKind.RMS, false, Mlp.SWIGLU, false, Positions.ROTARY, true);
    }

    /** GPT-2's block with grouped heads and an untied head: the ops that the paper's does not use. */
    static ModelConfig everyOption(int context) {
        return model(2, 1, context, NormKind.LAYER, true, Mlp.GELU, true, Positions.LEARNED, false);
    }

    private static ModelConfig model(
            int heads,
            int kvHeads,
            int context,
            NormKind norm,
            boolean gain,
            Mlp mlp,
            boolean bias,
            Positions positions,
            boolean tied) {
        return new ModelConfig(
                        "",
                        2,
                        heads,
                        kvHeads,
                        64 * heads,
                        0,
                        context,
                        VOCABULARY,
                        norm,
                        gain,
                        true,
                        mlp,
                        bias,
                        positions,
                        10_000,
                        tied)
                .resolve(VOCABULARY);
    }

    /** Tokens that can be learnt: each sequence counts up by its domain's stride; one token in eight is noise. */
    static ToyBatch counting(SlotLayout layout, long seed) {
        ToyBatch batch = new ToyBatch(layout, VOCABULARY, DOMAINS, seed);
        for (int b = 0; b < layout.sequences(); b++) {
            int[] tokens = batch.tokens_BT1[b];
            for (int t = 1; t < tokens.length; t++)
                if (tokens[t] % 8 != 0) tokens[t] = (tokens[t - 1] + 1 + batch.domain_B[b]) % VOCABULARY;
        }
        return batch;
    }

    /** @return mean nats of the step's tokens */
    double step(long number, double learningRate) {
        batch.write(slot, number, learningRate);
        step.run();
        while (!losses.arrived(number)) LockSupport.parkNanos(20_000);
        double nats = 0;
        for (int k = 0; k < DOMAINS; k++)
            nats += record.get(JAVA_LONG, RecordLayout.LOSS_SUM_OFFSET + 8L * k) / LossHead.FIXED_POINT;
        return nats / batch.layout.tokensPerStep();
    }

    /** Nats of the last step's tokens above their reference losses, by domain; only with reference losses. */
    double[] excess_K() {
        double[] excess_K = new double[DOMAINS];
        for (int k = 0; k < DOMAINS; k++)
            excess_K[k] = recorded(step.recordLayout().excessSumOffset() + 8L * k) / LossHead.FIXED_POINT;
        return excess_K;
    }

    long recorded(long offset) {
        return record.get(JAVA_LONG, offset);
    }

    /** What {@link TrainStep#namedTensors} holds: weights, moments, counters. */
    Map<String, byte[]> remembered() {
        Map<String, byte[]> all = new LinkedHashMap<>();
        for (NamedTensor<X> named : step.namedTensors()) all.put(named.name(), bytes(named.tensor()));
        return all;
    }

    void restore(Map<String, byte[]> remembered) {
        for (NamedTensor<X> named : step.namedTensors()) {
            byte[] bytes = remembered.get(named.name());
            MemorySegment copy = arena.allocate(bytes.length, 64);
            copy.copyFrom(MemorySegment.ofArray(bytes));
            backend.upload(named.tensor(), copy);
        }
    }

    Map<String, float[]> gradients() {
        Map<String, float[]> all = new LinkedHashMap<>();
        for (NamedTensor<X> named : step.gradients().parameters().named(""))
            all.put(
                    named.name(),
                    MemorySegment.ofArray(bytes(named.tensor())).toArray(JAVA_FLOAT.withByteAlignment(1)));
        return all;
    }

    private byte[] bytes(X tensor) {
        byte[] bytes = new byte[Math.toIntExact(tensor.bytes())];
        MemorySegment copy = arena.allocate(bytes.length, 64);
        backend.download(copy, tensor);
        MemorySegment.ofArray(bytes).copyFrom(copy);
        return bytes;
    }

    @Override
    public void close() {
        arena.close();
        backend.close();
    }
}
