package dev.rheostat.bench;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;

/** A GPU's clocks and power limit, as nvidia-smi tells them; nothing where it is not. */
final class Clocks {
    private static final String[] FIELDS = {"clocks.sm", "clocks.max.sm", "clocks.mem", "power.limit"};

    private Clocks() {}

    /** @param device as a resolved config names it: cuda:N; cpu has none */
    static Map<String, Double> of(String device) {
        return device.startsWith("cuda:") ? of(Integer.parseInt(device.substring("cuda:".length()))) : Map.of();
    }

    /** @param ordinal as nvidia-smi counts: CUDA's count where CUDA_VISIBLE_DEVICES is not set. @return MHz and watts by field */
    static Map<String, Double> of(int ordinal) {
        Map<String, Double> clocks = new LinkedHashMap<>();
        try {
            Process smi = new ProcessBuilder(
                            "nvidia-smi",
                            "--id=" + ordinal,
                            "--query-gpu=" + String.join(",", FIELDS),
                            "--format=csv,noheader,nounits")
                    .redirectError(ProcessBuilder.Redirect.DISCARD)
                    .start();
            String[] values = new String(smi.getInputStream().readAllBytes(), StandardCharsets.UTF_8).split(",");
            for (int i = 0; i < Math.min(values.length, FIELDS.length); i++)
                if (values[i].strip().matches("[0-9.]+"))
                    clocks.put(FIELDS[i].replace('.', '_'), Double.parseDouble(values[i].strip()));
        } catch (IOException e) {
            clocks.clear(); // no nvidia-smi, no clocks
        }
        return clocks;
    }
}
