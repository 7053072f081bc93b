package dev.rheostat.cuda;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.rheostat.cuda.jcuda.JCudaApi;

/** The bindings that the tests of the driver run through. */
public enum Binding {
    FFM {
        @Override
        public CudaApi open() {
            TestKernels.assumeDriver();
            return Cuda.ffm();
        }
    },
    JCUDA {
        @Override
        public CudaApi open() {
            TestKernels.assumeDriver();
            assumeTrue(
                    System.getProperty("os.arch").equals("amd64"),
                    "JCuda's natives are bundled for linux-x86_64 alone");
            return JCudaApi.open();
        }
    };

    public abstract CudaApi open();
}
