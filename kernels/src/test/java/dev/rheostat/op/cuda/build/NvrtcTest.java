package dev.rheostat.op.cuda.build;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** NVRTC compiles without a GPU, so these need only the library that the profile nvrtc unpacks. */
class NvrtcTest {
    private static final Path LIBRARY = Path.of("target/nvrtc/org/bytedeco/cuda/linux-x86_64"),
            SOURCES = Path.of("src/main/cuda");
    private static final Map<String, String> HEADERS = Map.of("two.cuh", "constexpr int TWO = 2;\n");
    private static final String KERNEL =
            "#include \"two.cuh\"\n" + "extern \"C\" __global__ void twice(int* x) { x[threadIdx.x] *= TWO; }\n";

    private static Nvrtc nvrtc;

    @BeforeAll
    static void open() throws IOException {
        assumeTrue(Files.isDirectory(LIBRARY), "NVRTC is unpacked by -Pnvrtc alone (344 MB)");
        nvrtc = new Nvrtc(LIBRARY);
    }

    @Test
    void aKernelBecomesMachineCodeOfItsTarget() {
        Nvrtc.Compiled compiled =
                nvrtc.compile("twice.cu", KERNEL, HEADERS, List.of("-arch=sm_90a", "--ptxas-options=-v"), false);
        assertEquals("\u007fELF", new String(compiled.image(), 0, 4, StandardCharsets.ISO_8859_1));
        assertTrue(compiled.log().contains("Compiling entry function 'twice' for 'sm_90a'"), compiled.log());
    }

    @Test
    void aWrongKernelIsRefusedWithItsLine() {
        Nvrtc.Compiled compiled =
                nvrtc.compile("wrong.cu", KERNEL + "int x = TO;\n", HEADERS, List.of("-arch=compute_80"), true);
        assertNull(compiled.image());
        assertTrue(compiled.log().contains("wrong.cu(3): error"), compiled.log());
    }

    @Test
    void ourKernelsCompileWithoutAHeaderOfTheToolkit(@TempDir Path out) throws Exception {
        assertTrue(NvrtcMain.run(LIBRARY, SOURCES, out, List.of("compute_80")));
        assertTrue(Files.readString(out.resolve("kernels-compute_80.ptx")).contains(".entry norm_forward("));
    }
}
