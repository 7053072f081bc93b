package dev.rheostat.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.rheostat.cuda.sim.CudaSimulator;
import dev.rheostat.ffi.CudaLibrary;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** The kernels of cuda-sim/test/conformance.cu, compiled for the driver that the tests run on. */
public final class TestKernels {
    private static final Path NATIVE = Path.of("").toAbsolutePath(); // surefire runs a module's tests in its folder
    private static byte[] image;

    private TestKernels() {}

    /** Whether the tests run on the simulator; with -Pgpu they do not. */
    public static boolean simulated() {
        return !Boolean.getBoolean("rheostat.gpu");
    }

    /** Skips the test, saying why, where there is no driver. On the simulator each test begins with a new machine. */
    public static void assumeDriver() {
        if (simulated()) {
            assumeTrue(CudaSimulator.available(), CudaSimulator::reason);
            CudaSimulator.reset();
        }
        assumeTrue(
                CudaLibrary.DRIVER.status().available(),
                () -> CudaLibrary.DRIVER.status().detail());
    }

    /** The image, compiled once. */
    public static synchronized byte[] image() throws IOException, InterruptedException {
        if (image == null) image = compile();
        return image;
    }

    private static byte[] compile() throws IOException, InterruptedException {
        if (simulated()) return Files.readAllBytes(CudaSimulator.kernels(CudaSimulator.testKernel("conformance")));
        Path source = NATIVE.resolve("cuda-sim/test/conformance.cu");
        Path folder = Files.createDirectories(NATIVE.resolve("target/test-kernels"));
        Path out = folder.resolve("conformance.fatbin");
        if (!Files.exists(out) || Files.getLastModifiedTime(out).compareTo(Files.getLastModifiedTime(source)) < 0) {
            assumeTrue(Stubs.onPath("nvcc"), "no nvcc to compile conformance.cu with");
            run(List.of(
                    "nvcc",
                    "-std=c++17",
                    "-gencode",
                    "arch=compute_80,code=[sm_80,compute_80]",
                    "-fatbin",
                    "-o",
                    out.toString(),
                    source.toString()));
        }
        return Files.readAllBytes(out);
    }

    private static void run(List<String> command) throws IOException, InterruptedException {
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        String output = new String(process.getInputStream().readAllBytes());
        assertEquals(0, process.waitFor(), () -> command + "\n" + output);
    }
}
