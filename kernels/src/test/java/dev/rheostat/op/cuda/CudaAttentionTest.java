package dev.rheostat.op.cuda;

import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rheostat.op.AttentionShape;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** The door, and who goes through which kernels. */
@Tag("kernels")
class CudaAttentionTest {
    @Test
    void whatTheKernelsAreNotMadeForIsRefusedAtTheDoor() {
        try (CudaUnderTest device = CudaUnderTest.open()) {
            refused(device, new AttentionShape(1, 64, 2, 2, 96), "D=96");
            refused(device, new AttentionShape(1, 20, 2, 2, 64), "T=20");
            refused(device, new AttentionShape(70_000, 8, 1, 1, 64), "batch=70000");
            refused(device, new AttentionShape(1, 1 << 20, 32, 8, 128), "T=1048576");
        }
    }

    private static void refused(CudaUnderTest device, AttentionShape shape, String names) {
        String message = assertThrows(
                        IllegalArgumentException.class, () -> device.backend().attention(shape))
                .getMessage();
        assertTrue(message.contains(names), message);
    }
}
