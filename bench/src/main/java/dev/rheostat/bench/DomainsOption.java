package dev.rheostat.bench;

import picocli.CommandLine.Option;

/** How many domains a step tells apart. */
final class DomainsOption {
    @Option(
            names = "--domains",
            converter = Counts.Positive.class,
            defaultValue = "22",
            paramLabel = "K",
            description = "Default: 22.")
    private int domains;

    int count() {
        return domains;
    }
}
