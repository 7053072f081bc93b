package dev.rheostat.ffi.load;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LibrarySearchTest {
    @TempDir
    private Path root;

    private final Map<String, String> environment = new HashMap<>();

    private List<String> candidates(String... names) {
        return new LibrarySearch(environment, root)
                .candidates(names).stream()
                        .map(candidate -> candidate.replace(root + "/", ""))
                        .toList();
    }

    private void folders(String... folders) throws IOException {
        for (String folder : folders) Files.createDirectories(root.resolve(folder));
    }

    @Test
    void aBareMachineLeavesTheLinkersPath() {
        assertEquals(List.of("libcuda.so.1"), candidates("libcuda.so.1"));
        environment.putAll(Map.of("RHEOSTAT_CUDA_LIBRARIES", "", "CUDA_HOME", "", "HOME", "/nowhere"));
        assertEquals(List.of("libcuda.so.1"), candidates("libcuda.so.1"));
    }

    @Test
    void placesAreTriedInTheOrderThatIsDocumented() throws IOException {
        environment.put("RHEOSTAT_CUDA_LIBRARIES", root + "/mine:" + root + "/other");
        environment.put("CUDA_HOME", root + "/home");
        environment.put("CUDA_PATH", root + "/path");
        environment.put("VIRTUAL_ENV", root + "/venv");
        environment.put("HOME", root + "/user");
        folders(
                "usr/local/cuda-12.9/lib64",
                "usr/local/cuda-13.0/lib64",
                "usr/local/cuda-12.10/lib64",
                "usr/local/cuda-11", // no lib64
                "venv/lib/python3.12/site-packages/nvidia/cublas/lib",
                "venv/lib/python3.12/site-packages/nvidia/cu13/lib",
                "user/.local/lib/python3.9/site-packages/nvidia/cublas/lib",
                "user/.pyenv/versions/3.13.1/lib/python3.13/site-packages/nvidia/cublas/lib",
                "usr/lib/python3/dist-packages/nvidia/cublas/lib",
                "usr/local/lib/python3.9/dist-packages/nvidia/cublas/lib",
                "usr/local/lib/python3.10/dist-packages/nvidia/cublas/lib",
                "usr/local/lib/python3.10/dist-packages/nvidia/nothing");
        assertEquals(
                List.of(
                        "mine/x.so",
                        "other/x.so",
                        "x.so",
                        "home/lib64/x.so",
                        "path/lib64/x.so",
                        "usr/local/cuda-13.0/lib64/x.so",
                        "usr/local/cuda-12.10/lib64/x.so",
                        "usr/local/cuda-12.9/lib64/x.so",
                        "venv/lib/python3.12/site-packages/nvidia/cublas/lib/x.so",
                        "venv/lib/python3.12/site-packages/nvidia/cu13/lib/x.so",
                        "user/.local/lib/python3.9/site-packages/nvidia/cublas/lib/x.so",
                        "user/.pyenv/versions/3.13.1/lib/python3.13/site-packages/nvidia/cublas/lib/x.so",
                        "usr/local/lib/python3.10/dist-packages/nvidia/cublas/lib/x.so",
                        "usr/local/lib/python3.9/dist-packages/nvidia/cublas/lib/x.so",
                        "usr/lib/python3/dist-packages/nvidia/cublas/lib/x.so"),
                candidates("x.so"));
    }

    @Test
    void thePythonThatIsStartedHasItsOwnPackages() throws IOException {
        environment.put("PATH", "::" + root + "/empty/bin:" + root + "/opt/conda/bin:relative");
        folders(
                "empty/bin",
                "empty/lib/python3.12/site-packages/nvidia/cublas/lib",
                "opt/conda/bin",
                "opt/conda/lib/python3.12/site-packages/nvidia/cublas/lib");
        assertEquals(List.of("x.so"), candidates("x.so"));
        Path python = Files.createFile(root.resolve("opt/conda/bin/python3"));
        assertTrue(python.toFile().setExecutable(true));
        assertEquals(
                List.of("x.so", "opt/conda/lib/python3.12/site-packages/nvidia/cublas/lib/x.so"), candidates("x.so"));
    }

    @Test
    void inOnePlaceTheNewerLibraryIsTriedFirst() {
        environment.put("RHEOSTAT_CUDA_LIBRARIES", root + "/mine");
        assertEquals(
                List.of("mine/lib.so.13", "mine/lib.so.12", "lib.so.13", "lib.so.12"),
                candidates("lib.so.13", "lib.so.12"));
    }

    @Test
    void aLinkToAToolkitIsNotTriedTwice() throws IOException {
        folders("usr/local/cuda-13.0/lib64");
        Files.createSymbolicLink(root.resolve("usr/local/cuda"), root.resolve("usr/local/cuda-13.0"));
        assertEquals(List.of("x.so", "usr/local/cuda-13.0/lib64/x.so"), candidates("x.so"));
    }

    @Test
    void aRelativeFolderIsMadeAbsolute() {
        environment.put("RHEOSTAT_CUDA_LIBRARIES", "relative");
        assertTrue(Path.of(candidates("x.so").getFirst()).isAbsolute());
    }
}
