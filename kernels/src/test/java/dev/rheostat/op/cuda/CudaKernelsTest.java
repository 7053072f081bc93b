package dev.rheostat.op.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rheostat.cuda.Cuda;
import dev.rheostat.cuda.CudaApi;
import dev.rheostat.cuda.CudaStream;
import dev.rheostat.cuda.jcuda.JCudaApi;
import dev.rheostat.cuda.jcuda.JCudaHandles;
import dev.rheostat.op.AdamW;
import dev.rheostat.op.AttentionShape;
import dev.rheostat.op.DType;
import dev.rheostat.op.DeviceException;
import dev.rheostat.op.LossHead;
import dev.rheostat.op.QkRotary;
import java.nio.charset.StandardCharsets;
import java.util.Random;
import jcuda.Pointer;
import jcuda.driver.CUcontext;
import jcuda.driver.CUdevice;
import jcuda.driver.CUdeviceptr;
import jcuda.driver.CUstream;
import jcuda.driver.JCudaDriver;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Programs of JCuda, with a context, a stream and memory of their own, that call our kernels. */
@Timeout(120)
@Tag("kernels")
class CudaKernelsTest {
    private static final AttentionShape SHAPE = new AttentionShape(1, 64, 2, 2, 64);
    private static final QkRotary.Settings ROTARY = new QkRotary.Settings(10_000, 1e-6f);
    private static final int VOCABULARY = 37, PADDED = 40, ROWS = 5, DOMAINS = 3;

    private static void ok(int status) {
        assertEquals(0, status);
    }

    /** Memory of theirs. */
    private static CUdeviceptr upload(short[] values) {
        CUdeviceptr pointer = allocate(2L * values.length);
        ok(JCudaDriver.cuMemcpyHtoD(pointer, Pointer.to(values), 2L * values.length));
        return pointer;
    }

    private static CUdeviceptr upload(int... values) {
        CUdeviceptr pointer = allocate(4L * values.length);
        ok(JCudaDriver.cuMemcpyHtoD(pointer, Pointer.to(values), 4L * values.length));
        return pointer;
    }

    private static CUdeviceptr allocate(long bytes) {
        CUdeviceptr pointer = new CUdeviceptr();
        ok(JCudaDriver.cuMemAlloc(pointer, bytes));
        ok(JCudaDriver.cuMemsetD8(pointer, (byte) 0, bytes));
        return pointer;
    }

    private static CUcontext context() {
        CUcontext context = new CUcontext();
        CUdevice device = new CUdevice();
        ok(JCudaDriver.cuDeviceGet(device, 0));
        ok(JCudaDriver.cuCtxCreate(context, 0, device));
        return context;
    }

    private static CUstream stream() {
        CUstream stream = new CUstream();
        ok(JCudaDriver.cuStreamCreate(stream, 1)); // not ordered with the default stream
        return stream;
    }

    private static CudaApi api(boolean ffm) {
        return ffm ? Cuda.ffm() : JCudaApi.open();
    }

    private static short[] random(int seed, long count) {
        Random random = new Random(seed);
        short[] values = new short[(int) count];
        for (int i = 0; i < values.length; i++) values[i] = DeviceValues.roundedToBf16(random.nextFloat() * 2 - 1);
        return values;
    }

    private static float[] floats(short[] bf16) {
        float[] values = new float[bf16.length];
        for (int i = 0; i < values.length; i++) values[i] = Float.intBitsToFloat(bf16[i] << 16);
        return values;
    }

    /** What rotary positions and attention write of these inputs on a backend of ours. */
    private static float[] attended(short[] qkvValues) {
        try (CudaUnderTest device = CudaUnderTest.open()) {
            DeviceValues values = new DeviceValues(device.backend());
            DeviceTensor qkv = values.bf16(floats(qkvValues));
            DeviceTensor qk = device.backend().allocate("test", DType.BF16, SHAPE.rows(), SHAPE.qkWidth());
            DeviceTensor o = device.backend().allocate("test", DType.BF16, SHAPE.rows(), 128);
            DeviceTensor lse = device.backend().allocate("test", DType.F32, SHAPE.rows(), 2);
            device.backend().qkRotary(SHAPE, ROTARY).forward(qk, null, qkv, null, null);
            device.backend().attention(SHAPE).forward(o, lse, qk, qkv, null);
            return values.bf16(o);
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void theyRunOnTheStreamAndMemoryOfAProgramOfJCuda(boolean throughFfm) {
        short[] qkvValues = random(2, SHAPE.rows() * SHAPE.qkvWidth());
        float[] expected = attended(qkvValues); // skips where nothing can run
        CUcontext context = context();
        CUstream stream = stream();
        long R = SHAPE.rows();
        CUdeviceptr qk = allocate(R * SHAPE.qkWidth() * 2),
                qkv = upload(qkvValues),
                o = allocate(R * 128 * 2),
                lse = allocate(R * 2 * 4);
        CUdeviceptr both = upload(random(3, 2L * ROWS * PADDED)), second = both.withByteOffset(2L * ROWS * PADDED);
        CUdeviceptr sums = allocate(8 * (2 * DOMAINS + 2)), targets = upload(3, 1, 36, 0, 7);
        CUdeviceptr domains = upload(0, 2, 2, 0, 2), losses = allocate(4L * ROWS);
        ok(JCudaDriver.cuCtxSynchronize()); // for fills and copies of the default stream

        try (CudaKernels kernels = CudaKernels.on(JCudaHandles.stream(api(throughFfm), stream))) {
            DeviceTensor rotated = kernels.tensor(JCudaHandles.address(qk), DType.BF16, R, SHAPE.qkWidth());
            DeviceTensor projected = kernels.tensor(JCudaHandles.address(qkv), DType.BF16, R, SHAPE.qkvWidth());
            kernels.qkRotary(SHAPE, ROTARY).forward(rotated, null, projected, null, null);
            kernels.attention(SHAPE)
                    .forward(
                            kernels.tensor(JCudaHandles.address(o), DType.BF16, R, 128),
                            kernels.tensor(JCudaHandles.address(lse), DType.F32, R, 2),
                            rotated,
                            projected,
                            null);
            DeviceTensor all = kernels.tensor(JCudaHandles.address(sums), DType.I64, 2 * DOMAINS + 2);
            kernels.lossKernel(VOCABULARY, PADDED)
                    .forward(
                            kernels.tensor(JCudaHandles.address(second), DType.BF16, ROWS, PADDED),
                            kernels.tensor(JCudaHandles.address(losses), DType.F32, ROWS),
                            new LossHead.Sums<>(
                                    all.view(0, DOMAINS), all.view(DOMAINS, DOMAINS), all.view(2 * DOMAINS, 2)),
                            kernels.tensor(JCudaHandles.address(targets), DType.I32, ROWS),
                            kernels.tensor(JCudaHandles.address(domains), DType.I32, ROWS),
                            1e6);
            ok(JCudaDriver.cuStreamSynchronize(stream));
        }

        short[] found = new short[expected.length];
        ok(JCudaDriver.cuMemcpyDtoH(Pointer.to(found), o, 2L * found.length));
        assertArrayEquals(expected, floats(found));
        long[] totals = new long[2 * DOMAINS + 2];
        ok(JCudaDriver.cuMemcpyDtoH(Pointer.to(totals), sums, 8L * totals.length));
        assertArrayEquals(new long[] {2, 0, 3}, new long[] {totals[3], totals[4], totals[5]});
        float[] nats = new float[ROWS];
        ok(JCudaDriver.cuMemcpyDtoH(Pointer.to(nats), losses, 4L * ROWS));
        assertEquals(nats[0] + nats[3], totals[0] / LossHead.FIXED_POINT, 1e-5);
        assertEquals(0, totals[1]);
        assertEquals(nats[1] + nats[2] + nats[4], totals[2] / LossHead.FIXED_POINT, 1e-5);

        for (CUdeviceptr pointer : new CUdeviceptr[] {qk, qkv, o, lse, both, sums, targets, domains, losses})
            ok(JCudaDriver.cuMemFree(pointer));
        ok(JCudaDriver.cuStreamDestroy(stream)); // still theirs
        ok(JCudaDriver.cuCtxDestroy(context));
    }

    /** AdamW's first step is as long as the learning rate, against the gradient's sign. */
    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void aWeightOfTheirsIsMovedAndLookedUp(boolean throughFfm) {
        CudaUnderTest.open().close(); // skips where nothing can run
        int V = 4, C = 8, R = 2;
        CUcontext context = context();
        CUstream stream = stream();
        CUdeviceptr master = allocate(4L * V * C), copy = allocate(2L * V * C), moments = allocate(8L * V * C);
        CUdeviceptr x = allocate(2L * R * C), tokens = upload(3, 1), rate = allocate(4), norm = allocate(4);
        CUdeviceptr counters = allocate(16), sums = allocate(32), gradient = allocate(4L * V * C);
        ok(JCudaDriver.cuMemsetD32(gradient, Float.floatToRawIntBits(-0.5f), V * C));
        ok(JCudaDriver.cuMemsetD32(rate, Float.floatToRawIntBits(0.25f), 1));
        ok(JCudaDriver.cuCtxSynchronize()); // for fills and copies of the default stream
        try (CudaKernels kernels = CudaKernels.on(JCudaHandles.stream(api(throughFfm), stream))) {
            long first = JCudaHandles.address(moments);
            DeviceTensor table = kernels.weight(JCudaHandles.address(master), JCudaHandles.address(copy), V, C);
            DeviceTensor all = kernels.tensor(JCudaHandles.address(sums), DType.I64, 4);
            kernels.adamW(V * C)
                    .update(
                            table,
                            kernels.tensor(JCudaHandles.address(gradient), DType.F32, V * C),
                            kernels.tensor(first, DType.F32, V * C),
                            kernels.tensor(first + 4L * V * C, DType.F32, V * C),
                            new LossHead.Sums<>(all.view(0, 1), all.view(1, 1), all.view(2, 2)),
                            new AdamW.Control<>(
                                    kernels.tensor(JCudaHandles.address(rate), DType.F32, 1),
                                    kernels.tensor(JCudaHandles.address(norm), DType.F32, 1),
                                    kernels.tensor(JCudaHandles.address(counters), DType.I64, 2)),
                            new AdamW.Settings(0.9f, 0.95f, 1e-8f, 0, 0));
            kernels.embedding(R, V, C)
                    .forward(
                            kernels.tensor(JCudaHandles.address(x), DType.BF16, R, C),
                            kernels.tensor(JCudaHandles.address(tokens), DType.I32, R),
                            table,
                            null);
            ok(JCudaDriver.cuStreamSynchronize(stream));
        }
        float[] moved = new float[V * C];
        ok(JCudaDriver.cuMemcpyDtoH(Pointer.to(moved), master, 4L * moved.length));
        for (float value : moved) assertEquals(0.25f, value, 1e-6);
        short[] found = new short[R * C];
        ok(JCudaDriver.cuMemcpyDtoH(Pointer.to(found), x, 2L * found.length));
        for (float value : floats(found)) assertEquals(0.25f, value);
        for (CUdeviceptr pointer :
                new CUdeviceptr[] {master, copy, moments, x, tokens, rate, norm, counters, sums, gradient})
            ok(JCudaDriver.cuMemFree(pointer));
        ok(JCudaDriver.cuStreamDestroy(stream));
        ok(JCudaDriver.cuCtxDestroy(context));
    }

    @Test
    void anImageWithoutTheKernelIsRefusedInOneSentence() {
        byte[] ptx = ".version 7.8\n.target sm_80\n.address_size 64\n.visible .entry nothing()\n{\n\tret;\n}\n\0"
                .getBytes(StandardCharsets.US_ASCII);
        try (CudaUnderTest device = CudaUnderTest.open();
                CudaOps ops = CudaOps.on(
                        CudaStream.borrowed(
                                device.ops().api(), device.ops().stream().handle()),
                        new DeviceFacts(132, 227 << 10, 90),
                        ptx)) {
            CudaKernels kernels = new CudaKernels(ops);
            var e = assertThrows(DeviceException.class, () -> kernels.attention(SHAPE));
            assertTrue(e.getMessage().contains("CUDA_ERROR_NOT_FOUND"), e.getMessage());
        }
    }

    @Test
    void withoutAContextOneSentenceSaysSo() {
        CudaUnderTest.open().close(); // skips where nothing can run
        JCudaApi.open().contextSetCurrent(0);
        var e = assertThrows(
                DeviceException.class, () -> CudaKernels.on(JCudaHandles.stream(Cuda.ffm(), new CUstream())));
        assertTrue(
                e.getMessage().contains("cuCtxGetDevice") && e.getMessage().contains("CUDA_ERROR_INVALID_CONTEXT"),
                e.getMessage());
    }

    @Test
    void whatDoesNotFitIsRefusedBeforeItRuns() {
        try (CudaUnderTest device = CudaUnderTest.open()) {
            CudaKernels kernels = new CudaKernels(device.ops());
            DeviceTensor logits = kernels.tensor(512, DType.BF16, ROWS, PADDED);
            DeviceTensor ints = kernels.tensor(512, DType.I32, ROWS), longs = kernels.tensor(512, DType.I64, DOMAINS);
            var sums = new LossHead.Sums<>(longs, longs, longs.view(0, 2));
            var kernel = kernels.lossKernel(VOCABULARY, PADDED + 8);
            String message = assertThrows(
                            IllegalArgumentException.class, () -> kernel.forward(logits, null, sums, ints, ints, 1e6))
                    .getMessage();
            assertTrue(message.contains("logits is bf16[5, 40], wanted bf16[5, 48]"), message);
            DeviceTensor floats = kernels.tensor(512, DType.F32, ROWS);
            var fits = kernels.lossKernel(VOCABULARY, PADDED);
            message = assertThrows(
                            IllegalArgumentException.class,
                            () -> fits.backwardWithExcess(logits, sums, ints, ints, floats, floats, 1, 1e6))
                    .getMessage();
            assertTrue(message.contains("the excess is null"), message);
        }
    }
}
