package dev.rheostat.cuda;

/** Chooses a binding of the driver. */
public final class Cuda {
    private Cuda() {}

    /** The driver through FFM, initialised. @throws CudaException no driver, naming every place where one was looked for */
    public static CudaApi ffm() {
        CudaApi api = new FfmCuda();
        api.init();
        return api;
    }
}
