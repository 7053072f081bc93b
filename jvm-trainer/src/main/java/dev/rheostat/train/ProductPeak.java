package dev.rheostat.train;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import dev.rheostat.op.Backend;
import dev.rheostat.op.DType;
import dev.rheostat.op.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Random;

/**
 * The rate of one large square product, which all achieved FLOP/s are held against: C = A B of the type that activations have, A and B
 * random normals. Of zeros a GPU's multipliers take less power, so its clocks stay higher than any step sees them.
 */
public final class ProductPeak<X extends Tensor> {
    /** Rows and columns on a GPU: each operand is larger than its L2. */
    public static final int GPU_SIZE = 8192;

    /** A GPU's clocks rise meanwhile, and the JVM compiles what is ours around the library. */
    private static final long WARM_UP_NANOS = 250_000_000L;

    private static final int ROUNDS = 5;

    /** Prime: rows of no width fall on it. */
    private static final int PERIOD = 131_071;

    private final Backend<X> backend;
    private final int n;
    private final X a, b, c;
    private final X one;

    /** @param n rows and columns of all three; their memory is freed when the backend closes */
    public ProductPeak(Backend<X> backend, int n) {
        this.backend = backend;
        this.n = n;
        Random random = new Random(1);
        a = normals(backend, n, random);
        b = normals(backend, n, random);
        c = backend.allocate("peak", backend.activationType(), n, n);
        one = backend.allocate("peak", DType.F32, 1);
    }

    /** FLOP/s, the median of a few rounds of as many products as went into the warm-up: the wait at a round's end does not count. */
    public double flops() {
        int products = 0;
        for (long endNanos = System.nanoTime() + WARM_UP_NANOS; System.nanoTime() < endNanos; products++) run(1);
        int ofRound = Math.max(1, products / ROUNDS);
        double[] seconds = new double[ROUNDS];
        for (int i = 0; i < ROUNDS; i++) {
            long startNanos = System.nanoTime();
            run(ofRound);
            seconds[i] = (System.nanoTime() - startNanos) * 1e-9 / ofRound;
        }
        Arrays.sort(seconds);
        return 2.0 * n * n * n / seconds[ROUNDS / 2];
    }

    /** So many products, one behind the other; waits for them. */
    public void run(int products) {
        for (int i = 0; i < products; i++) backend.gemm().nn(c, a, b, false);
        try (Arena arena = Arena.ofConfined()) {
            backend.download(arena.allocate(Float.BYTES), one);
        }
    }

    static <X extends Tensor> X normals(Backend<X> backend, int n, Random random) {
        X x = backend.allocate("peak", backend.activationType(), n, n);
        long size = x.bytes(), filled = Math.min(x.size(), PERIOD) * x.type().bytes();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment values = arena.allocate(size, 16);
            for (long i = 0; i < filled / x.type().bytes(); i++) {
                float value = (float) random.nextGaussian();
                if (x.type() == DType.F32) values.setAtIndex(JAVA_FLOAT, i, value);
                else values.setAtIndex(JAVA_SHORT, i, (short) (Float.floatToRawIntBits(value) >>> 16)); // bf16
            }
            for (long count; filled < size; filled += count) {
                count = Math.min(filled, size - filled);
                MemorySegment.copy(values, 0, values, filled, count);
            }
            backend.upload(x, values);
        }
        return x;
    }
}
