package dev.rheostat.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Small libraries made while a test runs, and Java processes that meet them instead of this machine's. */
public final class Stubs {
    private Stubs() {}

    /** Compiles C++ into a shared library; skips the test where there is no g++. */
    public static Path library(Path file, String source, String... arguments) throws IOException, InterruptedException {
        assumeTrue(onPath("g++"), "no g++ to make a stub library with");
        Files.createDirectories(file.getParent());
        Path code = Files.writeString(file.resolveSibling(file.getFileName() + ".cpp"), source);
        List<String> command =
                new ArrayList<>(List.of("g++", "-shared", "-fPIC", "-o", file.toString(), code.toString()));
        command.addAll(List.of(arguments));
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        String output = new String(process.getInputStream().readAllBytes());
        assertEquals(0, process.waitFor(), output);
        return file;
    }

    static boolean onPath(String program) {
        return List.of(System.getenv("PATH").split(":")).stream()
                .anyMatch(folder -> Files.isExecutable(Path.of(folder, program)));
    }

    /** Runs a main class of the tests in a process of its own. @return what it printed, errors included */
    public static String run(Class<?> main, Map<String, String> environment) throws IOException, InterruptedException {
        ProcessBuilder builder = new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "--enable-native-access=ALL-UNNAMED",
                        "-cp",
                        System.getProperty("java.class.path"),
                        main.getName())
                .redirectErrorStream(true);
        builder.environment().putAll(environment);
        Process process = builder.start();
        String output = new String(process.getInputStream().readAllBytes());
        assertEquals(0, process.waitFor(), output);
        return output;
    }
}
