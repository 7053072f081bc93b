package dev.rheostat.bench;

import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RheostatException.Kind;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import picocli.CommandLine.Option;

/** Where a benchmark's lines of JSON are kept besides what it prints. */
final class JsonFile {
    @Option(names = "--json", paramLabel = "FILE", description = "Append one line of JSON a figure to this file.")
    private Path file;

    /** @throws RheostatException MACHINE when the file cannot be written */
    void write(String line) {
        if (file == null) return;
        try {
            Files.writeString(file, line + "\n", StandardOpenOption.CREATE, StandardOpenOption.APPEND);
        } catch (IOException e) {
            throw new RheostatException(Kind.MACHINE, "--json " + file + " cannot be written: " + e.getMessage(), e);
        }
    }
}
