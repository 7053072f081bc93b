package dev.rheostat.cuda;

/**
 * The CUDA driver or cuBLAS has refused a call, or is not there: says the function and the arguments that matter, CUDA's name
 * for the code, and a cure where one is known, in one line.
 */
public final class CudaException extends RuntimeException {
    private static final long serialVersionUID = 1;

    private final int code;
    private final String errorName;
    private final String call;
    private final String cure;
    private final boolean sticky;
    private final boolean outOfMemory;

    /**
     * A refusal of the driver.
     * @param code a CUresult
     * @param call the function and the arguments that matter, as {@code cuMemAlloc_v2 bytes=4096}
     */
    public CudaException(int code, String call) {
        this(
                code,
                CudaErrors.name(code),
                call,
                call + " failed: " + CudaErrors.name(code) + " (" + code + ")",
                CudaErrors.cure(code),
                CudaErrors.sticky(code),
                code == CudaErrors.OUT_OF_MEMORY,
                null);
    }

    private CudaException(
            int code,
            String errorName,
            String call,
            String what,
            String cure,
            boolean sticky,
            boolean outOfMemory,
            Throwable cause) {
        super(sentence(what, cure), cause);
        this.code = code;
        this.errorName = errorName;
        this.call = call;
        this.cure = cure;
        this.sticky = sticky;
        this.outOfMemory = outOfMemory;
    }

    private static String sentence(String what, String cure) {
        if (cure.isEmpty()) return what;
        return what + (what.endsWith(".") ? " " : ". ") + cure;
    }

    /** No driver, or no binding to it, could be loaded. @param reasons every place that refused */
    public static CudaException noDriver(String reasons) {
        return absent(CudaErrors.NO_DRIVER, reasons);
    }

    static CudaException driverTooOld(String sentence) {
        return absent(CudaErrors.DRIVER_TOO_OLD, sentence);
    }

    /** A library of CUDA other than the driver could not be loaded. @param reasons every place that refused */
    public static CudaException noLibrary(String reasons) {
        return absent(CudaErrors.NO_LIBRARY, reasons);
    }

    private static CudaException absent(int code, String reasons) {
        return new CudaException(code, CudaErrors.name(code), "", reasons, CudaErrors.cure(code), false, false, null);
    }

    /** A refusal of cuBLAS. @param status a cublasStatus_t */
    public static CudaException cublas(int status, String call) {
        String name = CublasErrors.name(status);
        return new CudaException(
                status,
                name,
                call,
                call + " failed: " + name + " (" + status + ")",
                CublasErrors.cure(status),
                false,
                status == CublasErrors.ALLOC_FAILED,
                null);
    }

    /** The same refusal, saying more: what was being done, how much was free. */
    CudaException with(String detail) {
        String what = call + " (" + detail + ") failed: " + errorName + " (" + code + ")";
        return new CudaException(code, errorName, call, what, cure, sticky, outOfMemory, this);
    }

    /** The CUresult or cublasStatus_t; negative where no library was there to give one. */
    public int code() {
        return code;
    }

    /** CUDA's name of the code, as CUDA_ERROR_OUT_OF_MEMORY. */
    public String errorName() {
        return errorName;
    }

    /** The function that failed and its arguments, as {@code cuMemAlloc_v2 bytes=4096}. */
    public String call() {
        return call;
    }

    /** What a user can do, one sentence, or "" where that is not known. */
    public String cure() {
        return cure;
    }

    /** Whether the context is dead: each further call fails with the same code until the process ends. */
    public boolean sticky() {
        return sticky;
    }

    public boolean outOfMemory() {
        return outOfMemory;
    }
}
