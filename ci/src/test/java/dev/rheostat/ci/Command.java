package dev.rheostat.ci;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** The built {@code ./rheostat} as a user starts it: a process with a folder of its own, judged by exit code and output. */
final class Command {
    /** Longer than any command of the tests takes on a slow machine; only a hang reaches it. */
    private static final long LIMIT_MINUTES = 20;

    private final List<String> line;
    private final Path folder;
    private final Path output;

    private Command(List<String> line, Path folder) {
        this.line = line;
        this.folder = folder;
        output = folder.resolve("output-" + System.nanoTime() + ".txt");
    }

    /** What a process left behind. */
    record Result(int exitCode, String output) {
        Result mustExitWith(int expected) {
            if (exitCode != expected)
                throw new AssertionError("exit code " + exitCode + " instead of " + expected + ", output:\n" + output);
            return this;
        }

        Result mustSay(String... parts) {
            for (String part : parts)
                if (!output.contains(part)) throw new AssertionError("no '" + part + "' in the output:\n" + output);
            return this;
        }
    }

    /** {@code ./rheostat arguments...}, run in {@code folder}. */
    static Command rheostat(Path folder, Object... arguments) {
        List<String> line = new ArrayList<>(List.of(launcher().toString()));
        for (Object argument : arguments) line.add(argument.toString());
        return new Command(line, folder);
    }

    /** The same under a shell, so that limits can be set before: {@code prefix; exec ./rheostat arguments...} */
    static Command rheostatAfter(String prefix, Path folder, Object... arguments) {
        List<String> line = new ArrayList<>(List.of(
                "bash", "-c", prefix + "; exec \"$0\" \"$@\"", launcher().toString()));
        for (Object argument : arguments) line.add(argument.toString());
        return new Command(line, folder);
    }

    static Path root() {
        return Path.of(System.getProperty("rheostat.root"));
    }

    private static Path launcher() {
        return root().resolve("rheostat");
    }

    Process start() {
        ProcessBuilder builder = new ProcessBuilder(line)
                .directory(folder.toFile())
                .redirectErrorStream(true)
                .redirectInput(ProcessBuilder.Redirect.from(Path.of("/dev/null").toFile()))
                .redirectOutput(output.toFile());
        try {
            return builder.start();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    Result run() {
        return await(start());
    }

    /** Waits for a process that {@link #start} made. */
    Result await(Process process) {
        try {
            if (!process.waitFor(LIMIT_MINUTES, TimeUnit.MINUTES)) {
                process.destroyForcibly();
                throw new AssertionError(line + " did not end; output so far:\n" + Files.readString(output));
            }
            return new Result(process.exitValue(), Files.readString(output));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
    }
}
