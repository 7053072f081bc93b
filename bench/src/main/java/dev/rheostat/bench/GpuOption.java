package dev.rheostat.bench;

import picocli.CommandLine.Option;

/** Which GPU, for benchmarks that run on nothing else. */
final class GpuOption {
    @Option(
            names = "--device",
            converter = Counts.NotNegative.class,
            defaultValue = "0",
            paramLabel = "N",
            description = "Which GPU; default: 0.")
    private int ordinal;

    int ordinal() {
        return ordinal;
    }
}
