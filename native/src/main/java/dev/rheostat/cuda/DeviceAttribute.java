package dev.rheostat.cuda;

/** Numbers of CUdevice_attribute (cuda.h) for {@link CudaApi#deviceAttribute}. */
public final class DeviceAttribute {
    public static final int MULTIPROCESSOR_COUNT = 16;
    public static final int CAN_MAP_HOST_MEMORY = 19;
    public static final int COMPUTE_MODE = 20;
    public static final int ECC_ENABLED = 32;
    public static final int PCI_BUS_ID = 33;
    public static final int PCI_DEVICE_ID = 34;
    public static final int L2_CACHE_BYTES = 38;
    public static final int PCI_DOMAIN_ID = 50;
    public static final int COMPUTE_CAPABILITY_MAJOR = 75;
    public static final int COMPUTE_CAPABILITY_MINOR = 76;
    public static final int SHARED_BYTES_PER_BLOCK_OPTIN = 97;

    private DeviceAttribute() {}
}
