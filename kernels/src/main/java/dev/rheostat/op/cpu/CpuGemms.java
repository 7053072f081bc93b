package dev.rheostat.op.cpu;

import dev.rheostat.ffi.OneDnn;
import dev.rheostat.ffi.load.NativeLibrary;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;

/** The one place where a CPU product is chosen, and why. */
public final class CpuGemms {
    /** What a run file may ask for. */
    public enum Choice {
        /** oneDNN where it loads, else the Vector API kernel. */
        AUTO,
        ONEDNN,
        VECTOR
    }

    private CpuGemms() {}

    /**
     * @param arena owns the kernel's scratch memory
     * @throws UnsupportedOperationException in one sentence, when what is asked for is not to be had on this machine
     */
    static BlockGemm choose(Choice choice, boolean bf16, int workers, Arena arena) {
        NativeLibrary.Status oneDnn = choice == Choice.VECTOR
                ? NativeLibrary.missing("oneDNN", "runtime.gemm is vector").status()
                : OneDnn.status();
        if (choice == Choice.ONEDNN && !oneDnn.available())
            throw new UnsupportedOperationException("runtime.gemm: onednn: " + oneDnn.detail());
        if (bf16 && !oneDnn.available())
            throw new UnsupportedOperationException(
                    "precision: bf16 needs oneDNN on the CPU: " + oneDnn.detail() + "; use precision: fp32");
        if (bf16 && !processorHasBf16())
            throw new UnsupportedOperationException(
                    "precision: bf16: this processor has neither avx512_bf16 nor amx_bf16; use precision: fp32");
        return oneDnn.available() ? new OneDnnBlockGemm() : new VectorBlockGemm(arena, workers);
    }

    /** Whether /proc/cpuinfo names a bf16 instruction set. */
    public static boolean processorHasBf16() {
        try (var lines = Files.lines(Path.of("/proc/cpuinfo"))) {
            return lines.filter(line -> line.startsWith("flags"))
                    .anyMatch(line -> line.contains(" avx512_bf16") || line.contains(" amx_bf16"));
        } catch (IOException e) {
            return false;
        }
    }
}
