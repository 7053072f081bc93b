package dev.rheostat.bench;

import java.util.LinkedHashMap;
import java.util.Map;
import picocli.CommandLine.Option;

/** What a benchmark computes on. */
final class DeviceOptions {
    @Option(
            names = "--device",
            defaultValue = "auto",
            paramLabel = "NAME",
            description = "cpu, cuda or cuda:N; default: a GPU where there is one.")
    private String device;

    @Option(
            names = "--precision",
            defaultValue = "auto",
            paramLabel = "NAME",
            description = "fp32 or bf16; default: fp32 on the CPU, bf16 on a GPU.")
    private String precision;

    /** As keys of a run file. */
    Map<String, String> settings() {
        Map<String, String> all = new LinkedHashMap<>();
        all.put("device", device);
        all.put("precision", precision);
        return all;
    }
}
