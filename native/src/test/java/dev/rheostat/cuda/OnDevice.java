package dev.rheostat.cuda;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;

/** What tests of calls have: the device, a stream and the conformance kernels; skipped with the reason where there is no driver. */
abstract class OnDevice {
    CudaApi api;
    CudaDevice device;
    CudaStream stream;
    CudaModule module;

    @BeforeEach
    void open() throws Exception {
        TestKernels.assumeDriver();
        api = Cuda.ffm();
        device = CudaDevice.open(api, 0);
        stream = new CudaStream(api);
        module = new CudaModule(api, TestKernels.image());
    }

    @AfterEach
    void close() {
        if (module != null) module.close();
        if (stream != null) stream.close();
        if (device != null) device.close();
    }
}
