package dev.rheostat.cli;

import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RunConfig;
import dev.rheostat.train.Backends;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** doctor: what this machine has, and what {@code device: auto} would take of it. */
@Command(
        name = "doctor",
        mixinStandardHelpOptions = true,
        description =
                "Print driver, devices, libraries with paths, kernel images, JDK and CPU, and what device: auto takes.")
final class DoctorCommand implements Callable<Integer> {
    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() {
        print("Java", Runtime.version() + ", " + System.getProperty("java.home"));
        for (Map.Entry<String, String> line : Backends.machine()) print(line.getKey(), line.getValue());
        print("device: auto takes", chosen());
        return 0;
    }

    private void print(String subject, String detail) {
        spec.commandLine().getOut().printf("%-20s%s%n", subject, detail);
    }

    private static String chosen() {
        try {
            Backends.Choice choice = Backends.choose(RunConfig.defaults());
            return choice.device() + ", because: " + choice.reason();
        } catch (RheostatException e) {
            return e.getMessage();
        }
    }
}
