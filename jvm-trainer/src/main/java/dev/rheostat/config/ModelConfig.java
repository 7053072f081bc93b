package dev.rheostat.config;

import dev.rheostat.op.Norm;
import java.util.List;
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
    /** Far above any published model; they keep every index product below 2^31 where an op counts in int. */
    private static final int MAX_LAYERS = 1_024, MAX_WIDTH = 65_536, MAX_CONTEXT = 1 << 20, MAX_VOCABULARY = 1 << 22;

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

    /** D. */
    public int headWidth() {
        return width / heads;
    }

    /** Columns of the packed projection: H query heads, G key heads, G value heads, (H + 2G) D. */
    public int qkvWidth() {
        return (heads + 2 * kvHeads) * headWidth();
    }

    /** Columns of the MLP before its nonlinearity: gate and up of SwiGLU (2F), or F. */
    public int mlpInWidth() {
        return mlp == Mlp.SWIGLU ? 2 * mlpWidth : mlpWidth;
    }

    /** Only LayerNorm with gain has a bias to switch on; RMSNorm is without one in every published block. */
    public boolean normBias() {
        return norm == NormKind.LAYER && normGain && bias;
    }

    /**
     * This config with every derived dimension filled in: key/value heads, MLP width, vocabulary.
     * @param tokenizerVocabulary ids of the tokenizer, which the vocabulary must hold
     * @throws RheostatException BAD_REQUEST, naming the key and its value, when the dimensions do not go together
     */
    public ModelConfig resolve(int tokenizerVocabulary) {
        require(layers >= 1 && layers <= MAX_LAYERS, "model.layers: " + layers + " is not in 1 to " + MAX_LAYERS);
        require(width >= 2 && width <= MAX_WIDTH, "model.width: " + width + " is not in 2 to " + MAX_WIDTH);
        require(heads >= 1 && heads <= width, "model.heads: " + heads + " is not in 1 to model.width " + width);
        require(width % heads == 0, "model.heads: " + heads + " does not divide model.width " + width);
        require(
                headWidth() % 2 == 0,
                "model.heads: " + heads + " makes heads of width " + headWidth() + " out of model.width " + width
                        + "; a head's width must be even");
        require(kvHeads >= 0, "model.kvHeads: " + kvHeads + " is negative; 0 means as many as model.heads");
        int groups = kvHeads == 0 ? heads : kvHeads;
        require(heads % groups == 0, "model.kvHeads: " + groups + " does not divide model.heads " + heads);
        require(
                mlpWidth >= 0 && mlpWidth <= 8 * MAX_WIDTH,
                "model.mlpWidth: " + mlpWidth + " is not in 0 to " + 8 * MAX_WIDTH + "; 0 derives it from model.width");
        int hidden = mlpWidth != 0 ? mlpWidth : mlp == Mlp.SWIGLU ? swigluWidth(width) : 4 * width;
        require(context >= 1 && context <= MAX_CONTEXT, "model.context: " + context + " is not in 1 to " + MAX_CONTEXT);
        int ids = vocabulary == 0 ? tokenizerVocabulary : vocabulary;
        require(
                ids >= tokenizerVocabulary,
                "model.vocabulary: " + ids + " is less than the tokenizer's " + tokenizerVocabulary
                        + " ids; 0 takes the tokenizer's");
        require(ids >= 2 && ids <= MAX_VOCABULARY, "model.vocabulary: " + ids + " is not in 2 to " + MAX_VOCABULARY);
        require(
                positions != Positions.ROTARY || (rotaryBase > 1 && Double.isFinite(rotaryBase)),
                "model.rotaryBase: " + rotaryBase + " must be greater than 1 where model.positions is rotary");
        return new ModelConfig(
                preset,
                layers,
                heads,
                groups,
                width,
                hidden,
                context,
                ids,
                norm,
                normGain,
                qkNorm,
                mlp,
                bias,
                positions,
                rotaryBase,
                tied);
    }

    /** ceil(8C/3 / 8) * 8, which is ceil(C/3) * 8: two thirds of 4C, so that three matrices cost what two did. */
    private static int swigluWidth(int width) {
        return (width + 2) / 3 * 8;
    }

    private static void require(boolean holds, String sentence) {
        if (!holds) throw new RheostatException(RheostatException.Kind.BAD_REQUEST, sentence);
    }

    /** The names that {@link #preset} knows. */
    public static final List<String> PRESETS = List.of("ado-nano", "ado-70m", "ado-124m", "ado-350m", "ado-1.3b");

    /** @throws IllegalArgumentException naming the preset and listing those that exist */
    public static ModelConfig preset(String name) {
        String known = name.toLowerCase(Locale.ROOT);
        return switch (known) {
            case "ado-nano" -> paper(known, 4, 2, 128);
            case "ado-70m" -> paper(known, 6, 8, 512);
            case "ado-124m" -> paper(known, 12, 12, 768);
            case "ado-350m" -> paper(known, 24, 16, 1024);
            case "ado-1.3b" -> paper(known, 24, 16, 2048);
            default ->
                throw new IllegalArgumentException(
                        "model.preset: " + name + " is none of " + String.join(", ", PRESETS));
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
