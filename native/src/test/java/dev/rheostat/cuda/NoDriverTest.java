package dev.rheostat.cuda;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.rheostat.cuda.jcuda.JCublasGemm;
import dev.rheostat.cuda.jcuda.JCudaApi;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.function.Supplier;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Machines that lack the driver or cuBLAS, played by a process whose folders hold none or a broken one. */
class NoDriverTest {
    @TempDir
    private Path folder;

    static final class Opens {
        public static void main(String[] arguments) {
            tell("FFM", Cuda::ffm);
            tell("JCuda", JCudaApi::open);
            tell("JCuda alone", () -> JCudaApi.unavailable().orElse("available"));
            tell("cuBLASLt", CublasLt::new);
            tell("JCublas", JCublasGemm::new);
            System.out.println("tmpdir: " + System.getProperty("java.io.tmpdir"));
            CudaLibraries.status().forEach(System.out::println);
        }

        private static void tell(String what, Supplier<?> open) {
            try {
                System.out.println(what + ": " + open.get());
            } catch (CudaException e) {
                System.out.println(what + ": " + e.code() + " " + e.getMessage());
            }
        }
    }

    private static String line(String output, String name) {
        return output.lines()
                .filter(line -> line.startsWith(name + ": "))
                .findFirst()
                .orElseThrow(() -> new AssertionError("no " + name + " in\n" + output));
    }

    @Test
    void eachAbsenceIsOneLineWithEveryPlaceAndACure() throws Exception {
        Path text = Files.writeString(
                folder.resolve("libcuda.so.1"), "a broken driver, longer than an ELF header is; ".repeat(4));
        String output = Stubs.run(Opens.class, Map.of("RHEOSTAT_CUDA_LIBRARIES", folder.toString()));
        String ffm = line(output, "FFM");
        assumeTrue(ffm.startsWith("FFM: -1 "), "this machine has a driver, which is then found");
        assertTrue(ffm.contains("the CUDA driver cannot be used: " + text + ": invalid ELF header"), ffm);
        assertTrue(ffm.contains("libcuda.so.1: cannot open shared object file"), ffm);
        assertTrue(ffm.endsWith("Install NVIDIA's driver 580 or newer, or use device: cpu."), ffm);
        assertTrue(line(output, "JCuda").startsWith("JCuda: -1 the CUDA driver cannot be used"), output);
        assertTrue(
                line(output, "JCuda alone")
                        .endsWith("libcuda.so.1: cannot open shared object file: No such file or directory"),
                output);
        // JCuda unpacks its libraries below this property's folder while it is opened
        assertTrue(output.contains("tmpdir: " + System.getProperty("java.io.tmpdir") + "\n"), output);
    }

    @Test
    void aCublasThatIsAbsentSaysHowToGetIt() throws Exception {
        String output = Stubs.run(Opens.class, Map.of("RHEOSTAT_CUDA_LIBRARIES", folder.toString()));
        String twelve = line(output, "JCublas");
        assumeTrue(twelve.startsWith("JCublas: -3 "), "this machine has CUDA 12's cuBLAS");
        assertTrue(twelve.contains(folder + "/libcublas.so.12: no such file"), twelve);
        assertTrue(twelve.contains("RHEOSTAT_CUDA_LIBRARIES") && twelve.contains("pip"), twelve);
        String lt = line(output, "cuBLASLt");
        assumeTrue(lt.startsWith("cuBLASLt: -3 "), "this machine has cuBLASLt");
        assertTrue(
                lt.contains("libcublasLt.so.13: no such file") && lt.contains("libcublasLt.so.12: no such file"), lt);
        assertFalse(output.contains("Exception in thread"), output);
    }
}
