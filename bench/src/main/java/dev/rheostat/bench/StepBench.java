package dev.rheostat.bench;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.rheostat.config.ModelConfig;
import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RunConfig;
import dev.rheostat.op.Backend;
import dev.rheostat.op.LossHead;
import dev.rheostat.op.RecordLayout;
import dev.rheostat.op.SlotLayout;
import dev.rheostat.op.StepIo;
import dev.rheostat.op.Tensor;
import dev.rheostat.train.Backends;
import dev.rheostat.train.LateRecords;
import dev.rheostat.train.ModelPlan;
import dev.rheostat.train.TrainStep;
import dev.rheostat.train.Trainer;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.VarHandle;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Random;

/**
 * Whole training steps on one fixed random batch, as a peer's are measured. They are launched as the trainer launches them: step t as
 * soon as record t - S has arrived, S being the run's ring depth.
 */
final class StepBench {
    /** Of every step, as of the peers'. */
    static final float LEARNING_RATE = 1e-3f;

    private static final int DOMAINS = 4;
    private static final VarHandle SEQUENCE = JAVA_LONG.varHandle();

    /**
     * @param secondsPerStep median time from record to record
     * @param secondsAlone median time from a step's launch to its record, nothing else under way; on the CPU the same as the above
     * @param gflops by the causal count; fullGflops by that of all pairs of positions
     * @param firstNats loss of the first step, lastNats of the last
     */
    record Result(
            double secondsPerStep,
            double secondsAlone,
            double tokensPerSecond,
            double gflops,
            double fullGflops,
            double firstNats,
            double lastNats,
            Device device) {}

    /**
     * What a GPU says beside it.
     * @param busySeconds median device time of a step, gapSeconds from its end to the begin of the next
     * @param clocks while steps are under way
     */
    record Device(
            String name,
            long nodes,
            boolean graph,
            double busySeconds,
            double gapSeconds,
            double largestGapSeconds,
            Map<String, Double> clocks) {}

    private StepBench() {}

    /**
     * The median of the steps after the warm-up.
     * @throws RheostatException MACHINE naming what would fit, where the steps do not
     * @throws IllegalStateException if the loss did not fall: then whatever was timed was no training
     */
    static Result run(RunConfig config, int warmUp, int steps) {
        SlotLayout layout = Trainer.slotLayout(config);
        ModelPlan plan = Backends.plan(config, DOMAINS);
        Backends.requireFits(config, plan, DOMAINS);
        try (Backend<?> backend = Backends.open(config)) {
            return run(backend, config, layout, plan, warmUp, steps);
        }
    }

    private static <X extends Tensor> Result run(
            Backend<X> backend, RunConfig config, SlotLayout layout, ModelPlan plan, int warmUp, int steps) {
        int depth = config.runtime().ringDepth().orElseThrow();
        StepIo.Rings rings = StepIo.Rings.allocate(backend, "rings", layout, new RecordLayout(DOMAINS), depth);
        TrainStep<X> step = new TrainStep<>(backend, config.model(), rings, Trainer.adamW(config.optimizer()), false);
        step.initialize(config.seed());
        for (int slot = 0; slot < depth; slot++)
            fillAtRandom(rings.slot(slot), layout, config.model().vocabulary());
        Steps run = new Steps(backend, step, rings);
        double first = run.one() / layout.tokensPerStep();
        for (int i = 1; i < warmUp; i++) run.one();
        double[] alone = new double[depth == 1 ? 0 : Math.max(1, steps / 4)];
        for (int i = 0; i < alone.length; i++) {
            long startNanos = System.nanoTime();
            run.one();
            alone[i] = (System.nanoTime() - startNanos) * 1e-9;
        }
        try (StepClock clock = StepClock.of(backend, steps)) {
            double[] seconds = run.many(steps, clock);
            double last = run.nats(run.done() - 1) / layout.tokensPerStep(), median = Samples.median(seconds);
            if (!(last < first))
                throw new IllegalStateException("the loss went from " + first + " to " + last + " nats: not measured");
            double tokens = layout.tokensPerStep();
            return new Result(
                    median,
                    alone.length == 0 ? median : Samples.median(alone),
                    tokens / median,
                    plan.causalFlopsPerToken() * tokens / median * 1e-9,
                    plan.fullFlopsPerToken() * tokens / median * 1e-9,
                    first,
                    last,
                    clock.device(config.runtime().graph(), run::one));
        }
    }

    /** Steps one after the other, each on the batch that lies in all slots. */
    private static final class Steps {
        private final TrainStep<?> step;
        private final StepIo.Rings rings;
        private final LateRecords lateRecords;
        private long launched;
        private long done;

        Steps(Backend<?> backend, TrainStep<?> step, StepIo.Rings rings) {
            this.step = step;
            this.rings = rings;
            lateRecords = new LateRecords(backend, LateRecords.Limits.DEFAULT, "step");
        }

        long done() {
            return done;
        }

        private void launch() {
            rings.slot(launched).set(JAVA_LONG, SlotLayout.STEP_OFFSET, launched);
            step.run();
            launched++;
        }

        private boolean arrived() {
            return (long) SEQUENCE.getAcquire(rings.record(done), RecordLayout.SEQUENCE_OFFSET) == done + 1;
        }

        private void await() {
            long startNanos = System.nanoTime();
            while (!arrived()) {
                Thread.onSpinWait();
                lateRecords.waiting(done, System.nanoTime() - startNanos, this::arrived);
            }
            lateRecords.arrived(System.nanoTime() - startNanos);
            done++;
        }

        /** Nothing else under way. @return its loss sum, nats */
        double one() {
            launch();
            await();
            return nats(done - 1);
        }

        /** As many under way as the rings are deep. @return seconds from record to record */
        double[] many(int steps, StepClock clock) {
            double[] seconds = new double[steps];
            long end = launched + steps, lastNanos = System.nanoTime();
            for (int i = 0; i < steps; i++) {
                while (launched < end && launched < done + rings.depth()) {
                    clock.begin();
                    launch();
                    clock.end();
                }
                await();
                long nowNanos = System.nanoTime();
                seconds[i] = (nowNanos - lastNanos) * 1e-9;
                lastNanos = nowNanos;
            }
            return seconds;
        }

        double nats(long ofStep) {
            double sum = 0;
            for (int k = 0; k < DOMAINS; k++)
                sum += rings.record(ofStep).get(JAVA_LONG, RecordLayout.LOSS_SUM_OFFSET + 8L * k)
                        / LossHead.FIXED_POINT;
            return sum;
        }
    }

    private static void fillAtRandom(MemorySegment slot, SlotLayout layout, int vocabulary) {
        Random random = new Random(1);
        slot.set(JAVA_FLOAT, SlotLayout.LEARNING_RATE_OFFSET, LEARNING_RATE);
        for (long i = 0; i < (long) layout.sequences() * (layout.tokens() + 1); i++)
            slot.set(JAVA_INT, SlotLayout.TOKENS_OFFSET + 4 * i, random.nextInt(vocabulary));
        for (int b = 0; b < layout.sequences(); b++) {
            slot.set(JAVA_INT, layout.domainOffset() + 4L * b, b % DOMAINS);
            slot.set(JAVA_FLOAT, layout.weightOffset() + 4L * b, 1);
        }
    }

    /** As benchmarks call a model. */
    static String name(ModelConfig m) {
        return "L" + m.layers() + " H" + m.heads() + " C" + m.width() + " V" + m.vocabulary();
    }

    /** @param peakGflops that the step is held against: of the GEMM library on this model's products, or of one large product */
    static Map<String, Object> figures(RunConfig config, Result result, double peakGflops) {
        Map<String, Object> all = new LinkedHashMap<>();
        all.put("bench", "step");
        all.put("model", name(config.model()));
        all.put("batch", config.batch().sequences());
        all.put("seq", config.model().context());
        all.put("precision", config.precision().name().toLowerCase(java.util.Locale.ROOT));
        all.put("tokens_per_second", Machine.round(result.tokensPerSecond()));
        all.put("seconds_per_step", Machine.round(result.secondsPerStep()));
        all.put("gflops", Machine.round(result.gflops()));
        if (result.device() == null) {
            all.put("threads", Backends.threads(config));
            all.put("gemm_library_gflops", Machine.round(peakGflops));
            all.put("gemm_share", Machine.round(result.gflops() / peakGflops));
        } else {
            onDevice(all, config, result, peakGflops);
        }
        all.put("loss_first", Machine.round(result.firstNats()));
        all.put("loss_last", Machine.round(result.lastNats()));
        return all;
    }

    private static void onDevice(Map<String, Object> all, RunConfig config, Result result, double peakGflops) {
        Device device = result.device();
        all.put("device", device.name());
        all.putAll(device.clocks());
        all.put("micro_batches", config.batch().microBatches());
        all.put("ring_depth", config.runtime().ringDepth().orElseThrow());
        all.put("full_gflops", Machine.round(result.fullGflops()));
        all.put("peak_gflops", Machine.round(peakGflops));
        all.put("share_of_peak", Machine.round(result.gflops() / peakGflops));
        all.put("full_share_of_peak", Machine.round(result.fullGflops() / peakGflops));
        all.put("seconds_alone", Machine.round(result.secondsAlone()));
        all.put("busy_seconds", Machine.round(device.busySeconds()));
        all.put("gap_seconds", Machine.round(device.gapSeconds()));
        all.put("largest_gap_seconds", Machine.round(device.largestGapSeconds()));
        all.put("graph", device.graph());
        if (device.graph()) all.put("graph_nodes", device.nodes());
        if (!StepBudget.knows(config.model())) return;
        StepBudget budget = StepBudget.of(config.model(), Trainer.slotLayout(config), DOMAINS);
        all.put("budget_nodes", budget.launches());
        all.put("launches_per_step", device.graph() ? 1 : budget.launches());
        all.put(
                "predicted_h200_tokens_per_second",
                Machine.round(budget.slot().tokensPerStep() / budget.predictedSeconds(DeviceRates.H200)));
    }
}
