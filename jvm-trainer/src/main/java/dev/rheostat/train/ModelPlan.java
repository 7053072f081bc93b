package dev.rheostat.train;

import dev.rheostat.config.ModelConfig;
import dev.rheostat.model.ParameterLayout;
import dev.rheostat.op.AdamW;
import dev.rheostat.op.Backend;
import dev.rheostat.op.RecordLayout;
import dev.rheostat.op.SlotLayout;
import dev.rheostat.op.StepIo;
import dev.rheostat.op.Tensor;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;

/**
 * What training a model takes, worked out without taking it: the training and the evaluation step are made on a backend
 * that only counts, so the plan cannot disagree with the run.
 *
 * @param parameters trained numbers; padding rows are none
 * @param nonEmbeddingParameters without the tables of tokens and positions, and without an untied head
 * @param causalFlopsPerToken forward and backward: 6 for each weight of a matrix product (the head's table is one, padding
 *     and the look-up of the embedding are not), and for attention 6 T C a layer, half of all pairs of positions
 * @param fullFlopsPerToken the same with 12 T C a layer, all pairs: the count of PaLM, arXiv:2204.02311, appendix B
 * @param bytes by what the memory holds, as {@link Backend#allocatedBytes} names it, and "rings"
 */
public record ModelPlan(
        long parameters,
        long nonEmbeddingParameters,
        double causalFlopsPerToken,
        double fullFlopsPerToken,
        Map<String, Long> bytes) {
    public ModelPlan {
        bytes = Collections.unmodifiableMap(new LinkedHashMap<>(bytes));
    }

    /**
     * The plan of a training run that evaluates as well.
     * @param planning a fresh backend that takes no memory, as {@code CpuBackend.plan} opens it; closed here
     * @param config resolved
     * @param domains K
     * @param ringDepth slots of the batch ring and records of the loss ring
     */
    public static <X extends Tensor> ModelPlan of(
            Supplier<? extends Backend<X>> planning, ModelConfig config, SlotLayout slot, int domains, int ringDepth) {
        return of(planning, config, Optional.empty(), slot, domains, ringDepth);
    }

    /** The same beside a reference model, which takes memory; its FLOPs are not counted. @param reference resolved */
    static <X extends Tensor> ModelPlan of(
            Supplier<? extends Backend<X>> planning,
            ModelConfig config,
            Optional<ModelConfig> reference,
            SlotLayout slot,
            int domains,
            int ringDepth) {
        ParameterLayout layout = ParameterLayout.of(config);
        double gemm = 6.0 * (layout.linearParameters() + (double) config.vocabulary() * config.width());
        double pairs = 12.0 * slot.tokens() * config.width() * config.layers();
        return new ModelPlan(
                layout.parameters(),
                layout.parameters() - layout.tableParameters(),
                gemm + pairs / 2,
                gemm + pairs,
                bytes(planning, config, reference, slot, domains, ringDepth));
    }

    private static <X extends Tensor> Map<String, Long> bytes(
            Supplier<? extends Backend<X>> planning,
            ModelConfig config,
            Optional<ModelConfig> reference,
            SlotLayout slot,
            int domains,
            int ringDepth) {
        try (Backend<X> backend = planning.get()) {
            AdamW.Settings settings = new AdamW.Settings(0, 0, 0, 0, 0); // memory does not depend on them
            RecordLayout record = new RecordLayout(domains, slot.referenceLosses());
            StepIo.Rings rings = StepIo.Rings.allocate(backend, "rings", slot, record, ringDepth);
            EvalStep.beside(new TrainStep<>(backend, config, rings, settings, false));
            reference.ifPresent(model -> ReferenceModel.plan(backend, model, slot, domains));
            return backend.allocatedBytes();
        }
    }

    public long totalBytes() {
        return bytes.values().stream().mapToLong(Long::longValue).sum();
    }

    /**
     * Most sequences in one micro-batch that fit, everything else as in {@code slot}; 0 when one does not.
     * @param memoryBytes what the machine would give
     */
    public static <X extends Tensor> int largestMicroBatch(
            Supplier<? extends Backend<X>> planning,
            ModelConfig config,
            SlotLayout slot,
            int domains,
            int ringDepth,
            long memoryBytes) {
        return largestMicroBatch(planning, config, Optional.empty(), slot, domains, ringDepth, memoryBytes);
    }

    /** The same beside a reference model. */
    static <X extends Tensor> int largestMicroBatch(
            Supplier<? extends Backend<X>> planning,
            ModelConfig config,
            Optional<ModelConfig> reference,
            SlotLayout slot,
            int domains,
            int ringDepth,
            long memoryBytes) {
        int fits = 0;
        int tooMany = (int) (LossHeads.MOST_TOKENS / ((long) slot.microBatches() * slot.tokens())) + 1;
        while (tooMany - fits > 1) {
            int middle = (fits + tooMany) >>> 1;
            SlotLayout tried = new SlotLayout(
                    middle * slot.microBatches(), slot.microBatches(), slot.tokens(), slot.referenceLosses());
            if (takes(() -> of(planning, config, reference, tried, domains, ringDepth)) <= memoryBytes) fits = middle;
            else tooMany = middle;
        }
        return fits;
    }

    private static long takes(Supplier<ModelPlan> plan) {
        try {
            return plan.get().totalBytes();
        } catch (IllegalArgumentException tooLarge) {
            return Long.MAX_VALUE; // more rows than an op of this backend takes at once
        }
    }
}
