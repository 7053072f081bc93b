package dev.rheostat.model;

import dev.rheostat.config.ModelConfig;
import dev.rheostat.config.ModelConfig.Positions;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Where each parameter lies in one flat f32 buffer. Gradients and both moments of AdamW use the same layout over buffers
 * of their own, so that the optimizer is one pass over flat memory.
 *
 * <pre>
 * embedding.weight                    (Vp, C)   rows V to Vp are padding and stay zero
 * positions.weight                    (T, C)    learned positions
 * layers.i.attentionNorm.gain, bias   (C)
 * layers.i.attention.qkv.weight       (W, C)    W = (H + 2G) D: queries, keys, values; bias (W)
 * layers.i.attention.qNorm.gain       (D)       and kNorm.gain
 * layers.i.attention.out.weight       (C, C)    bias (C)
 * layers.i.mlpNorm.gain, bias         (C)
 * layers.i.mlp.in.weight              (I, C)    SwiGLU: I = 2F, gate then up; GELU: I = F; bias (I)
 * layers.i.mlp.out.weight             (C, F)    bias (C)
 * finalNorm.gain, bias                (C)
 * head.weight                         (Vp, C)   only when untied; a tied head reads embedding.weight
 * </pre>
 *
 * Weights are (out, in). Each tensor starts on a 64-byte boundary; the gaps hold zeros for ever, since their gradient is zero.
 */
public final class ParameterLayout {
    /** Floats in 64 bytes. */
    private static final long ALIGNMENT = 16;

    /** How a tensor is filled before step 0; see {@link Initializer}. */
    enum Filling {
        EMBEDDING,
        LINEAR,
        ONES,
        ZEROS
    }

    /**
     * One tensor.
     * @param offset in floats
     * @param usedRows rows that hold parameters; rows after them are padding
     */
    public record Entry(String name, long offset, long usedRows, Filling filling, long... shape) {
        public Entry {
            shape = shape.clone();
        }

        /** Elements, padding rows included. */
        public long size() {
            long size = 1;
            for (long length : shape) size *= length;
            return size;
        }

        /** Elements that are trained. */
        public long parameters() {
            return size() / shape[0] * usedRows;
        }
    }

    private final Map<String, Entry> entries = new LinkedHashMap<>();
    private long size;

    private ParameterLayout() {}

    /** @param config resolved */
    public static ParameterLayout of(ModelConfig config) {
        ParameterLayout layout = new ParameterLayout();
        long C = config.width();
        layout.table("embedding.weight", config);
        if (config.positions() == Positions.LEARNED)
            layout.put("positions.weight", config.context(), Filling.EMBEDDING, config.context(), C);
        for (int l = 0; l < config.layers(); l++) {
            String layer = "layers." + l;
            layout.norm(layer + ".attentionNorm", config);
            layout.linear(layer + ".attention.qkv", config.qkvWidth(), C, config.bias());
            if (config.qkNorm()) {
                layout.put(layer + ".attention.qNorm.gain", Filling.ONES, config.headWidth());
                layout.put(layer + ".attention.kNorm.gain", Filling.ONES, config.headWidth());
            }
            layout.linear(layer + ".attention.out", C, C, config.bias());
            layout.norm(layer + ".mlpNorm", config);
            layout.linear(layer + ".mlp.in", config.mlpInWidth(), C, config.bias());
            layout.linear(layer + ".mlp.out", C, config.mlpWidth(), config.bias());
        }
        layout.norm("finalNorm", config);
        if (!config.tied()) layout.table("head.weight", config);
        return layout;
    }

    /** Tensors by name, in the order of their offsets. */
    public Map<String, Entry> entries() {
        return Collections.unmodifiableMap(entries);
    }

    /** Floats of the flat buffer, gaps and padding included. */
    public long size() {
        return size;
    }

    /** Trained parameters: no gaps, no padding rows. */
    public long parameters() {
        return entries.values().stream().mapToLong(Entry::parameters).sum();
    }

    /** Of them, those in the tables of tokens and positions, an untied head included. */
    public long tableParameters() {
        return parameters(Filling.EMBEDDING);
    }

    /** Of them, the weights of linear layers; the head, tied or not, is a table. */
    public long linearParameters() {
        return parameters(Filling.LINEAR);
    }

    private long parameters(Filling filling) {
        return entries.values().stream()
                .filter(entry -> entry.filling() == filling)
                .mapToLong(Entry::parameters)
                .sum();
    }

    private void table(String name, ModelConfig config) {
        put(name, config.vocabulary(), Filling.EMBEDDING, config.paddedVocabulary(), config.width());
    }

    private void norm(String name, ModelConfig config) {
        if (config.normGain()) put(name + ".gain", Filling.ONES, config.width());
        if (config.normBias()) put(name + ".bias", Filling.ZEROS, config.width());
    }

    private void linear(String name, long outputs, long inputs, boolean bias) {
        put(name + ".weight", Filling.LINEAR, outputs, inputs);
        if (bias) put(name + ".bias", Filling.ZEROS, outputs);
    }

    private void put(String name, Filling filling, long... shape) {
        put(name, shape[0], filling, shape);
    }

    private void put(String name, long usedRows, Filling filling, long... shape) {
        Entry entry = new Entry(name, size, usedRows, filling, shape);
        entries.put(name, entry);
        size = Math.addExact(size, (entry.size() + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
    }
}
