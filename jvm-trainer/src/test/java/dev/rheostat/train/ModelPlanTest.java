package dev.rheostat.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rheostat.config.ModelConfig;
import dev.rheostat.config.ModelConfig.Mlp;
import dev.rheostat.config.ModelConfig.NormKind;
import dev.rheostat.config.ModelConfig.Positions;
import dev.rheostat.config.RheostatException;
import dev.rheostat.model.ParameterLayout;
import dev.rheostat.op.SlotLayout;
import dev.rheostat.op.cpu.CpuBackend;
import dev.rheostat.op.cpu.CpuGemms;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ModelPlanTest {
    private static final CpuBackend.Settings SETTINGS = new CpuBackend.Settings(2, false, CpuGemms.Choice.VECTOR);

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
        ModelPlan plan = ModelPlan.of(() -> CpuBackend.plan(SETTINGS), config, new SlotLayout(1, 1, tokens), 1, 1);
        assertEquals(causal, plan.causalFlopsPerToken() / 1e6, 0.06);
        assertEquals(full, plan.fullFlopsPerToken() / 1e6, 0.06);
    }

    @Test
    void parametersAreTheLayouts() {
        ModelConfig config = ModelConfig.preset("ado-nano").resolve(50_257);
        ModelPlan plan = ModelPlan.of(() -> CpuBackend.plan(SETTINGS), config, new SlotLayout(8, 1, 256), 22, 4);
        assertEquals(ParameterLayout.of(config).parameters(), plan.parameters());
        assertEquals(plan.parameters() - 50_257L * 128, plan.nonEmbeddingParameters());
        assertEquals(4 * ParameterLayout.of(config).size(), plan.bytes().get("weights"));
        assertEquals(2 * plan.bytes().get("weights"), plan.bytes().get("optimizer"));
    }

    @Test
    void theLargestBatchFitsAndOneMoreDoesNot() {
        ModelConfig config = ModelConfig.preset("ado-nano").resolve(257);
        long memory = 300L << 20;
        int most = ModelPlan.largestMicroBatch(
                () -> CpuBackend.plan(SETTINGS), config, new SlotLayout(6, 2, 256), 22, 4, memory);
        assertTrue(most > 1, () -> "most=" + most);
        assertTrue(bytes(config, most) <= memory);
        assertTrue(bytes(config, most + 1) > memory);
        assertEquals(
                0,
                ModelPlan.largestMicroBatch(
                        () -> CpuBackend.plan(SETTINGS), config, new SlotLayout(6, 2, 256), 22, 4, 1 << 20));
    }

    @Test
    void moreTokensAStepThanTheLossSumsHoldAreRefused() {
        ModelConfig config = ModelConfig.preset("ado-nano").resolve(257);
        ModelPlan.of(() -> CpuBackend.plan(SETTINGS), config, new SlotLayout(1 << 15, 1, 1024), 1, 1);
        RheostatException refusal = assertThrows(
                RheostatException.class,
                () -> ModelPlan.of(
                        () -> CpuBackend.plan(SETTINGS), config, new SlotLayout((1 << 15) + 1, 1, 1024), 1, 1));
        assertEquals(
                "batch.sequences: 32769 of 1024 tokens are 33555456 tokens a step; the loss sums hold 33554432",
                refusal.getMessage());
    }

    private static long bytes(ModelConfig config, int microBatch) {
        return ModelPlan.of(() -> CpuBackend.plan(SETTINGS), config, new SlotLayout(2 * microBatch, 2, 256), 22, 4)
                .totalBytes();
    }
}
