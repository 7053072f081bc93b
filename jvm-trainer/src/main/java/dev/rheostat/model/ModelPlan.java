package dev.rheostat.model;

import dev.rheostat.config.ModelConfig;
import dev.rheostat.op.AttentionShape;
import dev.rheostat.op.DType;
import dev.rheostat.op.LossHead;
import dev.rheostat.op.RecordLayout;
import dev.rheostat.op.SlotLayout;
import dev.rheostat.op.Tensor;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * What training a model takes, worked out without taking it.
 *
 * @param parameters trained numbers; padding rows are none
 * @param nonEmbeddingParameters without the tables of tokens and positions
 * @param causalFlopsPerToken forward and backward: 6 for each weight of a matrix product (the head's table is one, padding
 *     and the look-up of the embedding are not), and for attention 6 T C a layer, half of all pairs of positions
 * @param fullFlopsPerToken the same with 12 T C a layer, all pairs: the count of PaLM, arXiv:2204.02311, appendix B
 * @param bytes by what the memory holds
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

    /** Bytes that a backend's ops take for themselves, by what they hold; a backend states it beside its ops. */
    @FunctionalInterface
    public interface Scratch {
        Map<String, Long> bytes(AttentionShape attention, LossHead.Shape head, long parameterCount);
    }

    /** A tensor that nobody has allocated. */
    private record PlannedTensor(DType type, long[] shape) implements Tensor {
        @Override
        public int rank() {
            return shape.length;
        }

        @Override
        public long dim(int axis) {
            return shape[axis];
        }
    }

    /**
     * The plan of a training run that evaluates as well.
     * @param config resolved
     * @param domains K
     * @param ringDepth slots of the batch ring and records of the loss ring
     */
    public static ModelPlan of(ModelConfig config, SlotLayout slot, int domains, int ringDepth, Scratch scratch) {
        ParameterLayout layout = ParameterLayout.of(config);
        Map<String, Long> bytes = new LinkedHashMap<>();
        Allocator<PlannedTensor> count = (purpose, type, shape) -> {
            PlannedTensor tensor = new PlannedTensor(type, shape);
            bytes.merge(purpose, tensor.bytes(), Math::addExact);
            return tensor;
        };
        Parameters.allocate(count, "weights", layout);
        Parameters.allocate(count, "gradients", layout);
        Parameters.allocate(count, "optimizer", layout);
        Parameters.allocate(count, "optimizer", layout);
        long R = slot.rows();
        Activations.forTraining(count, config, R);
        Gradients.Buffers.allocate(count, config, R);
        AttentionShape attention = new AttentionShape(
                slot.sequences() / slot.microBatches(),
                slot.tokens(),
                config.heads(),
                config.kvHeads(),
                config.headWidth());
        LossHead.Shape head = new LossHead.Shape(
                R,
                config.width(),
                config.vocabulary(),
                config.paddedVocabulary(),
                domains,
                LossHead.clampNats(slot.tokensPerStep()));
        scratch.bytes(attention, head, layout.size())
                .forEach((purpose, size) -> bytes.merge(purpose, size, Math::addExact));
        // Training and evaluation have a micro-batch (five numbers a row) and sums of a step each; evaluation has a
        // slot and
        // a loss a row in two places; the optimizer decides with two floats and two counters.
        long sums = 8L * (2L * domains + 2);
        SlotLayout evaluated = new SlotLayout(attention.batch(), 1, slot.tokens());
        bytes.put("batch and sums", 2 * (20 * R + sums) + 24);
        bytes.put("evaluation", 8 * R + evaluated.bytes());
        bytes.put("rings", ringDepth * (slot.bytes() + new RecordLayout(domains).bytes()));

        long tables = layout.entries().values().stream()
                .filter(entry -> entry.filling() == ParameterLayout.Filling.EMBEDDING)
                .mapToLong(ParameterLayout.Entry::parameters)
                .sum();
        long products = layout.entries().values().stream()
                .filter(entry -> entry.filling() == ParameterLayout.Filling.LINEAR)
                .mapToLong(ParameterLayout.Entry::parameters)
                .sum();
        double gemm = 6.0 * (products + (double) config.vocabulary() * config.width());
        double pairs = 12.0 * slot.tokens() * config.width() * config.layers();
        return new ModelPlan(layout.parameters(), layout.parameters() - tables, gemm + pairs / 2, gemm + pairs, bytes);
    }

    public long totalBytes() {
        return bytes.values().stream().mapToLong(Long::longValue).sum();
    }

    /**
     * Most sequences in one micro-batch that fit, everything else as in {@code slot}; 0 when one does not.
     * @param memoryBytes what the machine would give
     */
    public static int largestMicroBatch(
            ModelConfig config, SlotLayout slot, int domains, int ringDepth, Scratch scratch, long memoryBytes) {
        int fits = 0;
        // Ops count a tensor's rows in int at the widest, so no plan goes beyond 2^31 / T sequences in all.
        int tooMany = (int) Math.min(1 << 20, Integer.MAX_VALUE / ((long) slot.microBatches() * slot.tokens())) + 1;
        while (tooMany - fits > 1) {
            int middle = (fits + tooMany) >>> 1;
            SlotLayout tried = new SlotLayout(middle * slot.microBatches(), slot.microBatches(), slot.tokens());
            if (of(config, tried, domains, ringDepth, scratch).totalBytes() <= memoryBytes) fits = middle;
            else tooMany = middle;
        }
        return fits;
    }
}
