package dev.rheostat.model;

import dev.rheostat.config.ModelConfig;
import dev.rheostat.op.Backend;
import dev.rheostat.op.DType;
import dev.rheostat.op.Tensor;
import java.util.ArrayList;
import java.util.List;

/**
 * One value for each parameter of a model: the weights, or their gradients, or a moment of the optimizer. A flat buffer,
 * and views of it under the names of {@link ParameterLayout}. Views of parameters that the model does not have are null,
 * which is how ops spell "none".
 */
public final class Parameters<X extends Tensor> {
    /** Parameters of one block. */
    public record Layer<X extends Tensor>(
            X attentionNormGain_C,
            X attentionNormBias_C,
            X qkvWeight_WC,
            X qkvBias_W,
            X qNormGain_D,
            X kNormGain_D,
            X outWeight_CC,
            X outBias_C,
            X mlpNormGain_C,
            X mlpNormBias_C,
            X mlpInWeight_IC,
            X mlpInBias_I,
            X mlpOutWeight_CF,
            X mlpOutBias_C) {}

    private final ParameterLayout layout;
    private final Backend<X> backend;
    private final X flat_N;
    private final X embedding_VpC;
    private final X positions_TC;
    private final List<Layer<X>> layers = new ArrayList<>();
    private final X finalNormGain_C;
    private final X finalNormBias_C;
    private final X head_VpC;

    private Parameters(Backend<X> backend, ModelConfig config, ParameterLayout layout, X flat_N) {
        this.backend = backend;
        this.layout = layout;
        this.flat_N = flat_N;
        embedding_VpC = view("embedding.weight");
        positions_TC = view("positions.weight");
        for (int l = 0; l < config.layers(); l++) layers.add(layer("layers." + l));
        finalNormGain_C = view("finalNorm.gain");
        finalNormBias_C = view("finalNorm.bias");
        head_VpC = config.tied() ? embedding_VpC : view("head.weight");
    }

    /** Allocates a model's weights, zeroed. @param config resolved */
    public static <X extends Tensor> Parameters<X> weights(Backend<X> backend, ModelConfig config) {
        ParameterLayout layout = ParameterLayout.of(config);
        return new Parameters<>(backend, config, layout, backend.allocateWeights("weights", layout.size()));
    }

    /**
     * Allocates a number for each weight, zeroed.
     * @param purpose for the memory plan: "gradients", "optimizer"
     * @param config resolved
     */
    public static <X extends Tensor> Parameters<X> of(Backend<X> backend, String purpose, ModelConfig config) {
        ParameterLayout layout = ParameterLayout.of(config);
        return new Parameters<>(backend, config, layout, backend.allocate(purpose, DType.F32, layout.size()));
    }

    private Layer<X> layer(String name) {
        return new Layer<>(
                view(name + ".attentionNorm.gain"),
                view(name + ".attentionNorm.bias"),
                view(name + ".attention.qkv.weight"),
                view(name + ".attention.qkv.bias"),
                view(name + ".attention.qNorm.gain"),
                view(name + ".attention.kNorm.gain"),
                view(name + ".attention.out.weight"),
                view(name + ".attention.out.bias"),
                view(name + ".mlpNorm.gain"),
                view(name + ".mlpNorm.bias"),
                view(name + ".mlp.in.weight"),
                view(name + ".mlp.in.bias"),
                view(name + ".mlp.out.weight"),
                view(name + ".mlp.out.bias"));
    }

    /** @return null where the model has no such parameter */
    private X view(String name) {
        ParameterLayout.Entry entry = layout.entries().get(name);
        return entry == null ? null : backend.view(flat_N, entry.offset(), entry.shape());
    }

    public ParameterLayout layout() {
        return layout;
    }

    /** All of them, with the gaps between tensors. */
    public X flat_N() {
        return flat_N;
    }

    /** Those that no product reads, which are the last; null where there are none. */
    X others_M() {
        long M = layout.size() - layout.products();
        return M == 0 ? null : backend.view(flat_N, layout.products(), M);
    }

    public X embedding_VpC() {
        return embedding_VpC;
    }

    /** Null for rotary positions. */
    public X positions_TC() {
        return positions_TC;
    }

    public List<Layer<X>> layers() {
        return layers;
    }

    public X finalNormGain_C() {
        return finalNormGain_C;
    }

    public X finalNormBias_C() {
        return finalNormBias_C;
    }

    /** The same tensor as the embedding when they are tied. */
    public X head_VpC() {
        return head_VpC;
    }

    /** Every tensor once, as a checkpoint names it. @param prefix "" for the weights */
    public List<NamedTensor<X>> named(String prefix) {
        return layout.entries().keySet().stream()
                .map(name -> new NamedTensor<>(prefix + name, view(name)))
                .toList();
    }
}
