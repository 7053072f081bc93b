package dev.rheostat.cuda;

import java.util.Locale;

/**
 * One GPU of this process: holds its primary context, which it shares with libraries such as cuBLAS. Opened on a thread that
 * then has it current; other threads call {@link #bind} first. Closed last, after all that was made on it.
 */
public final class CudaDevice implements AutoCloseable {
    /** The oldest driver whose functions we call: CUDA 12.0 brought cuGraphExecUpdate_v2. */
    private static final int OLDEST_DRIVER = 12_000;

    private final CudaApi api;
    private final int ordinal;
    private final int device;
    private final long context;
    private final String name;
    private boolean closed;

    private CudaDevice(CudaApi api, int ordinal, int device, long context) {
        this.api = api;
        this.ordinal = ordinal;
        this.device = device;
        this.context = context;
        this.name = api.deviceName(device);
    }

    /**
     * Retains the primary context of a device and makes it current on this thread.
     * @param ordinal as CUDA counts those that CUDA_VISIBLE_DEVICES lets through: the fastest first, unless CUDA_DEVICE_ORDER is
     *     PCI_BUS_ID, as nvidia-smi always counts
     * @throws CudaException no device, no such device, a busy one, a driver older than CUDA 12; nothing is held then
     */
    public static CudaDevice open(CudaApi api, int ordinal) {
        api.init();
        requireDriver(api, OLDEST_DRIVER);
        int count = api.deviceCount();
        if (count == 0) throw new CudaException(CudaErrors.NO_DEVICE, "cuDeviceGetCount");
        if (ordinal < 0 || ordinal >= count)
            throw new CudaException(CudaErrors.INVALID_DEVICE, "cuDeviceGet ordinal=" + ordinal + " of " + count);
        int device = api.device(ordinal);
        long context = api.primaryContextRetain(device);
        try {
            api.contextSetCurrent(context);
            return new CudaDevice(api, ordinal, device, context);
        } catch (RuntimeException e) {
            Released.now(() -> api.primaryContextRelease(device));
            throw e;
        }
    }

    /**
     * A driver runs binaries of its own major CUDA version and older ones (CUDA compatibility guide, minor-version
     * compatibility); PTX it compiles only up to its own minor version.
     * @param cudaVersion 1000 major + 10 minor, of the compiler that made the kernel images
     * @throws CudaException naming both versions and the driver to install
     */
    public static void requireDriver(CudaApi api, int cudaVersion) {
        int driver = api.driverVersion();
        if (driver / 1000 >= cudaVersion / 1000) return;
        // release notes of CUDA 12.0 and 13.0: the first drivers for Linux that serve them
        int first = cudaVersion / 1000 >= 13 ? 580 : 525;
        throw CudaException.driverTooOld(
                "the driver serves CUDA " + version(driver) + ", and CUDA " + version(cudaVersion)
                        + " is needed: install NVIDIA's driver " + first + " or newer, or use device: cpu");
    }

    /** 13000 as "13.0". */
    public static String version(int cudaVersion) {
        return cudaVersion / 1000 + "." + cudaVersion % 1000 / 10;
    }

    /** Makes this device's context current on the calling thread, which must be a platform thread: a virtual one may move. */
    public void bind() {
        api.contextSetCurrent(context);
    }

    public CudaApi api() {
        return api;
    }

    public int ordinal() {
        return ordinal;
    }

    /** The CUcontext, for libraries that take one. */
    public long context() {
        return context;
    }

    public String name() {
        return name;
    }

    /** As nvidia-smi takes it, which counts devices in another order. */
    public String pciBusId() {
        return String.format(
                Locale.ROOT,
                "%08X:%02X:%02X.0",
                attribute(DeviceAttribute.PCI_DOMAIN_ID),
                attribute(DeviceAttribute.PCI_BUS_ID),
                attribute(DeviceAttribute.PCI_DEVICE_ID));
    }

    /** 10 major + minor: 80 is an A100, 90 an H100 or H200. */
    public int computeCapability() {
        return 10 * attribute(DeviceAttribute.COMPUTE_CAPABILITY_MAJOR)
                + attribute(DeviceAttribute.COMPUTE_CAPABILITY_MINOR);
    }

    public int multiprocessors() {
        return attribute(DeviceAttribute.MULTIPROCESSOR_COUNT);
    }

    /** What a kernel may have of dynamic shared memory after {@link CudaKernel#allowSharedBytes}. */
    public int sharedBytesPerBlock() {
        return attribute(DeviceAttribute.SHARED_BYTES_PER_BLOCK_OPTIN);
    }

    public int l2Bytes() {
        return attribute(DeviceAttribute.L2_CACHE_BYTES);
    }

    /** @param attribute of {@link DeviceAttribute} */
    public int attribute(int attribute) {
        return api.deviceAttribute(attribute, device);
    }

    public long totalBytes() {
        return api.deviceTotalBytes(device);
    }

    /** Free now; other processes may take it. The context must be current. */
    public long freeBytes() {
        return api.memoryInfo()[0];
    }

    @Override
    public void close() {
        if (closed) return;
        closed = true;
        Released.now(() -> api.primaryContextRelease(device));
    }

    @Override
    public String toString() {
        int capability = computeCapability();
        return "cuda:" + ordinal + " " + name + " (sm_" + capability + ", " + multiprocessors() + " multiprocessors, "
                + (totalBytes() >> 20) + " MiB, " + api.binding() + ")";
    }
}
