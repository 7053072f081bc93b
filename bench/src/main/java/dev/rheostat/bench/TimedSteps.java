package dev.rheostat.bench;

import picocli.CommandLine.Option;

/** How many steps are timed, and how many go before. */
final class TimedSteps {
    @Option(
            names = "--steps",
            converter = Counts.Positive.class,
            defaultValue = "20",
            paramLabel = "N",
            description = "Timed steps; default: 20.")
    private int steps;

    @Option(
            names = "--warm-up",
            converter = Counts.NotNegative.class,
            defaultValue = "10",
            paramLabel = "N",
            description = "Steps before them; default: 10.")
    private int warmUp;

    int steps() {
        return steps;
    }

    int warmUp() {
        return warmUp;
    }
}
