package dev.rheostat.model;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rheostat.config.ModelConfig;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ParameterLayoutTest {
    /** Non-embedding and total millions as the published configs have them, to the digits that are published. */
    @ParameterizedTest
    @CsvSource({
        "ado-nano,0.79,0.005,7.2,0.05",
        "ado-70m,18.9,0.05,44.7,0.05",
        "ado-124m,84.9,0.06,123.6,0.05",
        "ado-1.3b,1208,0.5,1311,0.5"
    })
    void presetsHaveThePublishedSizes(String preset, double body, double bodyUlp, double total, double totalUlp) {
        ModelConfig config = ModelConfig.preset(preset).resolve(50_304);
        long parameters = ParameterLayout.of(config).parameters();
        assertEquals(total, parameters / 1e6, totalUlp);
        assertEquals(body, (parameters - 50_304L * config.width()) / 1e6, bodyUlp);
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void tensorsAreAlignedAndDoNotOverlap(boolean tied) {
        long end = 0;
        ParameterLayout layout = ParameterLayout.of(Toy.everyOption(tied));
        for (ParameterLayout.Entry entry : layout.entries().values()) {
            assertEquals(0, entry.offset() % 16, entry.name());
            assertTrue(entry.offset() >= end, entry.name());
            end = entry.offset() + entry.size();
        }
        assertTrue(layout.size() >= end && layout.size() < end + 16);
    }

    /** A table is a product's weight where the head reads it. */
    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void whatProductsMultiplyByIsFirst(boolean tied) {
        ParameterLayout layout = ParameterLayout.of(Toy.everyOption(tied));
        String head = tied ? "embedding.weight" : "head.weight";
        for (ParameterLayout.Entry entry : layout.entries().values()) {
            boolean product = entry.filling() == ParameterLayout.Filling.LINEAR
                    || entry.name().equals(head);
            assertEquals(product, entry.offset() < layout.products(), entry.name());
        }
    }

    @Test
    void thePapersBlockHasNoBiasAndNoNormGain() {
        Map<String, ParameterLayout.Entry> entries =
                ParameterLayout.of(ModelConfig.preset("ado-nano").resolve(257)).entries();
        assertEquals(1 + 4 * 6, entries.size());
        assertFalse(entries.containsKey("head.weight"));
        assertFalse(entries.containsKey("finalNorm.gain"));
        assertArrayEquals(new long[] {384, 128}, entries.get("embedding.weight").shape());
        assertArrayEquals(
                new long[] {3 * 128, 128},
                entries.get("layers.3.attention.qkv.weight").shape());
        assertArrayEquals(
                new long[] {64}, entries.get("layers.3.attention.kNorm.gain").shape());
        assertArrayEquals(
                new long[] {2 * 344, 128}, entries.get("layers.0.mlp.in.weight").shape());
        assertArrayEquals(
                new long[] {128, 344}, entries.get("layers.0.mlp.out.weight").shape());
    }

    @Test
    void everyOptionHasItsTensor() {
        Map<String, ParameterLayout.Entry> entries =
                ParameterLayout.of(Toy.everyOption(false)).entries();
        for (String name : new String[] {
            "positions.weight",
            "layers.1.attentionNorm.gain",
            "layers.1.attentionNorm.bias",
            "layers.1.attention.qkv.bias",
            "layers.1.attention.out.bias",
            "layers.1.mlpNorm.bias",
            "layers.1.mlp.in.bias",
            "layers.1.mlp.out.bias",
            "finalNorm.bias",
            "head.weight"
        }) assertTrue(entries.containsKey(name), name);
    }
}
