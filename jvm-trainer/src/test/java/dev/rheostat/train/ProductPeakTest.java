package dev.rheostat.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rheostat.op.Backend;
import dev.rheostat.op.DType;
import dev.rheostat.op.HostTensor;
import dev.rheostat.op.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** What is multiplied, on the host and on a device. No time is asserted. */
class ProductPeakTest {
    /** More values than a period has, so that it repeats. */
    private static final int N = 400;

    @Test
    void operandsAreNormalOnTheHost() {
        try (Backend<HostTensor> backend = BackendsUnderTest.PLAIN.open()) {
            assertNormal(backend);
            assertTrue(new ProductPeak<>(backend, 16).flops() > 0);
        }
    }

    @Test
    void operandsAreNormalOnADevice() {
        CudaUnderTest.newDevice();
        try (Backend<?> backend = CudaUnderTest.open()) {
            assertNormal(backend);
            assertTrue(new ProductPeak<>(backend, 16).flops() > 0);
        }
    }

    private static <X extends Tensor> void assertNormal(Backend<X> backend) {
        X x = ProductPeak.normals(backend, N, new Random(1));
        double sum = 0, squares = 0;
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment bytes = arena.allocate(x.bytes(), 8);
            backend.download(bytes, x);
            for (int i = 0; i < N * N; i++) {
                float value = x.type() == DType.F32
                        ? bytes.getAtIndex(ValueLayout.JAVA_FLOAT, i)
                        : Float.intBitsToFloat(bytes.getAtIndex(ValueLayout.JAVA_SHORT, i) << 16);
                sum += value;
                squares += value * value;
            }
        }
        // Four standard errors of 131,071 values; bf16 cut towards zero takes up to 2^-7 of a value.
        assertEquals(0, sum / (N * N), 4 / Math.sqrt(131_071));
        assertEquals(1, squares / (N * N), 0.03);
    }
}
