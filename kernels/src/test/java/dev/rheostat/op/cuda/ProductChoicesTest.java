package dev.rheostat.op.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.rheostat.cuda.sim.CudaSimulator;
import dev.rheostat.op.DType;
import dev.rheostat.op.DeviceException;
import dev.rheostat.op.cuda.CudaBackend.Binding;
import dev.rheostat.op.cuda.CudaBackend.Settings;
import dev.rheostat.op.cuda.ProductChoices.Choice;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ProductChoicesTest {
    @TempDir
    private Path folder;

    /** What the backend takes for one product, and the text of its shape. */
    private static Map.Entry<String, String> algorithm(ProductChoices choices) {
        assumeTrue(
                !Boolean.getBoolean("rheostat.gpu"), "what is offered at which rank is known of the simulator alone");
        assumeTrue(CudaSimulator.available(), CudaSimulator::reason);
        CudaSimulator.reset();
        try (CudaBackend backend = CudaBackend.open(new Settings(0, Binding.FFM, false, choices))) {
            DeviceTensor a = backend.allocate("test", DType.BF16, 16, 32),
                    b = backend.allocate("test", DType.BF16, 8, 32);
            backend.gemm().nt(backend.allocate("test", DType.BF16, 16, 8), a, b, false);
            return backend.algorithms().entrySet().iterator().next();
        }
    }

    @Test
    void aProductTakesTheAlgorithmOfItsRank() throws IOException {
        String shape = algorithm(ProductChoices.FIRST).getKey();
        String first = algorithm(ProductChoices.FIRST).getValue(),
                second = algorithm(new ProductChoices(Map.of(), 1)).getValue();
        assertTrue(first.contains("algo=60 ") && second.contains("algo=61 "), first + "; " + second);
        Path file = folder.resolve("products");
        new ProductChoices(Map.of(shape, new Choice(1, second)), 0).write(file, "for a test");
        assertEquals("# for a test\n" + shape + " | 1 | " + second + "\n", Files.readString(file));
        assertEquals(second, algorithm(ProductChoices.read(file)).getValue());
    }

    @Test
    void whatAnotherLibraryOffersIsRefused() {
        String shape = algorithm(ProductChoices.FIRST).getKey();
        ProductChoices other = new ProductChoices(Map.of(shape, new Choice(1, "cublasLt=120000 algo=7")), 0);
        String message =
                assertThrows(DeviceException.class, () -> algorithm(other)).getMessage();
        assertTrue(
                message.contains("runtime.products was made by another cuBLASLt")
                        && message.contains("[cublasLt=120000 algo=7] there"),
                message);
        ProductChoices beyond = new ProductChoices(Map.of(shape, new Choice(50, "any")), 0);
        String absent =
                assertThrows(DeviceException.class, () -> algorithm(beyond)).getMessage();
        assertTrue(absent.contains(shape + " has no algorithm of rank 50 here; make it anew"), absent);
    }

    @Test
    void aFileThatIsNotOneIsRefusedByLine() throws IOException {
        Path file = Files.writeString(folder.resolve("products"), "# a remark\n\nNT 8x16x32 | first | algo=1\n");
        String message =
                assertThrows(IOException.class, () -> ProductChoices.read(file)).getMessage();
        assertTrue(message.contains("products:3: not SHAPE | RANK | ALGORITHM"), message);
    }
}
