package dev.rheostat.op.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rheostat.op.DeviceException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class KernelImagesTest {
    private static final List<String> TARGETS = List.of("sm_80", "sm_90a", "sm_100", "compute_80");
    private static final int CUDA_13_0 = 13000, CUDA_13_3 = 13030;

    /** One byte a target: its place in the list. */
    private static KernelImages.Image image(List<String> targets) {
        Map<String, byte[]> code = new LinkedHashMap<>();
        for (String target : targets) code.put(target, new byte[] {(byte) TARGETS.indexOf(target)});
        return new KernelImages.Image(code, "built by a test", CUDA_13_3);
    }

    @ParameterizedTest
    @CsvSource({"80, sm_80", "86, sm_80", "89, sm_80", "90, sm_90a", "100, sm_100", "103, sm_100", "120, compute_80"})
    void aDeviceLoadsTheCodeThatItRuns(int capability, String target) {
        byte[] chosen = image(TARGETS).bytes(capability, CUDA_13_3);
        assertEquals(target, TARGETS.get(chosen[0]));
    }

    @Test
    void machineCodeNeedsNoDriverOfItsMinorVersion() {
        assertEquals(1, image(TARGETS).bytes(90, CUDA_13_0)[0]);
    }

    @Test
    void ptxThatIsNewerThanTheDriverIsRefusedByNumber() {
        KernelImages.Image image = image(TARGETS);
        String message = assertThrows(DeviceException.class, () -> image.bytes(120, CUDA_13_0))
                .getMessage();
        assertTrue(message.contains("13.3") && message.contains("13.0") && message.contains("sm_120"), message);
    }

    @Test
    void aDeviceThatNoTargetServesIsRefused() {
        KernelImages.Image image = image(List.of("sm_90a", "sm_100"));
        assertTrue(assertThrows(DeviceException.class, () -> image.bytes(80, CUDA_13_3))
                .getMessage()
                .contains("sm_80"));
    }
}
