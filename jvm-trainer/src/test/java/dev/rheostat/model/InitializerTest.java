package dev.rheostat.model;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rheostat.config.ModelConfig;
import dev.rheostat.op.Backend;
import dev.rheostat.op.HostTensor;
import dev.rheostat.op.cpu.PlainBackend;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;

class InitializerTest {
    @Test
    void eachKindOfTensorHasItsDistribution() {
        ModelConfig nano = ModelConfig.preset("ado-nano").resolve(257);
        Map<String, float[]> values = initialize(nano, 1);
        double C = nano.width(), F = nano.mlpWidth();
        float[] embedding = Arrays.copyOf(values.get("embedding.weight"), 257 * nano.width());
        assertMoments(embedding, 1 / Math.sqrt(C), 6 / Math.sqrt(C));
        // A unit normal cut at two deviations has the deviation 0.8796257.
        assertMoments(values.get("layers.0.attention.qkv.weight"), 0.8796257 / Math.sqrt(C), 2 / Math.sqrt(C));
        assertMoments(values.get("layers.3.mlp.in.weight"), 0.8796257 / Math.sqrt(C), 2 / Math.sqrt(C));
        assertMoments(values.get("layers.3.mlp.out.weight"), 0.8796257 / Math.sqrt(F), 2 / Math.sqrt(F));
        for (float gain : values.get("layers.0.attention.qNorm.gain")) assertEquals(1, gain);
        float[] padded = values.get("embedding.weight");
        for (int i = embedding.length; i < padded.length; i++) assertEquals(0, padded[i]);
    }

    @Test
    void biasesAreZeroAndTheUntiedHeadIsTheEmbedding() {
        Map<String, float[]> values = initialize(Toy.everyOption(false), 1);
        for (float bias : values.get("layers.1.mlp.in.bias")) assertEquals(0, bias);
        for (float gain : values.get("finalNorm.gain")) assertEquals(1, gain);
        assertArrayEquals(values.get("embedding.weight"), values.get("head.weight"));
        assertMoments(values.get("positions.weight"), 0.25, 1.5);
    }

    @Test
    void tensorsDifferFromEachOtherAndBetweenSeeds() {
        Map<String, float[]> one = initialize(Toy.paper(true), 1), two = initialize(Toy.paper(true), 2);
        String name = "layers.0.attention.out.weight";
        assertFalse(Arrays.equals(one.get(name), two.get(name)));
        assertFalse(Arrays.equals(one.get(name), one.get("layers.1.attention.out.weight")));
    }

    private static Map<String, float[]> initialize(ModelConfig config, long seed) {
        try (Backend<HostTensor> backend = PlainBackend.open()) {
            Parameters<HostTensor> parameters = Parameters.weights(backend, config);
            Initializer.initialize(backend, parameters, seed);
            Map<String, float[]> values = new LinkedHashMap<>();
            for (NamedTensor<HostTensor> named : parameters.named(""))
                values.put(named.name(), named.tensor().memory().toArray(java.lang.foreign.ValueLayout.JAVA_FLOAT));
            return values;
        }
    }

    /** Mean 0 and the deviation within five standard errors; nothing beyond the largest. */
    private static void assertMoments(float[] values, double deviation, double largest) {
        double sum = 0, square = 0;
        for (float value : values) {
            sum += value;
            square += (double) value * value;
            assertTrue(Math.abs(value) <= largest * (1 + 1e-6), () -> value + " is beyond " + largest);
        }
        int n = values.length;
        assertEquals(0, sum / n, 5 * deviation / Math.sqrt(n));
        assertEquals(deviation, Math.sqrt(square / n), 5 * deviation / Math.sqrt(2.0 * n));
    }
}
