package dev.rheostat.op.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rheostat.cuda.Cuda;
import dev.rheostat.cuda.CudaApi;
import dev.rheostat.cuda.jcuda.JCudaApi;
import dev.rheostat.cuda.jcuda.JCudaHandles;
import dev.rheostat.op.AttentionShape;
import dev.rheostat.op.DType;
import dev.rheostat.op.DeviceException;
import dev.rheostat.op.LossHead;
import java.util.Random;
import jcuda.Pointer;
import jcuda.driver.CUcontext;
import jcuda.driver.CUdevice;
import jcuda.driver.CUdeviceptr;
import jcuda.driver.CUstream;
import jcuda.driver.JCudaDriver;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A program of JCuda, with a context, a stream and memory of its own, that calls our kernels. */
@Timeout(120)
class CudaKernelsTest {
    private static final AttentionShape SHAPE = new AttentionShape(1, 64, 2, 2, 64);
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

    /** What attention writes of these inputs on a backend of ours. */
    private static float[] attended(short[] qk, short[] qkv) {
        try (CudaUnderTest device = CudaUnderTest.open()) {
            DeviceValues values = new DeviceValues(device.backend());
            DeviceTensor o = device.backend().allocate("test", DType.BF16, SHAPE.rows(), 128);
            DeviceTensor lse = device.backend().allocate("test", DType.F32, SHAPE.rows(), 2);
            device.backend().attention(SHAPE).forward(o, lse, values.bf16(floats(qk)), values.bf16(floats(qkv)), null);
            return values.bf16(o);
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void theyRunOnTheStreamAndMemoryOfAProgramOfJCuda(boolean throughFfm) {
        short[] qkValues = random(1, SHAPE.rows() * SHAPE.qkWidth());
        short[] qkvValues = random(2, SHAPE.rows() * SHAPE.qkvWidth());
        float[] expected = attended(qkValues, qkvValues); // skips where nothing can run
        CudaApi api = throughFfm ? Cuda.ffm() : JCudaApi.open();

        CUcontext context = new CUcontext();
        CUdevice device = new CUdevice();
        ok(JCudaDriver.cuDeviceGet(device, 0));
        ok(JCudaDriver.cuCtxCreate(context, 0, device));
        CUstream stream = new CUstream();
        ok(JCudaDriver.cuStreamCreate(stream, 1));
        long R = SHAPE.rows();
        CUdeviceptr qk = upload(qkValues),
                qkv = upload(qkvValues),
                o = allocate(R * 128 * 2),
                lse = allocate(R * 2 * 4);
        CUdeviceptr both = upload(random(3, 2L * ROWS * PADDED)), second = both.withByteOffset(2L * ROWS * PADDED);
        CUdeviceptr sums = allocate(8 * (2 * DOMAINS + 2)), targets = upload(3, 1, 36, 0, 7);
        CUdeviceptr domains = upload(0, 2, 2, 0, 2), losses = allocate(4L * ROWS);

        try (CudaKernels kernels = CudaKernels.on(JCudaHandles.stream(api, stream))) {
            kernels.attention(SHAPE)
                    .forward(
                            kernels.tensor(JCudaHandles.address(o), DType.BF16, R, 128),
                            kernels.tensor(JCudaHandles.address(lse), DType.F32, R, 2),
                            kernels.tensor(JCudaHandles.address(qk), DType.BF16, R, SHAPE.qkWidth()),
                            kernels.tensor(JCudaHandles.address(qkv), DType.BF16, R, SHAPE.qkvWidth()),
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
        }
    }
}
