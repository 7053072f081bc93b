package dev.rheostat.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rheostat.config.ModelConfig;
import dev.rheostat.config.ModelConfig.Mlp;
import dev.rheostat.config.ModelConfig.NormKind;
import dev.rheostat.config.ModelConfig.Positions;
import dev.rheostat.op.SlotLayout;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ModelPlanTest {
    private static final ModelPlan.Scratch NONE = (attention, head, parameters) -> Map.of();

    /**
     * GPT-2's dimensions with 50,304 ids: 6 (12 C^2 L + V C) and 12 T C L by hand, as published for llm.c's and nanoGPT's
     * counts.
     */
    @ParameterizedTest
    @CsvSource({
        "12,12,768,1024,798.0,854.7",
        "12,12,768,2048,854.7,967.9",
        "24,16,2048,1024,8167.9,8469.9",
        "24,16,2048,2048,8469.9,9073.9",
        "48,25,1600,1024,9802.1,10274.0"
    })
    void flopsAreThePublishedCounts(int layers, int heads, int width, int tokens, double causal, double full) {
        ModelConfig config = new ModelConfig(
                        "",
                        layers,
                        heads,
                        0,
                        width,
                        0,
                        tokens,
                        50_304,
                        NormKind.LAYER,
                        true,
                        false,
                        Mlp.GELU,
                        true,
                        Positions.LEARNED,
                        0,
                        true)
                .resolve(50_257);
        ModelPlan plan = ModelPlan.of(config, new SlotLayout(1, 1, tokens), 1, 1, NONE);
        assertEquals(causal, plan.causalFlopsPerToken() / 1e6, 0.06);
        assertEquals(full, plan.fullFlopsPerToken() / 1e6, 0.06);
    }

    @Test
    void parametersAreTheLayouts() {
        ModelConfig config = ModelConfig.preset("ado-nano").resolve(50_257);
        ModelPlan plan = ModelPlan.of(config, new SlotLayout(8, 1, 256), 22, 4, NONE);
        assertEquals(ParameterLayout.of(config).parameters(), plan.parameters());
        assertEquals(plan.parameters() - 50_257L * 128, plan.nonEmbeddingParameters());
        assertEquals(4 * ParameterLayout.of(config).size(), plan.bytes().get("weights"));
        assertEquals(2 * plan.bytes().get("weights"), plan.bytes().get("optimizer"));
    }

    @Test
    void theLargestBatchFitsAndOneMoreDoesNot() {
        ModelConfig config = ModelConfig.preset("ado-nano").resolve(257);
        ModelPlan.Scratch scratch = (attention, head, parameters) -> Map.of("logits chunk", 1000 * head.rows());
        long memory = 300L << 20;
        int most = ModelPlan.largestMicroBatch(config, new SlotLayout(6, 2, 256), 22, 4, scratch, memory);
        assertTrue(most > 1, () -> "most=" + most);
        assertTrue(bytes(config, most, scratch) <= memory);
        assertTrue(bytes(config, most + 1, scratch) > memory);
        assertEquals(0, ModelPlan.largestMicroBatch(config, new SlotLayout(6, 2, 256), 22, 4, scratch, 1 << 20));
    }

    private static long bytes(ModelConfig config, int microBatch, ModelPlan.Scratch scratch) {
        return ModelPlan.of(config, new SlotLayout(2 * microBatch, 2, 256), 22, 4, scratch)
                .totalBytes();
    }
}
