package dev.rheostat.train;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rheostat.config.ModelConfig;
import dev.rheostat.model.NamedTensor;
import dev.rheostat.model.ReferenceGpt;
import dev.rheostat.model.Toy;
import dev.rheostat.op.AdamW;
import dev.rheostat.op.Backend;
import dev.rheostat.op.HostTensor;
import dev.rheostat.op.RecordLayout;
import dev.rheostat.op.SlotLayout;
import dev.rheostat.op.StepIo;
import dev.rheostat.op.cpu.PlainBackend;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;

/** The gradient of every parameter of 2-layer toys, against central differences of an independent forward pass. */
class WholeModelGradientTest {
    private static final int DOMAINS = 3;

    /**
     * The plain backend rounds each op's result once, and the worst tensor of all cases is off by 1.1e-6 of its largest
     * element, or 18 units of 2^-24. Fast ops round inside as well: ten times that is allowed; a wrong term is 1e-3 and more.
     */
    private static final double SINGLE_PRECISION = 1e-5;

    /** @param documentMask whether attention stops at documents */
    record Case(String name, ModelConfig config, SlotLayout layout, boolean documentMask) {
        @Override
        public String toString() {
            return name;
        }
    }

    static final List<Case> CASES = List.of(
            new Case("the paper's block", Toy.paper(true), new SlotLayout(2, 1, 7), false),
            new Case("the paper's block untied", Toy.paper(false), new SlotLayout(2, 1, 7), true),
            new Case("every option, tied", Toy.everyOption(true), new SlotLayout(4, 2, 5), true),
            new Case("every option, untied", Toy.everyOption(false), new SlotLayout(2, 2, 6), false),
            new Case("Llama's block", Toy.llama(), new SlotLayout(3, 3, 5), true),
            new Case("GPT-2's block", Toy.gpt2(), new SlotLayout(2, 1, 12), false),
            new Case("a block nobody published", Toy.mixed(), new SlotLayout(2, 1, 5), true));

    @ParameterizedTest
    @FieldSource("CASES")
    void backwardMatchesCentralDifferences(Case c) {
        ToyBatch batch = new ToyBatch(c.layout, c.config.vocabulary(), DOMAINS, 11);
        try (Backend<HostTensor> backend = PlainBackend.openInDoubles()) {
            Gradient gradient = gradient(backend, c, batch);
            gradient.of.forEach((name, d) -> {
                double[] p = gradient.at.get(name);
                double[] along = new double[p.length];
                for (int i = 0; i < p.length; i += 1 + p.length / 20) {
                    along[i] = 1;
                    assertSlope(c, batch, gradient, name, along, name + "[" + i + "]");
                    along[i] = 0;
                }
                // Every element at once: a wrong one would have to be undone by others.
                Random random = new Random(name.hashCode());
                for (int i = 0; i < p.length; i++) along[i] = random.nextGaussian() / Math.sqrt(p.length);
                assertSlope(c, batch, gradient, name, along, name);
            });
        }
    }

    /** What rounding to f32 leaves of it, on every backend: an error relative to the largest element of the tensor. */
    @ParameterizedTest
    @FieldSource("CASES")
    void singlePrecisionIsCloseToDoubles(Case c) {
        ToyBatch batch = new ToyBatch(c.layout, c.config.vocabulary(), DOMAINS, 11);
        Map<String, double[]> exact;
        try (Backend<HostTensor> backend = PlainBackend.openInDoubles()) {
            exact = gradient(backend, c, batch).of;
        }
        for (BackendsUnderTest kind : BackendsUnderTest.values())
            try (Backend<HostTensor> backend = kind.open()) {
                gradient(backend, c, batch).of.forEach((name, d) -> {
                    double largest = 0;
                    for (double value : exact.get(name)) largest = Math.max(largest, Math.abs(value));
                    double worst = 0;
                    for (int i = 0; i < d.length; i++) worst = Math.max(worst, Math.abs(d[i] - exact.get(name)[i]));
                    assertTrue(
                            worst <= SINGLE_PRECISION * largest, kind + " " + name + ": " + worst + " of " + largest);
                });
            }
    }

    /** Along a direction of length about 1. */
    private static void assertSlope(
            Case c, ToyBatch batch, Gradient gradient, String name, double[] along, String what) {
        double h = 1e-5, slope = 0;
        double[] p = gradient.at.get(name), d = gradient.of.get(name), above = p.clone(), below = p.clone();
        for (int i = 0; i < p.length; i++) {
            above[i] += h * along[i];
            below[i] -= h * along[i];
            slope += d[i] * along[i];
        }
        Map<String, double[]> at = new LinkedHashMap<>(gradient.at);
        at.put(name, above);
        double rise = objective(c, at, batch);
        at.put(name, below);
        rise -= objective(c, at, batch);
        // The scale 1/tokens is a float: 2^-24 of the value. Truncation is h^2/6 times a third derivative (100 was
        // seen,
        // where an embedding is small), rounding a few 2^-53 / h.
        assertEquals(rise / (2 * h), slope, 0x1p-24 * Math.abs(slope) + 1e-8, what);
    }

    record Gradient(Map<String, double[]> at, Map<String, double[]> of) {}

    /** The gradient by one training step with learning rate 0, at parameters that are random, gains and biases too. */
    static Gradient gradient(Backend<HostTensor> backend, Case c, ToyBatch batch) {
        try (Arena arena = Arena.ofConfined()) {
            StepIo.Rings rings = StepIo.Rings.allocate(backend, "rings", c.layout, new RecordLayout(DOMAINS), 1);
            TrainStep<HostTensor> step = new TrainStep<>(
                    backend, c.config, rings, new AdamW.Settings(0.9f, 0.95f, 1e-8f, 0.1f, 1), c.documentMask);
            step.initialize(5);
            Map<String, double[]> parameters = new LinkedHashMap<>();
            Random random = new Random(3);
            for (NamedTensor<HostTensor> named : step.parameters().named("")) {
                HostTensor tensor = named.tensor();
                long used =
                        step.parameters().layout().entries().get(named.name()).parameters();
                MemorySegment values = arena.allocate(JAVA_FLOAT, tensor.size());
                for (long i = 0; i < used; i++)
                    values.setAtIndex(JAVA_FLOAT, i, (float) (tensor.getDouble(i) + 0.3 * random.nextGaussian()));
                backend.upload(tensor, values);
                parameters.put(named.name(), doubles(tensor));
            }
            for (NamedTensor<HostTensor> stale : step.gradients().parameters().named(""))
                for (long i = 0; i < stale.tensor().size(); i++) stale.tensor().setDouble(i, Double.NaN);
            batch.write(rings.slot(0), 0, 0);
            step.run();
            Map<String, double[]> gradients = new LinkedHashMap<>();
            for (NamedTensor<HostTensor> named : step.gradients().parameters().named(""))
                gradients.put(named.name(), doubles(named.tensor()));
            return new Gradient(parameters, gradients);
        }
    }

    private static double objective(Case c, Map<String, double[]> parameters, ToyBatch batch) {
        ReferenceGpt reference = new ReferenceGpt(c.config, parameters);
        double sum = 0;
        for (int b = 0; b < c.layout.sequences(); b++) {
            int[] docStart_T = c.documentMask ? batch.docStart_BT[b] : new int[c.layout.tokens()];
            for (double nats : reference.tokenLosses(batch.tokens_BT1[b], docStart_T)) sum += batch.weight_B[b] * nats;
        }
        return sum / c.layout.tokensPerStep();
    }

    private static double[] doubles(HostTensor tensor) {
        double[] values = new double[Math.toIntExact(tensor.size())];
        for (int i = 0; i < values.length; i++) values[i] = tensor.getDouble(i);
        return values;
    }
}
