package dev.rheostat.config;

import java.lang.reflect.RecordComponent;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.OptionalLong;

/**
 * One run, whole: what a run file says, with defaults for what it does not say. Component names are the run file's keys.
 * An empty Optional is derived from the rest when the run is resolved; a resolved config has none left that applies.
 */
public record RunConfig(
        ModelConfig model,
        Data data,
        Batch batch,
        Mixture mixture,
        Optimizer optimizer,
        Schedule schedule,
        Evaluation evaluation,
        Checkpoint checkpoint,
        Runtime runtime,
        String device,
        Precision precision,
        long seed,
        String out) {
    public enum Precision {
        /** The device's own: fp32 on the CPU, bf16 on a GPU. */
        AUTO,
        FP32,
        BF16
    }

    public enum Draw {
        ERROR_FEEDBACK,
        MULTINOMIAL
    }

    public enum CudaBinding {
        FFM,
        JCUDA
    }

    public enum ScheduleKind {
        COSINE,
        WSD
    }

    public enum GemmChoice {
        AUTO,
        ONEDNN,
        VECTOR
    }

    /**
     * @param dataset folder made by prepare, relative to the run file; "embedded" is the corpus of the running JDK
     * @param documentMask no attention across documents
     */
    public record Data(String dataset, Draw draw, boolean documentMask) {}

    /** @param sequences a step; tokens a sequence are model.context. @param microBatches parts the step is computed in */
    public record Batch(int sequences, int microBatches) {}

    /**
     * The Optionals are the settings of ado, in the names, ranges and defaults of AdoSettings, which says what each does
     * and why.
     *
     * @param policy ado, natural, uniform, static
     * @param mode of ado: reference (the published code, defects included) or robust
     * @param shares of a static mixture, by domain; need not sum to 1
     * @param prior of ado, by domain; empty takes the token share
     */
    public record Mixture(
            String policy,
            String mode,
            OptionalLong startStep,
            OptionalLong ignoreSteps,
            OptionalLong refitEvery,
            OptionalInt refitDelay,
            OptionalDouble credit,
            OptionalDouble minShare,
            OptionalDouble minShareOfPrior,
            OptionalDouble maxShare,
            OptionalDouble historyRate,
            OptionalDouble smoothing,
            OptionalLong averageSteps,
            OptionalDouble gateRange,
            OptionalDouble gateSpread,
            OptionalInt gateBins,
            OptionalDouble ceiling,
            OptionalDouble huber,
            OptionalDouble binWidth,
            OptionalDouble exponent,
            OptionalDouble exponentSpread,
            Map<String, Double> shares,
            Map<String, Double> prior) {
        /** The settings of ado that are set, by key. */
        public Map<String, Double> adoSettings() {
            Map<String, Double> set = new LinkedHashMap<>();
            for (RecordComponent component : Mixture.class.getRecordComponents())
                switch (read(component)) {
                    case OptionalLong n when n.isPresent() -> set.put(component.getName(), (double) n.getAsLong());
                    case OptionalInt n when n.isPresent() -> set.put(component.getName(), (double) n.getAsInt());
                    case OptionalDouble n when n.isPresent() -> set.put(component.getName(), n.getAsDouble());
                    default -> {}
                }
            return set;
        }

        /** The same mixture with these settings of ado instead of its own; whole ones must be whole. */
        public Mixture withAdoSettings(Map<String, Double> settings) {
            RecordComponent[] components = Mixture.class.getRecordComponents();
            Object[] values = new Object[components.length];
            Class<?>[] types = new Class<?>[components.length];
            for (int i = 0; i < components.length; i++) {
                types[i] = components[i].getType();
                Double setting = settings.get(components[i].getName());
                if (types[i] == OptionalLong.class)
                    values[i] = setting == null ? OptionalLong.empty() : OptionalLong.of(setting.longValue());
                else if (types[i] == OptionalInt.class)
                    values[i] = setting == null ? OptionalInt.empty() : OptionalInt.of(setting.intValue());
                else if (types[i] == OptionalDouble.class)
                    values[i] = setting == null ? OptionalDouble.empty() : OptionalDouble.of(setting);
                else values[i] = read(components[i]);
            }
            try {
                return Mixture.class.getDeclaredConstructor(types).newInstance(values);
            } catch (ReflectiveOperationException e) {
                throw new AssertionError(e);
            }
        }

        private Object read(RecordComponent component) {
            try {
                return component.getAccessor().invoke(this);
            } catch (ReflectiveOperationException e) {
                throw new AssertionError(e);
            }
        }
    }

    /** @param clipNorm 0 for no clip */
    public record Optimizer(
            double learningRate, double beta1, double beta2, double epsilon, double weightDecay, double clipNorm) {}

    /**
     * @param warmupSteps linear from 0
     * @param decaySteps of WSD: the last steps, linear to the final rate
     * @param finalRate rate after the last step, as a share of the peak; clamped after
     */
    public record Schedule(
            long steps, ScheduleKind kind, OptionalLong warmupSteps, OptionalLong decaySteps, double finalRate) {}

    /** @param everySteps 0 for only at start and end. @param windows of each domain's validation split, at most */
    public record Evaluation(OptionalLong everySteps, int windows) {}

    /** @param everySteps 0 for only at the end. @param maxSkipped skipped steps in a row that end the run */
    public record Checkpoint(OptionalLong everySteps, int keepNewest, int maxSkipped) {}

    /**
     * @param threads 0 for all cores
     * @param ringDepth slots of the batch ring: the lag of the mixture, in steps; empty: the device's own
     * @param cudaBinding which of two bindings calls the CUDA driver
     * @param graph a GPU's step is one graph; false enqueues its kernels one by one, for profiles
     * @param peakGflops of this machine's GEMM, that achieved FLOP/s are shown against; empty measures it at start
     */
    public record Runtime(
            int threads,
            OptionalInt ringDepth,
            GemmChoice gemm,
            CudaBinding cudaBinding,
            boolean graph,
            OptionalDouble peakGflops) {
        public Runtime withRingDepth(int depth) {
            return new Runtime(threads, OptionalInt.of(depth), gemm, cudaBinding, graph, peakGflops);
        }
    }

    /** The same run of another model. */
    public RunConfig withModel(ModelConfig other) {
        return new RunConfig(
                other,
                data,
                batch,
                mixture,
                optimizer,
                schedule,
                evaluation,
                checkpoint,
                runtime,
                device,
                precision,
                seed,
                out);
    }

    /** The same run on a device, with what it leaves to the device filled in. */
    public RunConfig onDevice(String other, Precision itsPrecision, int itsRingDepth) {
        return new RunConfig(
                model,
                data,
                batch,
                mixture,
                optimizer,
                schedule,
                evaluation,
                checkpoint,
                runtime.withRingDepth(runtime.ringDepth().orElse(itsRingDepth)),
                other,
                precision == Precision.AUTO ? itsPrecision : precision,
                seed,
                out);
    }

    /** The same run with another mixture. */
    public RunConfig withMixture(Mixture other) {
        return new RunConfig(
                model,
                data,
                batch,
                other,
                optimizer,
                schedule,
                evaluation,
                checkpoint,
                runtime,
                device,
                precision,
                seed,
                out);
    }

    /** What a run file starts from. */
    public static RunConfig defaults() {
        return new RunConfig(
                ModelConfig.preset("ado-nano"),
                new Data("embedded", Draw.ERROR_FEEDBACK, false),
                new Batch(8, 1),
                new Mixture(
                        "ado",
                        "robust",
                        OptionalLong.empty(),
                        OptionalLong.empty(),
                        OptionalLong.empty(),
                        OptionalInt.empty(),
                        OptionalDouble.empty(),
                        OptionalDouble.empty(),
                        OptionalDouble.empty(),
                        OptionalDouble.empty(),
                        OptionalDouble.empty(),
                        OptionalDouble.empty(),
                        OptionalLong.empty(),
                        OptionalDouble.empty(),
                        OptionalDouble.empty(),
                        OptionalInt.empty(),
                        OptionalDouble.empty(),
                        OptionalDouble.empty(),
                        OptionalDouble.empty(),
                        OptionalDouble.empty(),
                        OptionalDouble.empty(),
                        Map.of(),
                        Map.of()),
                new Optimizer(1e-3, 0.9, 0.95, 1e-8, 0.1, 1.0),
                new Schedule(300, ScheduleKind.COSINE, OptionalLong.empty(), OptionalLong.empty(), 0.01),
                new Evaluation(OptionalLong.empty(), 16),
                new Checkpoint(OptionalLong.empty(), 2, 10),
                new Runtime(0, OptionalInt.empty(), GemmChoice.AUTO, CudaBinding.FFM, true, OptionalDouble.empty()),
                "auto",
                Precision.AUTO,
                1,
                "");
    }
}
