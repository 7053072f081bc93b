package dev.rheostat.model;

import dev.rheostat.config.ModelConfig;
import dev.rheostat.config.ModelConfig.Mlp;
import dev.rheostat.config.ModelConfig.NormKind;
import dev.rheostat.config.ModelConfig.Positions;

/** Small resolved models for tests: two layers, so that gradients pass through a whole block. */
public final class Toy {
    private Toy() {}

    /** The paper's block. */
    public static ModelConfig paper(boolean tied) {
        return new ModelConfig(
                        "",
                        2,
                        2,
                        0,
                        16,
                        0,
                        12,
                        11,
                        NormKind.RMS,
                        false,
                        true,
                        Mlp.SWIGLU,
                        false,
                        Positions.ROTARY,
                        10_000,
                        tied)
                .resolve(11);
    }

    /** GPT-2's block with grouped heads and norms of queries and keys as well. */
    public static ModelConfig everyOption(boolean tied) {
        return new ModelConfig(
                        "",
                        2,
                        4,
                        2,
                        16,
                        24,
                        12,
                        11,
                        NormKind.LAYER,
                        true,
                        true,
                        Mlp.GELU,
                        true,
                        Positions.LEARNED,
                        10_000,
                        tied)
                .resolve(11);
    }

    /** Llama's block: RMSNorm with gain, SwiGLU, grouped heads, no norm of queries and keys, untied head. */
    public static ModelConfig llama() {
        return new ModelConfig(
                        "",
                        2,
                        4,
                        1,
                        16,
                        24,
                        12,
                        11,
                        NormKind.RMS,
                        true,
                        false,
                        Mlp.SWIGLU,
                        false,
                        Positions.ROTARY,
                        500,
                        false)
                .resolve(11);
    }

    /** GPT-2's block as published. */
    public static ModelConfig gpt2() {
        return new ModelConfig(
                        "",
                        2,
                        2,
                        0,
                        16,
                        0,
                        12,
                        11,
                        NormKind.LAYER,
                        true,
                        false,
                        Mlp.GELU,
                        true,
                        Positions.LEARNED,
                        10_000,
                        true)
                .resolve(11);
    }

    /** What no published model combines: rotary with LayerNorm without gain, biases, one key head. */
    public static ModelConfig mixed() {
        return new ModelConfig(
                        "",
                        2,
                        2,
                        1,
                        16,
                        40,
                        12,
                        11,
                        NormKind.LAYER,
                        false,
                        true,
                        Mlp.SWIGLU,
                        true,
                        Positions.ROTARY,
                        10_000,
                        false)
                .resolve(11);
    }
}
