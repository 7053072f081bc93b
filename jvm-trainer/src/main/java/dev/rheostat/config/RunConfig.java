package dev.rheostat.config;

import dev.rheostat.ado.Policies;
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
     * @param policy one of {@link dev.rheostat.ado.Policies#NAMES}
     * @param mode of a policy that has several; empty for its default
     * @param settings of the policy, in the names, ranges and defaults of {@link dev.rheostat.ado.Policies#settings}
     * @param prior what the data is, by domain; empty takes the token share
     * @param target what the user cares about: the weight of each domain's loss; empty takes the prior
     * @param shares of a static mixture, by domain; need not sum to 1; of doremi's proxy where they are not to be even
     * @param stages of a schedule: first step to shares by domain
     * @param graph of skill-it: domain to the domains that it helps
     * @param minShare floor of each share, whatever the policy
     * @param maxShare cap of each share, whatever the policy
     * @param maxEpochs passes over each domain's training text, at most
     * @param shadow NAME or NAME/MODE of a policy that is asked beside, and not obeyed; empty for none
     * @param referenceRun folder of the run whose model the losses of doremi are compared with; empty for none
     */
    public record Mixture(
            String policy,
            String mode,
            Map<String, Double> settings,
            Map<String, Double> prior,
            Map<String, Double> target,
            Map<String, Double> shares,
            Map<String, Map<String, Double>> stages,
            Map<String, Map<String, Double>> graph,
            @OneForAll Map<String, Double> minShare,
            @OneForAll Map<String, Double> maxShare,
            @OneForAll Map<String, Double> maxEpochs,
            String shadow,
            String referenceRun) {
        /** The policy and its mode, for people. */
        public String spelled() {
            String meant = Policies.mode(policy, mode);
            return meant.isEmpty() ? policy : policy + ", " + meant;
        }

        /** What a map by domain says of one, by its name or for the rest. */
        public static double of(Map<String, Double> byDomain, String domain, double otherwise) {
            return byDomain.getOrDefault(domain, byDomain.getOrDefault(OneForAll.REST, otherwise));
        }

        /** Whether another mixture has this policy, whatever its target and bounds. */
        public boolean samePolicy(Mixture other) {
            return policy.equals(other.policy)
                    && mode.equals(other.mode)
                    && settings.equals(other.settings)
                    && shares.equals(other.shares)
                    && stages.equals(other.stages)
                    && graph.equals(other.graph);
        }

        /** The same mixture without what belongs to its policy alone. */
        Mixture withoutItsPolicy() {
            return new Mixture(
                    "natural", "", Map.of(), prior, target, Map.of(), Map.of(), Map.of(), minShare, maxShare, maxEpochs,
                    shadow, "");
        }

        /** The same mixture with these settings, of this mode. */
        public Mixture withSettings(String itsMode, Map<String, Double> itsSettings) {
            return new Mixture(
                    policy,
                    itsMode,
                    itsSettings,
                    prior,
                    target,
                    shares,
                    stages,
                    graph,
                    minShare,
                    maxShare,
                    maxEpochs,
                    shadow,
                    referenceRun);
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
     * @param products file of bench products with the algorithms that a GPU's products take; empty: those that cuBLASLt prefers
     * @param peakGflops of this machine's GEMM, that achieved FLOP/s are shown against; empty measures it at start
     */
    public record Runtime(
            int threads,
            OptionalInt ringDepth,
            GemmChoice gemm,
            CudaBinding cudaBinding,
            boolean graph,
            String products,
            OptionalDouble peakGflops) {
        public Runtime withRingDepth(int depth) {
            return new Runtime(threads, OptionalInt.of(depth), gemm, cudaBinding, graph, products, peakGflops);
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
                        "ado", "", Map.of(), Map.of(), Map.of(), Map.of(), Map.of(), Map.of(), Map.of(), Map.of(),
                        Map.of(), "", ""),
                new Optimizer(1e-3, 0.9, 0.95, 1e-8, 0.1, 1.0),
                new Schedule(300, ScheduleKind.COSINE, OptionalLong.empty(), OptionalLong.empty(), 0.01),
                new Evaluation(OptionalLong.empty(), 16),
                new Checkpoint(OptionalLong.empty(), 2, 10),
                new Runtime(0, OptionalInt.empty(), GemmChoice.AUTO, CudaBinding.FFM, true, "", OptionalDouble.empty()),
                "auto",
                Precision.AUTO,
                1,
                "");
    }
}
