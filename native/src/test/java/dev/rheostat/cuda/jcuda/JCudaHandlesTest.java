package dev.rheostat.cuda.jcuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;

import dev.rheostat.cuda.Binding;
import dev.rheostat.cuda.CudaApi;
import dev.rheostat.cuda.CudaDevice;
import dev.rheostat.cuda.CudaKernel;
import dev.rheostat.cuda.CudaModule;
import dev.rheostat.cuda.CudaStream;
import dev.rheostat.cuda.DeviceBuffer;
import dev.rheostat.cuda.KernelArgs;
import dev.rheostat.cuda.LaunchShape;
import dev.rheostat.cuda.TestKernels;
import java.util.Arrays;
import jcuda.Pointer;
import jcuda.Sizeof;
import jcuda.driver.CUcontext;
import jcuda.driver.CUdeviceptr;
import jcuda.driver.CUfunction;
import jcuda.driver.CUmodule;
import jcuda.driver.CUstream;
import jcuda.driver.JCudaDriver;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.Parameter;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.EnumSource;

/** A program that uses JCuda and our kernels together, whichever binding ours go through. */
@ParameterizedClass
@EnumSource(Binding.class)
@Timeout(60)
class JCudaHandlesTest {
    private static final int N = 100;

    @Parameter
    private Binding binding;

    private static void ok(int status) {
        assertEquals(0, status);
    }

    private static float[] read(CUdeviceptr y, CUstream stream) {
        float[] values = new float[N];
        ok(JCudaDriver.cuStreamSynchronize(stream));
        ok(JCudaDriver.cuMemcpyDtoH(Pointer.to(values), y, (long) N * Sizeof.FLOAT));
        return values;
    }

    @Test
    void ourKernelRunsOnTheirStreamAndMemory() throws Exception {
        Binding.JCUDA.open(); // skips where JCuda has no natives
        CudaApi api = binding.open();
        try (CudaDevice device = CudaDevice.open(api, 0);
                CudaModule module = new CudaModule(api, TestKernels.image());
                KernelArgs args = new KernelArgs()) {
            CUstream theirs = new CUstream();
            ok(JCudaDriver.cuStreamCreate(theirs, 1));
            CUdeviceptr x = new CUdeviceptr(), y = new CUdeviceptr();
            ok(JCudaDriver.cuMemAlloc(x, 4L * N));
            ok(JCudaDriver.cuMemAlloc(y, 8L * N));
            float[] ones = new float[N];
            Arrays.fill(ones, 1);
            ok(JCudaDriver.cuMemcpyHtoD(x, Pointer.to(ones), 4L * N));
            ok(JCudaDriver.cuMemsetD32Async(y, 0, 2L * N, theirs));
            CUdeviceptr second = y.withByteOffset(4L * N);
            args.ptr(JCudaHandles.address(second))
                    .ptr(JCudaHandles.address(x))
                    .f32(3)
                    .i64(N);
            CudaStream stream = JCudaHandles.stream(api, theirs);
            module.kernel("conformance_axpy").launch(stream, LaunchShape.of(1, 128), args);
            stream.close(); // theirs stays open
            float[] threes = new float[N];
            Arrays.fill(threes, 3);
            assertArrayEquals(threes, read(second, theirs));
            assertArrayEquals(new float[N], read(y, theirs));
            ok(JCudaDriver.cuMemFree(x));
            ok(JCudaDriver.cuMemFree(y));
            ok(JCudaDriver.cuStreamDestroy(theirs));
            assertNotEquals(0, device.context());
        }
    }

    @Test
    void theirCallsRunOnOurStreamMemoryAndKernel() throws Exception {
        Binding.JCUDA.open();
        CudaApi api = binding.open();
        try (CudaDevice device = CudaDevice.open(api, 0);
                CudaModule module = new CudaModule(api, TestKernels.image());
                CudaStream stream = new CudaStream(api);
                DeviceBuffer x = new DeviceBuffer(api, 4L * N, "x");
                DeviceBuffer y = new DeviceBuffer(api, 4L * N, "y")) {
            CUcontext current = new CUcontext();
            ok(JCudaDriver.cuCtxGetCurrent(current));
            assertEquals(device.context(), JCudaHandles.context(current));
            assertEquals(device.context(), JCudaHandles.context(JCudaHandles.context(device)));
            ok(JCudaDriver.cuMemsetD32Async(
                    JCudaHandles.pointer(x), Float.floatToIntBits(2), N, JCudaHandles.stream(stream)));
            y.fill((byte) 0, stream);
            Pointer parameters = Pointer.to(
                    Pointer.to(JCudaHandles.pointer(y)),
                    Pointer.to(JCudaHandles.pointer(x)),
                    Pointer.to(new float[] {5}),
                    Pointer.to(new long[] {N}));
            ok(JCudaDriver.cuLaunchKernel(
                    JCudaHandles.function(module.kernel("conformance_axpy")),
                    1,
                    1,
                    1,
                    128,
                    1,
                    1,
                    0,
                    JCudaHandles.stream(stream),
                    parameters,
                    null));
            float[] tens = new float[N];
            Arrays.fill(tens, 10);
            assertArrayEquals(tens, read(JCudaHandles.pointer(y), JCudaHandles.stream(stream)));
        }
    }

    @Test
    void theirKernelIsLaunchedByOurs() throws Exception {
        Binding.JCUDA.open();
        CudaApi api = binding.open();
        try (CudaDevice device = CudaDevice.open(api, 0);
                CudaStream stream = new CudaStream(api);
                DeviceBuffer where = new DeviceBuffer(api, 8, "where");
                KernelArgs args = new KernelArgs()) {
            CUmodule module = new CUmodule();
            ok(JCudaDriver.cuModuleLoadData(module, TestKernels.image()));
            CUfunction function = new CUfunction();
            ok(JCudaDriver.cuModuleGetFunction(function, module, "conformance_shape"));
            CudaKernel kernel = JCudaHandles.kernel(api, "conformance_shape", function);
            kernel.launch(stream, new LaunchShape(1, 1, 1, 32, 2, 0), args.ptr(where.address()));
            stream.synchronize();
            int[] values = new int[2];
            ok(JCudaDriver.cuMemcpyDtoH(Pointer.to(values), JCudaHandles.pointer(where), 8));
            assertArrayEquals(new int[] {0, 1000000}, values);
            ok(JCudaDriver.cuModuleUnload(module));
            assertEquals("conformance_shape", kernel.name());
            assertNotEquals(0, device.context());
        }
    }
}
