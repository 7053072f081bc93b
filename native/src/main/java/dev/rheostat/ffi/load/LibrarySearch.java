package dev.rheostat.ffi.load;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Where people have the libraries of CUDA, in the order in which they are tried:
 * <ol>
 *   <li>folders of {@code RHEOSTAT_CUDA_LIBRARIES}, separated by colons: who sets it wants these;
 *   <li>the linker's path ({@code LD_LIBRARY_PATH}, ld.so.cache), where a driver puts libcuda;
 *   <li>the toolkit of {@code CUDA_HOME} and {@code CUDA_PATH}, the libraries of {@code CONDA_PREFIX}, then
 *       {@code /usr/local/cuda*}, newest first;
 *   <li>{@code nvidia/*}{@code /lib} of Python's site-packages, where pip puts cuBLAS: {@code nvidia/cublas/lib} for CUDA 12,
 *       {@code nvidia/cu13/lib} for CUDA 13: of environments that are active, of each python3 on {@code PATH}, of the user, of the
 *       system. Python itself is not asked, so it need not run.
 * </ol>
 *
 * @param environment the process's variables
 * @param root {@code /}, or a folder that plays its part in a test
 */
public record LibrarySearch(Map<String, String> environment, Path root) {
    public static final String FOLDERS_VARIABLE = "RHEOSTAT_CUDA_LIBRARIES";

    public static LibrarySearch ofThisProcess() {
        return new LibrarySearch(System.getenv(), Path.of("/"));
    }

    /**
     * Absolute paths and plain names (for the linker), each once. A folder that was named by a variable is listed even if
     * it lacks the file, so that the refusal tells the user; of the guessed ones only folders that exist.
     * @param names file names, the one to prefer first; in one place all of them are tried before the next place
     */
    public List<String> candidates(String... names) {
        Set<String> candidates = new LinkedHashSet<>();
        for (String folder : variable(FOLDERS_VARIABLE).split(":")) {
            if (!folder.isBlank()) addAll(candidates, Path.of(folder).toAbsolutePath(), names);
        }
        candidates.addAll(List.of(names));
        for (Path toolkit : namedToolkits()) addAll(candidates, toolkit, names);
        List<Path> guessed = new ArrayList<>(matches(root.resolve("usr/local"), "cuda*", "lib64"));
        for (Path python : pythonFolders()) {
            for (String packages : List.of("site-packages", "dist-packages"))
                guessed.addAll(matches(python.resolve(packages).resolve("nvidia"), "*", "lib"));
        }
        Set<Path> seen = new HashSet<>(); // /usr/local/cuda is a link to one of its neighbours
        for (Path folder : guessed) {
            if (seen.add(real(folder))) addAll(candidates, folder, names);
        }
        return List.copyOf(candidates);
    }

    private static Path real(Path folder) {
        try {
            return folder.toRealPath();
        } catch (IOException e) {
            return folder; // not ours to look into: opening it will say why
        }
    }

    private List<Path> namedToolkits() {
        List<Path> folders = new ArrayList<>();
        for (String name : List.of("CUDA_HOME", "CUDA_PATH")) {
            if (!variable(name).isBlank()) folders.add(Path.of(variable(name), "lib64"));
        }
        // conda keeps the libraries of its CUDA packages among all others
        if (!variable("CONDA_PREFIX").isBlank()) folders.add(Path.of(variable("CONDA_PREFIX"), "lib"));
        return folders;
    }

    /** Folders lib/python3.x, of virtual environments first, because who has activated one wants it. */
    private List<Path> pythonFolders() {
        List<Path> folders = new ArrayList<>();
        for (String name : List.of("VIRTUAL_ENV", "CONDA_PREFIX")) {
            if (!variable(name).isBlank()) folders.addAll(matches(Path.of(variable(name), "lib"), "python3*", ""));
        }
        for (String programs : variable("PATH").split(":")) {
            Path python = Path.of(programs, "python3"); // of a prefix that no variable names, as /opt/conda of an image
            if (!programs.isBlank() && Files.isExecutable(python))
                folders.addAll(matches(python.getParent().resolveSibling("lib"), "python3*", ""));
        }
        if (!variable("HOME").isBlank()) {
            Path home = Path.of(variable("HOME"));
            folders.addAll(matches(home.resolve(".local/lib"), "python3*", ""));
            for (Path version : matches(home.resolve(".pyenv/versions"), "*", "lib"))
                folders.addAll(matches(version, "python3*", ""));
        }
        folders.addAll(matches(root.resolve("usr/local/lib"), "python3*", ""));
        folders.addAll(matches(root.resolve("usr/lib"), "python3*", ""));
        return folders;
    }

    private String variable(String name) {
        return environment.getOrDefault(name, "");
    }

    private static void addAll(Set<String> candidates, Path folder, String... names) {
        for (String name : names) candidates.add(folder.resolve(name).toString());
    }

    /** Folders {@code parent/glob/child} that exist, the highest version first. */
    private static List<Path> matches(Path parent, String glob, String child) {
        List<Path> found = new ArrayList<>();
        try (DirectoryStream<Path> entries = Files.newDirectoryStream(parent, glob)) {
            for (Path entry : entries) found.add(entry);
        } catch (IOException e) {
            return List.of(); // not there, or not ours to read: one of many guesses
        }
        found.sort(Comparator.comparing((Path p) -> padded(p.getFileName().toString()))
                .reversed());
        found.replaceAll(entry -> entry.resolve(child));
        found.removeIf(folder -> !Files.isDirectory(folder));
        return found;
    }

    /** Numbers padded with zeros, so that 12.10 sorts after 12.9. */
    private static String padded(String name) {
        StringBuilder padded = new StringBuilder();
        for (String part : name.split("(?<=\\d)(?=\\D)|(?<=\\D)(?=\\d)"))
            padded.append(Character.isDigit(part.charAt(0)) ? "0".repeat(Math.max(0, 6 - part.length())) + part : part);
        return padded.toString();
    }
}
