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
 * head.weight                         (Vp, C)   rows V to Vp are padding and stay zero; a tied head is embedding.weight
 * layers.i.attention.qkv.weight       (W, C)    W = (H + 2G) D: queries, keys, values
 * layers.i.attention.out.weight       (C, C)
 * layers.i.mlp.in.weight              (I, C)    SwiGLU: I = 2F, gate then up; GELU: I = F
 * layers.i.mlp.out.weight             (C, F)
 *
 * embedding.weight                    (Vp, C)   of an untied head
 * positions.weight                    (T, C)    learned positions
 * layers.i.attentionNorm.gain, bias   (C)
 * layers.i.attention.qkv.bias         (W)
 * layers.i.attention.qNorm.gain       (D)       and kNorm.gain
 * layers.i.attention.out.bias         (C)
 * layers.i.mlpNorm.gain, bias         (C)
 * layers.i.mlp.in.bias                (I)
 * layers.i.mlp.out.bias               (C)
 * finalNorm.gain, bias                (C)
 * </pre>
 *
 * The first part is what products multiply by, whose gradients are products, too. The gradients of the others are sums, which
 * must start at zero: they lie in one stretch at the end. Weights are (out, in). Each tensor starts on a 64-byte boundary; the gaps
 * hold zeros for ever, since their gradient is zero.
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
    private long size, products;

    private ParameterLayout() {}

    /** @param config resolved */
    public static ParameterLayout of(ModelConfig config) {
        ParameterLayout layout = new ParameterLayout();
        layout.table(config.tied() ? "embedding.weight" : "head.weight", config);
        for (int l = 0; l < config.layers(); l++) layout.layerProducts("layers." + l, config);
        layout.products = layout.size;
        if (!config.tied()) layout.table("embedding.weight", config);
        if (config.positions() == Positions.LEARNED)
            layout.put("positions.weight", Filling.EMBEDDING, config.context(), config.width());
        for (int l = 0; l < config.layers(); l++) layout.layerOthers("layers." + l, config);
        layout.norm("finalNorm", config);
        return layout;
    }

    private void layerProducts(String layer, ModelConfig config) {
        long C = config.width();
        put(layer + ".attention.qkv.weight", Filling.LINEAR, config.qkvWidth(), C);
        put(layer + ".attention.out.weight", Filling.LINEAR, C, C);
        put(layer + ".mlp.in.weight", Filling.LINEAR, config.mlpInWidth(), C);
        put(layer + ".mlp.out.weight", Filling.LINEAR, C, config.mlpWidth());
    }

    private void layerOthers(String layer, ModelConfig config) {
        norm(layer + ".attentionNorm", config);
        bias(layer + ".attention.qkv", config.qkvWidth(), config);
        if (config.qkNorm()) {
            put(layer + ".attention.qNorm.gain", Filling.ONES, config.headWidth());
            put(layer + ".attention.kNorm.gain", Filling.ONES, config.headWidth());
        }
        bias(layer + ".attention.out", config.width(), config);
        norm(layer + ".mlpNorm", config);
        bias(layer + ".mlp.in", config.mlpInWidth(), config);
        bias(layer + ".mlp.out", config.width(), config);
    }

    /** Tensors by name, in the order of their offsets. */
    public Map<String, Entry> entries() {
        return Collections.unmodifiableMap(entries);
    }

    /** Floats of the flat buffer, gaps and padding included. */
    public long size() {
        return size;
    }

    /** Of them, the first ones, which products multiply by. */
    public long products() {
        return products;
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

    private void bias(String name, long outputs, ModelConfig config) {
        if (config.bias()) put(name + ".bias", Filling.ZEROS, outputs);
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
