package dev.rheostat.cuda;

/**
 * The CUDA driver has refused a call, or there is none: says the function and the arguments that matter, CUDA's name for the
 * code, and a cure where one is known, in one line.
 */
public final class CudaException extends RuntimeException {
    private static final long serialVersionUID = 1;

    private final int code;
    private final String call;

    /**
     * @param code a CUresult
     * @param call the function and the arguments that matter, as {@code cuMemAlloc_v2 bytes=4096}
     */
    public CudaException(int code, String call) {
        this(code, call, "", null);
    }

    private CudaException(int code, String call, String detail, Throwable cause) {
        super(message(code, call, detail), cause);
        this.code = code;
        this.call = call;
    }

    private static String message(int code, String call, String detail) {
        String what = code < 0
                ? CudaErrors.name(code) + ": " + detail
                : call + " failed: " + CudaErrors.name(code) + " (" + code + ")"
                        + (detail.isEmpty() ? "" : ", " + detail);
        String cure = CudaErrors.cure(code);
        String dot = what.endsWith(".") ? "" : ".";
        return what + (cure.isEmpty() ? "" : dot + " " + cure);
    }

    /** No driver, or no binding to it, could be loaded. @param reasons every place that refused */
    static CudaException noDriver(String reasons) {
        return new CudaException(CudaErrors.NO_DRIVER, "", reasons, null);
    }

    static CudaException driverTooOld(String sentence) {
        return new CudaException(CudaErrors.DRIVER_TOO_OLD, "", sentence, null);
    }

    /** The same refusal, saying more: what was being done, how much was free. */
    CudaException with(String detail) {
        return new CudaException(code, call, detail, this);
    }

    /** The CUresult; negative where no driver was there to give one. */
    public int code() {
        return code;
    }

    /** CUDA's name of the code, as CUDA_ERROR_OUT_OF_MEMORY. */
    public String errorName() {
        return CudaErrors.name(code);
    }

    /** The function that failed and its arguments, as {@code cuMemAlloc_v2 bytes=4096}. */
    public String call() {
        return call;
    }

    /** What a user can do, one sentence, or "" where that is not known. */
    public String cure() {
        return CudaErrors.cure(code);
    }

    /** Whether the context is dead: each further call fails with the same code until the process ends. */
    public boolean sticky() {
        return CudaErrors.sticky(code);
    }

    public boolean outOfMemory() {
        return code == CudaErrors.OUT_OF_MEMORY;
    }
}
