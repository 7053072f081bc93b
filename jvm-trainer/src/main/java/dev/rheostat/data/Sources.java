package dev.rheostat.data;

import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RheostatException.Kind;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * Finds what there is to prepare. A source is a folder that holds one folder a domain, of .jsonl, .jsonl.gz, .jsonl.zst
 * and .txt files at any depth; or, where a field of each line names the domain, files and folders of JSON lines.
 */
final class Sources {
    private Sources() {}

    /**
     * What is read at one go: a file of JSON lines, or all text files of one split of a domain.
     * @param domain empty where each line names its own
     * @param validation every document belongs to the validation split
     * @param hashed documents are dealt to the splits by their text
     */
    record Unit(Optional<String> domain, boolean validation, boolean hashed, List<Path> files) {
        long bytes() throws IOException {
            long bytes = 0;
            for (Path file : files) bytes += Files.size(file);
            return bytes;
        }

        boolean isText() {
            return files.getFirst().toString().endsWith(".txt");
        }
    }

    /** In an order that depends on names alone. @throws RheostatException BAD_REQUEST if there is nothing to prepare */
    static List<Unit> find(List<Path> sources, boolean linesNameDomains) {
        List<Unit> units = new ArrayList<>();
        try {
            for (Path source : sources) {
                if (!Files.exists(source))
                    throw new RheostatException(Kind.BAD_REQUEST, source + ": no such file or folder");
                if (linesNameDomains) byLine(source, units);
                else byFolder(source, units);
            }
        } catch (IOException e) {
            throw new RheostatException(Kind.MACHINE, "cannot read the sources: " + e.getMessage(), e);
        }
        if (units.isEmpty())
            throw new RheostatException(
                    Kind.BAD_REQUEST,
                    sources + ": nothing to prepare: no file ends in .jsonl, .jsonl.gz, .jsonl.zst"
                            + (linesNameDomains ? "" : " or .txt"));
        return units;
    }

    private static void byLine(Path source, List<Unit> units) throws IOException {
        for (Path file : files(source))
            if (isJsonLines(file))
                units.add(new Unit(Optional.empty(), isValidation(source, file), true, List.of(file)));
    }

    private static void byFolder(Path source, List<Unit> units) throws IOException {
        if (!Files.isDirectory(source))
            throw new RheostatException(
                    Kind.BAD_REQUEST,
                    source
                            + " is a file: give the folder that holds one folder a domain, or --domain-field if its lines"
                            + " name their domain");
        List<Path> folders;
        try (Stream<Path> entries = Files.list(source)) {
            folders = entries.filter(Files::isDirectory).sorted().toList();
        }
        for (Path folder : folders) {
            String domain = folder.getFileName().toString();
            if (!domain.startsWith(".")) domain(folder, domain, units);
        }
    }

    private static void domain(Path folder, String domain, List<Unit> units) throws IOException {
        List<Path> files = files(folder);
        boolean split = files.stream().anyMatch(file -> isRead(file) && isValidation(folder, file));
        int before = units.size();
        for (Path file : files)
            if (isJsonLines(file))
                units.add(new Unit(Optional.of(domain), isValidation(folder, file), !split, List.of(file)));
        for (boolean validation : new boolean[] {false, true}) {
            List<Path> texts = files.stream()
                    .filter(file -> file.toString().endsWith(".txt") && isValidation(folder, file) == validation)
                    .toList();
            if (!texts.isEmpty()) units.add(new Unit(Optional.of(domain), validation, !split, texts));
        }
        if (units.size() == before)
            throw new RheostatException(
                    Kind.BAD_REQUEST,
                    "domain " + domain + " is empty: no file in " + folder
                            + " ends in .jsonl, .jsonl.gz, .jsonl.zst or .txt");
    }

    private static List<Path> files(Path source) throws IOException {
        try (Stream<Path> files = Files.walk(source)) {
            return files.filter(Files::isRegularFile).sorted().toList();
        }
    }

    private static boolean isJsonLines(Path file) {
        return file.toString().matches(".*\\.jsonl(\\.gz|\\.zst)?");
    }

    private static boolean isRead(Path file) {
        return isJsonLines(file) || file.toString().endsWith(".txt");
    }

    /** valid.jsonl, validation-0.jsonl.gz, valid/0001.txt, ... */
    private static boolean isValidation(Path root, Path file) {
        for (Path part : root.relativize(file)) if (named(part)) return true;
        return root.equals(file) && named(file.getFileName());
    }

    private static boolean named(Path part) {
        return part.toString().matches("valid(ation)?([-_.].*)?");
    }
}
