package dev.rheostat.bench;

import dev.rheostat.cuda.CudaDevice;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;

/** A working GPU's clocks and power limit, as nvidia-smi tells them; nothing where it is not. */
final class Clocks {
    private static final String[] FIELDS = {"clocks.sm", "clocks.max.sm", "clocks.mem", "power.limit"};

    /** It takes a second or two where nothing keeps the driver's state. */
    private static final long PATIENCE_NANOS = 15_000_000_000L;

    private Clocks() {}

    /**
     * @param work keeps the device busy and waits for it; done again until the answer is there, since an idle device shows idle
     *     clocks
     * @return MHz and watts by field
     */
    static Map<String, Double> during(Runnable work, CudaDevice device) {
        return during(work, device.pciBusId(), "nvidia-smi");
    }

    /** @param program in nvidia-smi's place */
    static Map<String, Double> during(Runnable work, String pciBusId, String program) {
        Map<String, Double> clocks = new LinkedHashMap<>();
        try {
            Process smi = new ProcessBuilder(
                            program,
                            "--id=" + pciBusId,
                            "--query-gpu=" + String.join(",", FIELDS),
                            "--format=csv,noheader,nounits")
                    .redirectError(ProcessBuilder.Redirect.DISCARD)
                    .start();
            try {
                for (long endNanos = System.nanoTime() + PATIENCE_NANOS; smi.isAlive(); ) {
                    if (System.nanoTime() > endNanos) return clocks;
                    work.run();
                }
                String[] values = new String(smi.getInputStream().readAllBytes(), StandardCharsets.UTF_8).split(",");
                for (int i = 0; i < Math.min(values.length, FIELDS.length); i++)
                    if (values[i].strip().matches("[0-9.]+"))
                        clocks.put(FIELDS[i].replace('.', '_'), Double.parseDouble(values[i].strip()));
            } finally {
                smi.destroyForcibly();
            }
        } catch (IOException e) {
            clocks.clear(); // no nvidia-smi, no clocks
        }
        return clocks;
    }
}
