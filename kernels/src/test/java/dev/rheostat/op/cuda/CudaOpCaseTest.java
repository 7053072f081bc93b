package dev.rheostat.op.cuda;

import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rheostat.op.DType;
import org.junit.jupiter.api.Test;

/** The oracle finds what it is there to find: the device does something else than the definition here. */
class CudaOpCaseTest {
    private static final int N = 64;

    private static CudaOpCase sum() {
        return new CudaOpCase(N).bf16("x", N).updated("y", DType.BF16, N);
    }

    private static String refusal(CudaOpCase op, CudaOpCase.Body body) {
        return assertThrows(AssertionError.class, () -> op.check(body)).getMessage();
    }

    @Test
    void whatIsLeftOutIsFound() {
        String message = refusal(sum(), (backend, t) -> {
            if (backend.activationType() == DType.F32) backend.add(t.get("y"), t.get("x"));
        });
        assertTrue(message.contains("y: MAX error"), message);
    }

    /** One wrong element of 64 by two units in the last place of bf16, where half a unit is the rounding. */
    @Test
    void aFewUnitsInOneElementAreFound() {
        double[] x = new double[N], wrong = new double[N];
        for (int i = 0; i < N; i++) x[i] = wrong[i] = 1;
        wrong[17] += 2 * 0x1p-7;
        CudaOpCase op =
                new CudaOpCase(1).bf16("x", x, N).bf16("wrong", wrong, N).output("y", DType.BF16, N);
        String message = refusal(op, (backend, t) -> {
            boolean device = backend.activationType() == DType.BF16;
            backend.copy(t.get("y"), t.get(device ? "wrong" : "x"));
        });
        assertTrue(message.contains("[17]"), message);
    }

    @Test
    void whatNobodyWroteIsFound() {
        CudaOpCase op = new CudaOpCase(2).bf16("x", N).output("y", DType.BF16, N);
        String message = refusal(op, (backend, t) -> {
            if (backend.activationType() == DType.F32) backend.copy(t.get("y"), t.get("x"));
        });
        assertTrue(message.contains("is NaN"), message);
    }

    @Test
    void runsThatDifferInABitAreFound() {
        int[] runs = {0};
        String message = refusal(sum(), (backend, t) -> {
            backend.add(t.get("y"), t.get("x"));
            if (backend.activationType() == DType.BF16 && runs[0]++ == 1) backend.add(t.get("y"), t.get("x"));
        });
        assertTrue(message.contains("first byte of y"), message);
    }
}
