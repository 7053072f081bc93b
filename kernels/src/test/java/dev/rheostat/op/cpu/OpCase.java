package dev.rheostat.op.cpu;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.rheostat.op.Backend;
import dev.rheostat.op.DType;
import dev.rheostat.op.HostTensor;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;

/**
 * One op with its gradient, checked three ways: the definition's backward against central differences in doubles, the fast
 * variant against the definition in doubles, and the fast variant against itself on other threads.
 */
final class OpCase {
    /** Central differences of step h are off by h^2 f''' / 6 and by rounding 1e-16 f / h: both near 1e-10 here. */
    private static final double STEP = 1e-5, GRADIENT_TOLERANCE = 2e-7;

    /** f32 sums of some hundred terms of size 1, through exp and division: a few hundred units in the last place. */
    private static final double F32_TOLERANCE = 4e-5;

    private static final int MOST_PROBES = 30;

    /** What the op does with the tensors of a case on a backend. */
    @FunctionalInterface
    interface Body {
        void run(Backend<HostTensor> backend, Map<String, HostTensor> tensors);
    }

    private record Filling(DType type, double[] values, long[] shape) {}

    private final Random random;
    private final Map<String, Filling> tensors = new LinkedHashMap<>();
    private final Map<String, String> gradientOf = new LinkedHashMap<>();
    private final List<String> outputs = new ArrayList<>();
    private String lossOutput = "";
    private String lossGradient = "";

    OpCase(long seed) {
        random = new Random(seed);
    }

    /** Uniform in [-1, 1), as floats, so that every precision starts from the same numbers. */
    OpCase input(String name, long... shape) {
        double[] values = new double[size(shape)];
        for (int i = 0; i < values.length; i++) values[i] = 2 * random.nextFloat() - 1;
        tensors.put(name, new Filling(DType.F32, values, shape));
        return this;
    }

    /** An input that the op has a gradient for. */
    OpCase trained(String name, long... shape) {
        tensors.put("d" + name, new Filling(DType.F32, new double[size(shape)], shape));
        gradientOf.put(name, "d" + name);
        return input(name, shape);
    }

    OpCase ints(String name, int[] values) {
        double[] asDoubles = new double[values.length];
        for (int i = 0; i < values.length; i++) asDoubles[i] = values[i];
        tensors.put(name, new Filling(DType.I32, asDoubles, new long[] {values.length}));
        return this;
    }

    OpCase output(String name, long... shape) {
        tensors.put(name, new Filling(DType.F32, new double[size(shape)], shape));
        outputs.add(name);
        return this;
    }

    /** The output whose gradient {@code d + name} is given, at random. */
    OpCase loss(String name, long... shape) {
        output(name, shape);
        lossOutput = name;
        lossGradient = "d" + name;
        return input(lossGradient, shape);
    }

    private static int size(long... shape) {
        long size = 1;
        for (long length : shape) size *= length;
        return Math.toIntExact(size);
    }

    private Map<String, HostTensor> on(Backend<HostTensor> backend) {
        Map<String, HostTensor> all = new LinkedHashMap<>();
        tensors.forEach((name, filling) -> {
            HostTensor tensor = backend.allocate("test", filling.type, filling.shape);
            for (int i = 0; i < filling.values.length; i++)
                if (filling.type == DType.I32) tensor.setInt(i, (int) filling.values[i]);
                else tensor.setDouble(i, filling.values[i]);
            all.put(name, tensor);
        });
        return all;
    }

    void check(Body forward, Body backward) {
        Map<String, double[]> expected = new LinkedHashMap<>();
        try (Backend<HostTensor> doubles = PlainBackend.openInDoubles()) {
            Map<String, HostTensor> all = on(doubles);
            forward.run(doubles, all);
            backward.run(doubles, all);
            for (String name : compared()) expected.put(name, values(all.get(name)));
            for (Map.Entry<String, String> input : gradientOf.entrySet())
                centralDifferences(doubles, all, forward, input.getKey(), expected.get(input.getValue()));
        }
        for (int threads : new int[] {1, 3})
            try (Backend<HostTensor> fast =
                    CpuBackend.open(new CpuBackend.Settings(threads, false, CpuGemms.Choice.VECTOR))) {
                Map<String, HostTensor> first = on(fast), second = on(fast);
                for (Map<String, HostTensor> all : List.of(first, second)) {
                    forward.run(fast, all);
                    backward.run(fast, all);
                }
                for (String name : compared()) {
                    double[] found = values(first.get(name)), again = values(second.get(name));
                    double scale = 1;
                    for (double value : expected.get(name)) scale = Math.max(scale, Math.abs(value));
                    for (int i = 0; i < found.length; i++) {
                        String where = name + "[" + i + "] on " + threads + " threads";
                        assertEquals(expected.get(name)[i], found[i], F32_TOLERANCE * scale, where);
                        assertEquals(found[i], again[i], where + ", once more");
                    }
                }
            }
    }

    private List<String> compared() {
        List<String> all = new ArrayList<>(outputs);
        all.addAll(gradientOf.values());
        return all;
    }

    private static double[] values(HostTensor tensor) {
        double[] values = new double[Math.toIntExact(tensor.size())];
        for (int i = 0; i < values.length; i++)
            values[i] = tensor.type() == DType.F32 ? tensor.getFloat(i) : tensor.getDouble(i);
        return values;
    }

    private void centralDifferences(
            Backend<HostTensor> doubles, Map<String, HostTensor> all, Body forward, String name, double[] gradient) {
        HostTensor x = all.get(name);
        int size = Math.toIntExact(x.size()), probes = Math.min(size, MOST_PROBES);
        for (int probe = 0; probe < probes; probe++) {
            int i = size <= MOST_PROBES ? probe : random.nextInt(size);
            double before = x.getDouble(i);
            x.setDouble(i, before + STEP);
            double above = lossOf(doubles, all, forward);
            x.setDouble(i, before - STEP);
            double below = lossOf(doubles, all, forward);
            x.setDouble(i, before);
            double slope = (above - below) / (2 * STEP);
            assertEquals(slope, gradient[i], GRADIENT_TOLERANCE * (1 + Math.abs(slope)), "d" + name + "[" + i + "]");
        }
        forward.run(doubles, all);
    }

    private double lossOf(Backend<HostTensor> doubles, Map<String, HostTensor> all, Body forward) {
        forward.run(doubles, all);
        double[] out = values(all.get(lossOutput)), weight = values(all.get(lossGradient));
        double loss = 0;
        for (int i = 0; i < out.length; i++) loss += out[i] * weight[i];
        return loss;
    }
}
