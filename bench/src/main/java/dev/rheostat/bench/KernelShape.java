package dev.rheostat.bench;

import dev.rheostat.config.ModelConfig;
import dev.rheostat.op.AttentionShape;
import dev.rheostat.op.SlotLayout;
import dev.rheostat.train.ProductPeak;
import java.util.List;

/**
 * Sizes that ops are timed at: those of one micro-batch of a model.
 * @param model resolved
 */
record KernelShape(String name, ModelConfig model, int sequences) {
    static final List<String> NAMES = List.of("small", "ado-124m", "ado-1.3b");

    private static final int GPT2_VOCABULARY = 50_257;

    /** @throws IllegalArgumentException naming those that exist */
    static KernelShape of(String name) {
        return switch (name) {
            // What the simulator does in seconds.
            case "small" -> new KernelShape(name, model("ado-nano", 1, 128, 64, 257), 2);
            case "ado-124m" -> new KernelShape(name, model(name, 12, 768, 1024, GPT2_VOCABULARY), 64);
            case "ado-1.3b" -> new KernelShape(name, model(name, 24, 2048, 2048, GPT2_VOCABULARY), 8);
            default ->
                throw new IllegalArgumentException("--shape " + name + " is none of " + String.join(", ", NAMES));
        };
    }

    private static ModelConfig model(String preset, int layers, int width, int context, int vocabulary) {
        ModelConfig p = ModelConfig.preset(preset);
        return new ModelConfig(
                        preset,
                        layers,
                        p.heads(),
                        p.kvHeads(),
                        width,
                        p.mlpWidth(),
                        context,
                        vocabulary,
                        p.norm(),
                        p.normGain(),
                        p.qkNorm(),
                        p.mlp(),
                        p.bias(),
                        p.positions(),
                        p.rotaryBase(),
                        p.tied())
                .resolve(vocabulary);
    }

    private boolean small() {
        return name.equals("small");
    }

    /** Rows and columns of the product that ops are held against. */
    int peakSize() {
        return small() ? 256 : ProductPeak.GPU_SIZE;
    }

    /** Of the copy that ops are held against. */
    long copyBytes() {
        return small() ? 1L << 20 : 1L << 30;
    }

    SlotLayout slot() {
        return new SlotLayout(sequences, 1, model.context());
    }

    AttentionShape attention() {
        return StepBudget.attention(model, slot());
    }

    /** R. */
    long rows() {
        return slot().rows();
    }

    /** C. */
    int width() {
        return model.width();
    }

    /** F. */
    int mlpWidth() {
        return model.mlpWidth();
    }
}
