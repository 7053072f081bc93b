package dev.rheostat.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class CudaExceptionTest {
    @ParameterizedTest
    @CsvSource({
        "2, CUDA_ERROR_OUT_OF_MEMORY, micro-batch",
        "34, CUDA_ERROR_STUB_LIBRARY, LD_LIBRARY_PATH",
        "46, CUDA_ERROR_DEVICE_UNAVAILABLE, exclusive mode",
        "100, CUDA_ERROR_NO_DEVICE, CUDA_VISIBLE_DEVICES",
        "200, CUDA_ERROR_INVALID_IMAGE, compute capability",
        "209, CUDA_ERROR_NO_BINARY_FOR_GPU, compute capability",
        "214, CUDA_ERROR_ECC_UNCORRECTABLE, nvidia-smi",
        "222, CUDA_ERROR_UNSUPPORTED_PTX_VERSION, newer driver",
        "500, CUDA_ERROR_NOT_FOUND, build again",
        "700, CUDA_ERROR_ILLEGAL_ADDRESS, last checkpoint",
        "719, CUDA_ERROR_LAUNCH_FAILED, compute-sanitizer",
        "802, CUDA_ERROR_SYSTEM_NOT_READY, nvidia-fabricmanager",
        "803, CUDA_ERROR_SYSTEM_DRIVER_MISMATCH, reboot",
        "999, CUDA_ERROR_UNKNOWN, Xid"
    })
    void aRefusalIsOneLineWithCudasNameAndACure(int code, String name, String cure) {
        CudaException e = new CudaException(code, "cuCall argument=3");
        assertEquals(name, e.errorName());
        assertEquals(code, e.code());
        assertTrue(
                e.getMessage().startsWith("cuCall argument=3 failed: " + name + " (" + code + "). "), e.getMessage());
        assertTrue(e.cure().contains(cure), e.cure());
        assertTrue(e.getMessage().endsWith(e.cure()) && e.cure().endsWith("."), e.getMessage());
        assertEquals(1, e.getMessage().lines().count());
    }

    @Test
    void aCodeWithoutAKnownCureSaysWhatItKnows() {
        assertEquals("cuCall failed: CUDA_ERROR_NOT_SUPPORTED (801)", new CudaException(801, "cuCall").getMessage());
        assertEquals("cuCall failed: an unknown CUresult (12345)", new CudaException(12345, "cuCall").getMessage());
    }

    @ParameterizedTest
    @ValueSource(ints = {214, 700, 702, 709, 710, 714, 715, 716, 717, 718, 719, 999})
    void whatKillsTheContextIsSticky(int code) {
        assertTrue(new CudaException(code, "cuStreamSynchronize").sticky());
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 46, 100, 200, 209, 500, 600, 701, 801, 901})
    void whatIsRefusedAloneIsNot(int code) {
        assertFalse(new CudaException(code, "cuStreamSynchronize").sticky());
    }

    @Test
    void moreDetailKeepsCodeAndCause() {
        CudaException first = new CudaException(2, "cuMemAlloc_v2 bytes=8");
        CudaException e = first.with("for weights");
        assertTrue(e.outOfMemory());
        assertSame(first, e.getCause());
        assertTrue(
                e.getMessage().startsWith("cuMemAlloc_v2 bytes=8 (for weights) failed: CUDA_ERROR_OUT_OF_MEMORY (2). "),
                e.getMessage());
    }

    @Test
    void cublasHasNamesOfItsOwn() {
        CudaException e = CudaException.cublas(15, "cublasLtMatmul NT 3x4x5");
        assertEquals("CUBLAS_STATUS_NOT_SUPPORTED", e.errorName());
        assertTrue(e.getMessage().contains("NT 3x4x5 failed") && e.cure().contains("multiples of 8"), e.getMessage());
        assertFalse(e.sticky());
        assertTrue(CudaException.cublas(3, "cublasLtCreate").outOfMemory());
        assertFalse(CudaException.cublas(2, "cublasLtCreate").outOfMemory());
    }
}
