package dev.rheostat.cuda;

/** The driver through the binding that is always there; JCuda is the other one: {@code dev.rheostat.cuda.jcuda.JCudaApi}. */
public final class Cuda {
    private Cuda() {}

    /** The driver through FFM, initialised. @throws CudaException no driver, naming every place where one was looked for */
    public static CudaApi ffm() {
        CudaApi api = new FfmCuda();
        api.init();
        return api;
    }
}
