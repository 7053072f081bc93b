package dev.rheostat.cli;

import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** testbed: settings whose best mixture is known. */
@Command(
        name = "testbed",
        mixinStandardHelpOptions = true,
        description = "Put mixture policies to settings whose best mixture is known.",
        subcommands = {TestbedDataCommand.class})
final class TestbedCommand implements Runnable {
    @Spec
    private CommandSpec spec;

    @Override
    public void run() {
        spec.commandLine().usage(spec.commandLine().getOut());
    }
}
