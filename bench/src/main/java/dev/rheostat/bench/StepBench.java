package dev.rheostat.bench;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.rheostat.config.RunConfig;
import dev.rheostat.op.Backend;
import dev.rheostat.op.LossHead;
import dev.rheostat.op.RecordLayout;
import dev.rheostat.op.SlotLayout;
import dev.rheostat.op.StepIo;
import dev.rheostat.op.Tensor;
import dev.rheostat.train.Backends;
import dev.rheostat.train.ModelPlan;
import dev.rheostat.train.TrainStep;
import dev.rheostat.train.Trainer;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.VarHandle;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Random;

/** Whole training steps on one fixed random batch, as a peer's are measured. */
final class StepBench {
    private static final int DOMAINS = 4;
    private static final VarHandle SEQUENCE = JAVA_LONG.varHandle();

    /** @param nats loss of the first and of the last step */
    record Result(double secondsPerStep, double tokensPerSecond, double gflops, double firstNats, double lastNats) {}

    private StepBench() {}

    /**
     * The median of the steps after the warm-up.
     * @throws IllegalStateException if the loss did not fall: then whatever was timed was no training
     */
    static Result run(RunConfig config, int warmUp, int steps) {
        SlotLayout layout = Trainer.slotLayout(config);
        ModelPlan plan = Backends.plan(config, DOMAINS);
        try (Backend<?> backend = Backends.open(config)) {
            return run(backend, config, layout, plan, warmUp, steps);
        }
    }

    private static <X extends Tensor> Result run(
            Backend<X> backend, RunConfig config, SlotLayout layout, ModelPlan plan, int warmUp, int steps) {
        StepIo.Rings rings = StepIo.Rings.allocate(backend, "rings", layout, new RecordLayout(DOMAINS), 1);
        TrainStep<X> step = new TrainStep<>(backend, config.model(), rings, Trainer.adamW(config.optimizer()), false);
        step.initialize(config.seed());
        MemorySegment slot = rings.slot(0), record = rings.record(0);
        fillAtRandom(slot, layout, config.model().vocabulary());
        double[] seconds = new double[steps];
        double first = 0, last = 0;
        for (int i = 0; i < warmUp + steps; i++) {
            slot.set(JAVA_LONG, SlotLayout.STEP_OFFSET, i);
            long startNanos = System.nanoTime();
            step.run();
            while ((long) SEQUENCE.getAcquire(record, RecordLayout.SEQUENCE_OFFSET) != i + 1) Thread.onSpinWait();
            if (i >= warmUp) seconds[i - warmUp] = (System.nanoTime() - startNanos) * 1e-9;
            last = nats(record) / layout.tokensPerStep();
            if (i == 0) first = last;
        }
        if (!(last < first))
            throw new IllegalStateException("the loss went from " + first + " to " + last + " nats: not measured");
        double median = Samples.median(seconds), tokens = layout.tokensPerStep();
        return new Result(median, tokens / median, plan.causalFlopsPerToken() * tokens / median * 1e-9, first, last);
    }

    private static void fillAtRandom(MemorySegment slot, SlotLayout layout, int vocabulary) {
        Random random = new Random(1);
        slot.set(JAVA_FLOAT, SlotLayout.LEARNING_RATE_OFFSET, 1e-3f);
        for (long i = 0; i < (long) layout.sequences() * (layout.tokens() + 1); i++)
            slot.set(JAVA_INT, SlotLayout.TOKENS_OFFSET + 4 * i, random.nextInt(vocabulary));
        for (int b = 0; b < layout.sequences(); b++) {
            slot.set(JAVA_INT, layout.domainOffset() + 4L * b, b % DOMAINS);
            slot.set(JAVA_FLOAT, layout.weightOffset() + 4L * b, 1);
        }
    }

    private static double nats(MemorySegment record) {
        double sum = 0;
        for (int k = 0; k < DOMAINS; k++)
            sum += record.get(JAVA_LONG, RecordLayout.LOSS_SUM_OFFSET + 8L * k) / LossHead.FIXED_POINT;
        return sum;
    }

    /** @param library GFLOP/s of the GEMM library on this model's shapes */
    static Map<String, Object> figures(RunConfig config, Result result, double library) {
        Map<String, Object> all = new LinkedHashMap<>();
        all.put("bench", "step");
        all.put(
                "model",
                "L" + config.model().layers() + " H" + config.model().heads() + " C"
                        + config.model().width() + " V" + config.model().vocabulary());
        all.put("batch", config.batch().sequences());
        all.put("seq", config.model().context());
        all.put("precision", config.precision().name().toLowerCase(java.util.Locale.ROOT));
        all.put("threads", Backends.threads(config));
        all.put("tokens_per_second", Machine.round(result.tokensPerSecond()));
        all.put("seconds_per_step", Machine.round(result.secondsPerStep()));
        all.put("gflops", Machine.round(result.gflops()));
        all.put("gemm_library_gflops", Machine.round(library));
        all.put("gemm_share", Machine.round(result.gflops() / library));
        all.put("loss_first", Machine.round(result.firstNats()));
        all.put("loss_last", Machine.round(result.lastNats()));
        return all;
    }
}
