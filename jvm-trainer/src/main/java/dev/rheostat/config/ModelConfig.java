package dev.rheostat.config;

import dev.rheostat.op.Norm;
import java.util.Locale;

/**
 * The dimensions and choices of one decoder-only model. The defaults are the block of arXiv:2410.11820: RMSNorm before
 * each branch without gain, rotary positions, LayerNorm with gain on queries and keys, SwiGLU, no bias, tied embedding.
 *
 * @param preset where the dimensions started from; informative after resolution
 * @param mlpWidth F; 0 derives it: SwiGLU ceil(8C/3 to a multiple of 8), GELU 4C
 * @param kvHeads key/value heads; 0 means as many as heads
 * @param context T, tokens a sequence
 * @param vocabulary V; 0 takes the tokenizer's
 */
public record ModelConfig(
        String preset,
        int layers,
        int heads,
        int kvHeads,
        int width,
        int mlpWidth,
        int context,
        int vocabulary,
        NormKind norm,
        boolean normGain,
        boolean qkNorm,
        Mlp mlp,
        boolean bias,
        Positions positions,
        double rotaryBase,
        boolean tied) {
    public enum NormKind {
        RMS,
        LAYER;

        public Norm.Kind op() {
            return this == RMS ? Norm.Kind.RMS : Norm.Kind.LAYER;
        }
    }

    public enum Mlp {
        SWIGLU,
        GELU
    }

    public enum Positions {
        ROTARY,
        LEARNED
    }

    /** The head's table has this many rows: V up to a multiple of 128. */
    public int paddedVocabulary() {
        return (vocabulary + 127) / 128 * 128;
    }

    public int headWidth() {
        return width / heads;
    }

    /** @throws IllegalArgumentException naming the preset and listing those that exist */
    public static ModelConfig preset(String name) {
        return switch (name.toLowerCase(Locale.ROOT)) {
            case "ado-nano" -> paper(name, 4, 2, 128);
            case "ado-70m" -> paper(name, 6, 8, 512);
            case "ado-124m" -> paper(name, 12, 12, 768);
            case "ado-350m" -> paper(name, 24, 16, 1024);
            case "ado-1.3b" -> paper(name, 24, 16, 2048);
            default ->
                throw new IllegalArgumentException(
                        "model.preset: " + name + " is none of ado-nano, ado-70m, ado-124m, ado-350m, ado-1.3b");
        };
    }

    private static ModelConfig paper(String preset, int layers, int heads, int width) {
        return new ModelConfig(
                preset,
                layers,
                heads,
                0,
                width,
                0,
                1024,
                0,
                NormKind.RMS,
                false,
                true,
                Mlp.SWIGLU,
                false,
                Positions.ROTARY,
                10_000,
                true);
    }
}
