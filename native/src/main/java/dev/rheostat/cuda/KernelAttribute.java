package dev.rheostat.cuda;

/** Numbers of CUfunction_attribute (cuda.h) for {@link CudaApi#functionAttribute}. */
public final class KernelAttribute {
    public static final int MAX_THREADS_PER_BLOCK = 0;
    public static final int STATIC_SHARED_BYTES = 1;
    public static final int LOCAL_BYTES = 3;
    public static final int REGISTERS = 4;
    /** Of the PTX that it was made of: 10 major + minor of the capability that the compiler was told. */
    public static final int PTX_VERSION = 5;

    public static final int MAX_DYNAMIC_SHARED_BYTES = 8;

    private KernelAttribute() {}
}
