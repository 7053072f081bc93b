package dev.rheostat.op.cuda;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rheostat.op.Backend;
import dev.rheostat.op.DType;
import dev.rheostat.op.DeviceException;
import dev.rheostat.op.HostTensor;
import dev.rheostat.op.Tensor;
import dev.rheostat.op.cpu.PlainBackend;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.DoubleSupplier;
import java.util.function.DoubleUnaryOperator;

/**
 * One op on the CUDA backend against its definition in doubles, from the same bf16 numbers, as STYLE.md wants it:
 *
 * <pre>error(cuda) &lt;= 2 error(plain in bf16) + roundingProbe</pre>
 *
 * for every output and two measures, the largest error over the root mean square of the reference, and the relative L2 error.
 *
 * <ul>
 *   <li><b>plain in bf16</b> is the definition whose outputs are rounded to their type after every stage: the least that an op
 *       which stores bf16 can be off. Twice, since a value that lies close to a tie may round to the other side.
 *   <li><b>roundingProbe</b> stands for what the op rounds inside. A product of rounded intermediates, sum_k a_k (1 + e_k) b_k
 *       with |e_k| at most half a unit in the last place, is the exact product of the inputs b_k (1 + e_k); so the change of the
 *       definition's outputs when its inputs move by up to half a unit is the size of error that rounding each intermediate
 *       once makes. It is the largest of three random moves and one where every input moves outwards: random signs average
 *       away in a long sum, a drift does not. bf16 inputs and weights move by half a bf16 unit for each rounding that lies behind
 *       the other between an input and an output ({@link #roundings}); f32 inputs by {@value #F32_HALF_UNITS} half units of
 *       f32, since an fp32 body rounds several times on its way.
 * </ul>
 *
 * <p>The op runs twice, and on the simulator in every thread order, each time from outputs full of NaN (integers: their minimum)
 * in tensors of just their size: all runs must give equal bits. An element that the definition leaves alone must be left alone.
 */
final class CudaOpCase {
    private static final int F32_HALF_UNITS = 8, RANDOM_PROBES = 3;
    private static final int BF16_MANTISSA_BITS = 7, F32_MANTISSA_BITS = 23;

    /** A stage: what the op does with the tensors of a case; a name that the case lacks is null. */
    @FunctionalInterface
    interface Body {
        void run(Backend<Tensor> backend, Map<String, Tensor> tensors);
    }

    /** @param start values before the first stage; NaN or the least integer for an output */
    private record Slot(DType type, boolean weight, boolean compared, boolean exact, double[] start, long[] shape) {
        boolean real() {
            return type == DType.F32 || type == DType.BF16;
        }

        /** Mantissa bits of what the tensor stores. */
        int storedBits() {
            return type == DType.BF16 ? BF16_MANTISSA_BITS : F32_MANTISSA_BITS;
        }

        /** Mantissa bits of what the op reads: the bf16 copy of a weight, unless it is the one that changes the master. */
        int readBits() {
            return weight && !compared ? BF16_MANTISSA_BITS : storedBits();
        }
    }

    private final Random random;
    private final Map<String, Slot> slots = new LinkedHashMap<>();
    private int roundings = 1;
    private Body plainInBf16;

    CudaOpCase(long seed) {
        random = new Random(seed);
    }

    /** How many intermediates, one made from the other, the op rounds to bf16 between an input and an output; 1 unless it is said. */
    CudaOpCase roundings(int count) {
        roundings = count;
        return this;
    }

    /** An activation: uniform in [-1, 1), rounded to bf16. */
    CudaOpCase bf16(String name, long... shape) {
        return bf16(name, uniform(shape), shape);
    }

    CudaOpCase bf16(String name, double[] values, long... shape) {
        return put(name, DType.BF16, false, false, rounded(values, BF16_MANTISSA_BITS), shape);
    }

    /** An f32 input that no product reads: gains, biases, loss weights; uniform in [-1, 1). */
    CudaOpCase f32(String name, long... shape) {
        return f32(name, uniform(shape), shape);
    }

    CudaOpCase f32(String name, double[] values, long... shape) {
        return put(name, DType.F32, false, false, rounded(values, F32_MANTISSA_BITS), shape);
    }

    /** An f32 master with its bf16 copy, both the same numbers, uniform in [-1, 1). */
    CudaOpCase weight(String name, long... shape) {
        return put(name, DType.F32, true, false, rounded(uniform(shape), BF16_MANTISSA_BITS), shape);
    }

    CudaOpCase ints(String name, int... values) {
        double[] asDoubles = new double[values.length];
        for (int i = 0; i < values.length; i++) asDoubles[i] = values[i];
        return put(name, DType.I32, false, false, asDoubles, values.length);
    }

    /** A tensor that the op writes: poisoned before, compared after. */
    CudaOpCase output(String name, DType type, long... shape) {
        double[] poison = new double[size(shape)];
        double value = type == DType.I32 ? Integer.MIN_VALUE : type == DType.I64 ? Long.MIN_VALUE : Double.NaN;
        Arrays.fill(poison, value);
        return put(name, type, false, true, poison, shape);
    }

    /** A tensor that the op reads and writes, as gradients are added to: starts uniform in [-1, 1). */
    CudaOpCase updated(String name, DType type, long... shape) {
        int bits = type == DType.BF16 ? BF16_MANTISSA_BITS : F32_MANTISSA_BITS;
        return put(name, type, false, true, rounded(uniform(shape), bits), shape);
    }

    /** As an input named before, written in place too. */
    CudaOpCase updated(String name) {
        Slot s = slots.get(name);
        slots.put(name, new Slot(s.type, s.weight, true, s.exact, s.start, s.shape));
        return this;
    }

    /** No error at all is allowed in this output; integers of i32 are always exact. */
    CudaOpCase exact(String name) {
        Slot s = slots.get(name);
        slots.put(name, new Slot(s.type, s.weight, s.compared, true, s.start, s.shape));
        return this;
    }

    /** Plain in bf16 of an op that stores bf16 on its way: run on the definition's tensors in the stages' place. */
    CudaOpCase plainInBf16(Body body) {
        plainInBf16 = body;
        return this;
    }

    private CudaOpCase put(String name, DType type, boolean weight, boolean compared, double[] start, long... shape) {
        if (start.length != size(shape)) throw new IllegalArgumentException(name + " has " + start.length + " values");
        slots.put(name, new Slot(type, weight, compared, type == DType.I32, start, shape));
        return this;
    }

    private static int size(long... shape) {
        long size = 1;
        for (long length : shape) size *= length;
        return Math.toIntExact(size);
    }

    private double[] uniform(long... shape) {
        double[] values = new double[size(shape)];
        for (int i = 0; i < values.length; i++) values[i] = 2 * random.nextDouble() - 1;
        return values;
    }

    /** Runs the stages in order on the backend under test and on the definition, and compares every output. */
    void check(Body... stages) {
        Map<String, double[]> found = onDevice(stages);
        Map<String, double[]> reference = byDefinition(start(), false, stages);
        Body[] rounded = plainInBf16 == null ? stages : new Body[] {plainInBf16};
        Map<String, double[]> plain = byDefinition(start(), true, rounded);
        List<Map<String, double[]>> probes = new ArrayList<>();
        for (int probe = 0; probe < RANDOM_PROBES; probe++)
            probes.add(byDefinition(moved(() -> 2 * random.nextDouble() - 1), false, stages));
        probes.add(byDefinition(moved(() -> 1), false, stages));
        slots.forEach((name, slot) -> {
            if (!slot.compared) return;
            double[] expected = reference.get(name);
            checkUntouched(name, expected, found.get(name));
            for (Measure measure : Measure.values()) {
                double error = measure.of(found.get(name), expected), probed = 0;
                for (Map<String, double[]> probe : probes)
                    probed = Math.max(probed, measure.of(probe.get(name), expected));
                double bound = slot.exact ? 0 : 2 * measure.of(plain.get(name), expected) + probed;
                assertTrue(
                        error <= bound,
                        () -> name + ": " + measure + " error " + error + " is more than " + bound + "; "
                                + worst(expected, found.get(name)));
            }
        });
    }

    /** Both are relative to the reference, or absolute where that is all zeros. Elements that nobody wrote do not count. */
    private enum Measure {
        MAX {
            @Override
            double of(double[] x, double[] reference) {
                double largest = 0;
                for (int i = 0; i < x.length; i++) largest = Math.max(largest, gap(x[i], reference[i]));
                return largest / scale(reference);
            }
        },
        L2 {
            @Override
            double of(double[] x, double[] reference) {
                double squares = 0;
                for (int i = 0; i < x.length; i++) squares += gap(x[i], reference[i]) * gap(x[i], reference[i]);
                return Math.sqrt(squares / x.length) / scale(reference);
            }
        };

        /** A NaN where a number should be makes the error a NaN, which no bound accepts. */
        abstract double of(double[] x, double[] reference);

        private static double gap(double x, double reference) {
            return Double.compare(x, reference) == 0 ? 0 : Math.abs(x - reference);
        }

        private static double scale(double[] reference) {
            double squares = 0;
            for (double value : reference) squares += Double.isNaN(value) ? 0 : value * value;
            return squares == 0 ? 1 : Math.sqrt(squares / reference.length);
        }
    }

    private static void checkUntouched(String name, double[] expected, double[] found) {
        for (int i = 0; i < expected.length; i++)
            assertEquals(Double.isNaN(expected[i]), Double.isNaN(found[i]), name + "[" + i + "] is NaN, or should be");
    }

    private static String worst(double[] expected, double[] found) {
        int worst = 0;
        for (int i = 0; i < expected.length; i++)
            if (Math.abs(found[i] - expected[i]) > Math.abs(found[worst] - expected[worst])) worst = i;
        return "worst is [" + worst + "] = " + found[worst] + ", by definition " + expected[worst];
    }

    // ---- the definition
    // -------------------------------------------------------------------------------------------------

    private Map<String, double[]> start() {
        Map<String, double[]> start = new HashMap<>();
        slots.forEach((name, slot) -> start.put(name, slot.start));
        return start;
    }

    /** Every real input moved by {@code direction}, in [-1, 1], times its half unit; 1 is away from zero. */
    private Map<String, double[]> moved(DoubleSupplier direction) {
        Map<String, double[]> moved = start();
        slots.forEach((name, slot) -> {
            if (!slot.real()) return;
            double halfUnits = slot.readBits() == BF16_MANTISSA_BITS ? roundings : F32_HALF_UNITS;
            moved.put(
                    name,
                    map(slot.start, x -> x + Math.signum(x) * direction.getAsDouble() * halfUnits * halfUnit(x, slot)));
        });
        return moved;
    }

    private static double halfUnit(double x, Slot slot) {
        return x == 0 ? 0 : Math.scalb(0.5, Math.getExponent(x) - slot.readBits());
    }

    private Map<String, double[]> byDefinition(Map<String, double[]> start, boolean rounding, Body... stages) {
        try (Backend<HostTensor> doubles = PlainBackend.openInDoubles()) {
            Map<String, HostTensor> tensors = new HashMap<>();
            slots.forEach((name, slot) -> {
                DType type = slot.type == DType.BF16 ? DType.F32 : slot.type;
                HostTensor tensor = doubles.allocate("test", type, slot.shape);
                write(tensor, start.get(name));
                tensors.put(name, tensor);
            });
            for (Body stage : stages) {
                run(stage, doubles, tensors);
                if (rounding)
                    slots.forEach((name, slot) -> {
                        if (slot.compared && slot.real())
                            write(tensors.get(name), rounded(read(tensors.get(name)), slot.storedBits()));
                    });
            }
            Map<String, double[]> values = new HashMap<>();
            tensors.forEach((name, tensor) -> values.put(name, read(tensor)));
            return values;
        }
    }

    private static void write(HostTensor tensor, double[] values) {
        for (int i = 0; i < values.length; i++)
            switch (tensor.type()) {
                case I32 -> tensor.setInt(i, (int) values[i]);
                case I64 -> tensor.setLong(i, (long) values[i]);
                default -> tensor.setDouble(i, values[i]);
            }
    }

    private static double[] read(HostTensor tensor) {
        double[] values = new double[Math.toIntExact(tensor.size())];
        for (int i = 0; i < values.length; i++)
            values[i] = switch (tensor.type()) {
                case I32 -> tensor.getInt(i);
                case I64 -> tensor.getLong(i);
                default -> tensor.getDouble(i);
            };
        return values;
    }

    // ---- the device
    // -----------------------------------------------------------------------------------------------------

    /** The outputs, after checking that every run gave the same bits. */
    private Map<String, double[]> onDevice(Body... stages) {
        try (CudaUnderTest device = CudaUnderTest.open()) {
            Map<String, byte[]> first = runOnce(device.backend(), stages);
            device.inEveryThreadOrder(order -> runOnce(device.backend(), stages)
                    .forEach((name, bytes) -> assertEquals(
                            -1,
                            Arrays.mismatch(first.get(name), bytes),
                            () -> "first byte of " + name + " that differs, threads in order " + order)));
            Map<String, double[]> values = new HashMap<>();
            first.forEach((name, bytes) -> values.put(name, decode(slots.get(name), MemorySegment.ofArray(bytes))));
            return values;
        } catch (DeviceException e) {
            throw CudaUnderTest.explained(e);
        }
    }

    private Map<String, byte[]> runOnce(Backend<DeviceTensor> backend, Body... stages) {
        try (Arena arena = Arena.ofConfined()) {
            Map<String, DeviceTensor> tensors = new HashMap<>();
            slots.forEach((name, slot) -> {
                DeviceTensor tensor = slot.weight
                        ? backend.view(backend.allocateWeights("test", slot.start.length), 0, slot.shape)
                        : backend.allocate("test", slot.type, slot.shape);
                backend.upload(tensor, encode(slot, arena));
                tensors.put(name, tensor);
            });
            for (Body stage : stages) run(stage, backend, tensors);
            Map<String, byte[]> outputs = new LinkedHashMap<>();
            slots.forEach((name, slot) -> {
                if (!slot.compared) return;
                MemorySegment bytes = arena.allocate(tensors.get(name).bytes(), HostTensor.ALIGNMENT);
                backend.download(bytes, tensors.get(name));
                outputs.put(name, bytes.toArray(JAVA_BYTE));
            });
            return outputs;
        }
    }

    private static MemorySegment encode(Slot slot, Arena arena) {
        MemorySegment bytes = arena.allocate((long) slot.start.length * slot.type.bytes(), HostTensor.ALIGNMENT);
        for (int i = 0; i < slot.start.length; i++)
            switch (slot.type) {
                // The values are bf16 numbers already, so the upper half of the float is all of it.
                case BF16 ->
                    bytes.setAtIndex(
                            JAVA_SHORT, i, (short) (Float.floatToRawIntBits((float) slot.start[i]) >>> Short.SIZE));
                case I32 -> bytes.setAtIndex(JAVA_INT, i, (int) slot.start[i]);
                case I64 -> bytes.setAtIndex(JAVA_LONG, i, (long) slot.start[i]);
                default -> bytes.setAtIndex(JAVA_FLOAT, i, (float) slot.start[i]);
            }
        return bytes;
    }

    private static double[] decode(Slot slot, MemorySegment bytes) {
        double[] values = new double[size(slot.shape)];
        for (int i = 0; i < values.length; i++)
            values[i] = switch (slot.type) {
                case BF16 ->
                    Float.intBitsToFloat(
                            bytes.get(JAVA_SHORT.withByteAlignment(1), (long) Short.BYTES * i) << Short.SIZE);
                case I32 -> bytes.get(JAVA_INT.withByteAlignment(1), (long) Integer.BYTES * i);
                case I64 -> bytes.get(JAVA_LONG.withByteAlignment(1), (long) Long.BYTES * i);
                default -> bytes.get(JAVA_FLOAT.withByteAlignment(1), (long) Float.BYTES * i);
            };
        return values;
    }

    // ---- both
    // -----------------------------------------------------------------------------------------------------------

    /** A body hands a backend's tensors back to that backend alone, so the casts are true where they are checked: inside it. */
    @SuppressWarnings("unchecked")
    private static void run(Body stage, Backend<?> backend, Map<String, ?> tensors) {
        stage.run((Backend<Tensor>) backend, (Map<String, Tensor>) tensors);
    }

    /** Each value to the nearest number of so many mantissa bits, ties to even; the exponent is that of f32 and bf16 alike. */
    private static double[] rounded(double[] values, int mantissaBits) {
        return map(values, x -> {
            if (x == 0 || Double.isNaN(x) || Double.isInfinite(x)) return x;
            double unit = Math.scalb(1.0, Math.max(Math.getExponent(x), Float.MIN_EXPONENT) - mantissaBits);
            return Math.rint(x / unit) * unit;
        });
    }

    private static double[] map(double[] values, DoubleUnaryOperator f) {
        double[] mapped = new double[values.length];
        for (int i = 0; i < values.length; i++) mapped[i] = f.applyAsDouble(values[i]);
        return mapped;
    }
}
