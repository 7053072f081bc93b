package dev.rheostat.model;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import dev.rheostat.op.Backend;
import dev.rheostat.op.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.stream.IntStream;

/**
 * Weights before step 0: linear layers a unit normal cut at two deviations over sqrt(inputs); tables N(0, 1/C), an untied
 * head equal to the embedding; gains 1, biases and padding rows 0. Source: the published code of arXiv:2410.11820.
 *
 * <p>Element i of a tensor is a function of (seed, tensor name, i) alone: the same in any order, on any number of threads,
 * on any platform.
 */
public final class Initializer {
    /** Elements that are made at a time: 4 MiB of floats. */
    private static final int CHUNK = 1 << 20;

    private Initializer() {}

    /** Writes every element of the flat buffer that holds a parameter; the others are zero since they were allocated. */
    public static <X extends Tensor> void initialize(Backend<X> backend, Parameters<X> parameters, long seed) {
        float[] values = new float[(int) Math.min(CHUNK, parameters.layout().size())];
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment staging = arena.allocate(JAVA_FLOAT, values.length);
            for (ParameterLayout.Entry entry : parameters.layout().entries().values()) {
                for (long start = 0; start < entry.parameters(); start += CHUNK) {
                    int count = (int) Math.min(CHUNK, entry.parameters() - start);
                    fill(values, count, entry, start, seed);
                    MemorySegment.copy(values, 0, staging, JAVA_FLOAT, 0, count);
                    backend.upload(
                            backend.view(parameters.flat_N(), entry.offset() + start, count),
                            staging.asSlice(0, 4L * count));
                }
            }
        }
    }

    private static void fill(float[] values, int count, ParameterLayout.Entry entry, long start, long seed) {
        switch (entry.filling()) {
            case ONES -> java.util.Arrays.fill(values, 0, count, 1f);
            case ZEROS -> java.util.Arrays.fill(values, 0, count, 0f);
            case EMBEDDING, LINEAR -> {
                // The untied head starts as the embedding does: it draws under the embedding's name.
                String source = entry.name().equals("head.weight") ? "embedding.weight" : entry.name();
                long key = CounterRandom.key(seed, source);
                double scale = 1 / Math.sqrt(entry.shape()[1]);
                boolean truncated = entry.filling() == ParameterLayout.Filling.LINEAR;
                IntStream.range(0, count).parallel().forEach(i -> {
                    double uniform = CounterRandom.uniform(key, start + i);
                    values[i] = (float) (scale * (truncated ? Normal.truncated(uniform) : Normal.quantile(uniform)));
                });
            }
        }
    }
}
