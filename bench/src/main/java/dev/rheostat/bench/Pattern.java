package dev.rheostat.bench;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import dev.rheostat.op.cuda.CudaBackend;
import dev.rheostat.op.cuda.DeviceTensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Random;

/**
 * Random values that repeat with a long period, so that the host knows any element of a large tensor without keeping or reading
 * it. The period is prime: rows of no width fall on it.
 */
final class Pattern {
    static final int PERIOD = 131_071;

    /** As many periods as end on 16 bytes in bf16. */
    private static final int ALIGNED_PERIODS = 8 * PERIOD;

    private final float[] values = new float[PERIOD];

    private Pattern() {}

    /** Normals, rounded to bf16: what the host reads is what any device tensor holds. */
    static Pattern normal(long seed, double deviation) {
        Pattern pattern = new Pattern();
        Random random = new Random(seed);
        for (int i = 0; i < PERIOD; i++) pattern.values[i] = roundToBf16((float) (deviation * random.nextGaussian()));
        return pattern;
    }

    /** Whole numbers from 0 to below bound, small ones more often: each as often as all up to it, as words are in text. */
    static Pattern zipf(long seed, int bound) {
        Pattern pattern = new Pattern();
        Random random = new Random(seed);
        for (int i = 0; i < PERIOD; i++)
            pattern.values[i] = (float) Math.floor(Math.pow(bound, random.nextDouble())) - 1;
        return pattern;
    }

    /** Whole numbers from 0 to below bound, each as often as the others. */
    static Pattern uniform(long seed, int bound) {
        Pattern pattern = new Pattern();
        Random random = new Random(seed);
        for (int i = 0; i < PERIOD; i++) pattern.values[i] = random.nextInt(bound);
        return pattern;
    }

    static Pattern constant(float value) {
        Pattern pattern = new Pattern();
        java.util.Arrays.fill(pattern.values, roundToBf16(value));
        return pattern;
    }

    /** Ties to even. */
    static float roundToBf16(float value) {
        int bits = Float.floatToRawIntBits(value);
        return Float.intBitsToFloat((bits + 0x7fff + (bits >>> 16 & 1)) & 0xffff0000);
    }

    /** Element of a flat index. */
    float at(long index) {
        return values[(int) (index % PERIOD)];
    }

    int intAt(long index) {
        return (int) at(index);
    }

    /** Sum of squares of the first so many elements, in doubles. */
    double squares(long count) {
        double whole = 0, rest = 0;
        for (int i = 0; i < PERIOD; i++) {
            whole += (double) values[i] * values[i];
            if (i < count % PERIOD) rest += (double) values[i] * values[i];
        }
        return count / PERIOD * whole + rest;
    }

    /** Element i of the tensor becomes element i of the pattern. One period comes from the host, its copies are made on the device. */
    DeviceTensor fill(CudaBackend backend, DeviceTensor x) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment period = values(arena, x, PERIOD);
            backend.upload(backend.view(x, 0, period.byteSize() / x.type().bytes()), period);
        }
        for (long filled = PERIOD; filled < x.size(); ) {
            long count = Math.min(filled, x.size() - filled);
            backend.copy(backend.view(x, filled, count), backend.view(x, 0, count));
            filled += count;
        }
        return x;
    }

    /** The same of weights, whose bf16 copy only uploads write, from elements on that lie on 16 bytes in both. */
    DeviceTensor fillWeights(CudaBackend backend, DeviceTensor x) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment periods = values(arena, x, ALIGNED_PERIODS);
            for (long from = 0; from < x.size(); from += ALIGNED_PERIODS) {
                long count = Math.min(ALIGNED_PERIODS, x.size() - from);
                backend.upload(
                        backend.view(x, from, count),
                        periods.asSlice(0, count * x.type().bytes()));
            }
        }
        return x;
    }

    /** The first elements, of the tensor's type, at most so many as it has. */
    private MemorySegment values(Arena arena, DeviceTensor x, int most) {
        long count = Math.min(x.size(), most);
        MemorySegment bytes = arena.allocate(count * x.type().bytes(), 16);
        for (long i = 0; i < count; i++)
            switch (x.type()) {
                case F32 -> bytes.setAtIndex(JAVA_FLOAT, i, at(i));
                case BF16 -> bytes.setAtIndex(JAVA_SHORT, i, (short) (Float.floatToRawIntBits(at(i)) >>> 16));
                case I32 -> bytes.setAtIndex(JAVA_INT, i, intAt(i));
                case F64, I64 -> throw new IllegalArgumentException("no pattern in " + x.describe());
            }
        return bytes;
    }
}
