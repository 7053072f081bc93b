package dev.rheostat.op.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rheostat.cuda.sim.CudaSimulator;
import dev.rheostat.op.AdamW;
import dev.rheostat.op.AttentionShape;
import dev.rheostat.op.DType;
import dev.rheostat.op.LossHead;
import dev.rheostat.op.Norm;
import dev.rheostat.op.QkRotary;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * What launches of the PTX do, counted, against what an H200 does in the time that an op's bytes or products take: no op that is to be bound
 * by memory may need more instructions than can be issued meanwhile. docs/gpu-budget.md has the figures. Only the PTX engine counts.
 */
@Tag("counts")
class KernelCountsTest {
    /** Of one H200: a data sheet's memory by 7/8, four warps a clock of each multiprocessor, and bf16 operations of one. */
    private static final double BYTES_A_SECOND = 4.2e12,
            MULTIPROCESSORS = 132,
            CLOCK = 1.755e9,
            ISSUED_A_CLOCK = 4,
            TENSOR_OPERATIONS_A_CLOCK = 4096;

    private static final float EPSILON = 1e-6f;
    private static final int ROWS = 256, WIDTH = 768;

    /** The counts of all launches that an action makes. */
    private record Counts(Map<String, Long> of) {
        static Counts of(CudaUnderTest device, Runnable op) {
            device.ops().stream().synchronize();
            int before = CudaSimulator.launchCounts().size();
            op.run();
            device.ops().stream().synchronize();
            Map<String, Long> sums = new LinkedHashMap<>();
            var lines = CudaSimulator.launchCounts();
            for (String line : lines.subList(before, lines.size()))
                for (String field : line.split(" ")) {
                    String[] pair = field.split("=");
                    if (pair[1].matches("\\d+")) sums.merge(pair[0], Long.parseLong(pair[1]), Long::sum);
                }
            assertTrue(sums.get("warp_instructions") > 0);
            return new Counts(sums);
        }

        long get(String name) {
            return of.get(name);
        }

        /** Seconds of one multiprocessor. */
        double issueSeconds() {
            return get("warp_instructions") / (ISSUED_A_CLOCK * CLOCK);
        }

        double tensorSeconds() {
            return get("tensor_operations") / (TENSOR_OPERATIONS_A_CLOCK * CLOCK);
        }
    }

    private static CudaUnderTest counting() {
        CudaUnderTest device = CudaUnderTest.open();
        CudaSimulator.set("count.launches", 1);
        return device;
    }

    private static DeviceTensor zeros(CudaUnderTest device, DType type, long... dims) {
        DeviceTensor x = device.backend().allocate("test", type, dims);
        device.backend().zero(x);
        return x;
    }

    /** Share of the time of its bytes that an op's instructions take. */
    private static void boundByMemory(CudaUnderTest device, String op, double bytes, Runnable run) {
        Counts counts = Counts.of(device, run);
        double share = counts.issueSeconds() / (bytes / BYTES_A_SECOND * MULTIPROCESSORS);
        System.out.printf(Locale.ROOT, "%-20s instructions take %3.0f %% of the bytes' time%n", op, 100 * share);
        assertTrue(share < 1, op + ": " + share + " " + counts);
        assertTrue(32 * counts.get("global_sectors") < 1.1 * counts.get("global_bytes"), op + ": " + counts);
    }

    @Test
    void whatMemoryBoundsIsNotBoundByInstructions() {
        try (CudaUnderTest device = counting()) {
            DeviceTensor x = zeros(device, DType.BF16, ROWS, WIDTH), y = zeros(device, DType.BF16, ROWS, WIDTH);
            DeviceTensor stats = zeros(device, DType.F32, ROWS, 2);
            Norm<DeviceTensor> norm = device.backend().norm();
            Norm.Kind rms = Norm.Kind.RMS;
            double row = (double) ROWS * WIDTH;
            boundByMemory(device, "norm forward", 4 * row, () -> norm.forward(rms, y, stats, x, null, null, EPSILON));
            boundByMemory(device, "norm backward", 8 * row, () -> norm.backward(rms, x, null, null, y, y, stats, null));

            int F = 2048;
            DeviceTensor gateUp = zeros(device, DType.BF16, ROWS, 2 * F), h = zeros(device, DType.BF16, ROWS, F);
            var activation = device.backend().activation();
            boundByMemory(device, "swiglu forward", 6.0 * ROWS * F, () -> activation.swigluForward(h, gateUp));
            boundByMemory(
                    device, "swiglu backward", 10.0 * ROWS * F, () -> activation.swigluBackward(gateUp, h, gateUp));

            AttentionShape shape = new AttentionShape(1, ROWS, 12, 12, 64);
            DeviceTensor qkv = zeros(device, DType.BF16, ROWS, shape.qkvWidth());
            DeviceTensor qk = zeros(device, DType.BF16, ROWS, shape.qkWidth());
            DeviceTensor qkStats = zeros(device, DType.F32, ROWS, 24, 2);
            DeviceTensor gain = zeros(device, DType.F32, 64), dGain = zeros(device, DType.F32, 64);
            QkRotary<DeviceTensor> rotary = device.backend().qkRotary(shape, new QkRotary.Settings(10_000, EPSILON));
            boundByMemory(
                    device,
                    "qk rotary forward",
                    4.0 * ROWS * shape.qkWidth(),
                    () -> rotary.forward(qk, qkStats, qkv, gain, gain));
            boundByMemory(
                    device,
                    "qk rotary backward",
                    6.0 * ROWS * shape.qkWidth(),
                    () -> rotary.backward(qkv, dGain, dGain, qk, qkv, qkStats, gain, gain));
        }
    }

    @Test
    void adamWIsBoundByMemory() {
        int N = 1 << 18;
        try (CudaUnderTest device = counting()) {
            DeviceTensor p = device.backend().allocateWeights("test", N), g = zeros(device, DType.F32, N);
            DeviceTensor m = zeros(device, DType.F32, N), v = zeros(device, DType.F32, N);
            AdamW<DeviceTensor> adamW = device.backend().adamW(N);
            var control = adamW.allocateControl();
            device.backend().zero(control.learningRate_1());
            var sums = new LossHead.Sums<>(
                    zeros(device, DType.I64, 1), zeros(device, DType.I64, 1), zeros(device, DType.I64, 2));
            AdamW.Settings settings = new AdamW.Settings(0.9f, 0.95f, 1e-8f, 0.1f, 1);
            boundByMemory(device, "adamw", 34.0 * N, () -> adamW.update(p, g, m, v, sums, control, settings));
        }
    }

    /** V, padded: a row that stays on chip, and one that comes from L2 a second time. */
    @ParameterizedTest
    @CsvSource({"50257, 50304", "128256, 128256"})
    void theLossKernelIsBoundByMemory(int V, int padded) {
        int rows = 12;
        try (CudaUnderTest device = counting()) {
            CudaLossKernel kernel = new CudaLossKernel(device.ops(), V, padded);
            DeviceTensor logits = zeros(device, DType.BF16, rows, padded), targets = zeros(device, DType.I32, rows);
            DeviceTensor domain = zeros(device, DType.I32, rows), weight = zeros(device, DType.F32, rows);
            var sums = new LossHead.Sums<>(
                    zeros(device, DType.I64, 22), zeros(device, DType.I64, 22), zeros(device, DType.I64, 2));
            boundByMemory(
                    device,
                    "loss, V " + V,
                    4.0 * rows * padded,
                    () -> kernel.backward(logits, sums, targets, domain, weight, 1, LossHead.clampNats(rows)));
        }
    }

    /** T, D: the products of attention leave room to issue what else there is, and no access to shared memory meets another's bank. */
    @ParameterizedTest
    @CsvSource({"1024, 64", "2048, 128"})
    void attentionIssuesNoMoreThanTwiceItsProductsTime(int T, int D) {
        try (CudaUnderTest device = counting()) {
            AttentionShape shape = new AttentionShape(1, T, 1, 1, D);
            DeviceTensor qk = zeros(device, DType.BF16, T, 2 * D), qkv = zeros(device, DType.BF16, T, 3 * D);
            DeviceTensor dQk = zeros(device, DType.BF16, T, 2 * D), dQkv = zeros(device, DType.BF16, T, 3 * D);
            DeviceTensor o = zeros(device, DType.BF16, T, D), dO = zeros(device, DType.BF16, T, D);
            DeviceTensor lse = zeros(device, DType.F32, T, 1);
            for (int headBlocks : new int[] {0, 1}) {
                var attention =
                        new CudaAttention(device.ops(), shape, new HopperAttention(device.ops(), shape, headBlocks));
                String backward = headBlocks == 0 ? "backward by tiles" : "backward by heads";
                issue(device, "forward", T, D, () -> attention.forward(o, lse, qk, qkv, null));
                issue(device, backward, T, D, () -> attention.backward(dQk, dQkv, dO, o, lse, qk, qkv, null));
            }
        }
    }

    private static void issue(CudaUnderTest device, String pass, int T, int D, Runnable run) {
        Counts counts = Counts.of(device, run);
        double causal = (pass.equals("forward") ? 2.0 : 5.0) * T * T * D;
        double issued = causal / counts.issueSeconds() * MULTIPROCESSORS;
        double multiplied = causal / counts.tensorSeconds() * MULTIPROCESSORS;
        System.out.printf(
                Locale.ROOT,
                "D %d, T %d, %s: at most %.0f TFLOP/s by instructions, %.0f by products%n",
                D,
                T,
                pass,
                issued * 1e-12,
                multiplied * 1e-12);
        assertTrue(issued > multiplied / 2, pass + ": " + counts);
        assertEquals(0, counts.get("shared_conflicts"), pass + ": " + counts);
    }
}
