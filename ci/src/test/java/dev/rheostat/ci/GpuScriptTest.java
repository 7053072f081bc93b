package dev.rheostat.ci;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** {@code ci/gpu} in a folder as {@code ci/dist} makes it, where a script stands for {@code ./rheostat}. */
class GpuScriptTest {
    private static final Path SCRIPT = Path.of("gpu").toAbsolutePath(); // surefire runs a module's tests in its folder

    @TempDir
    private Path folder;

    @BeforeEach
    void distribution() throws IOException {
        Files.copy(SCRIPT, Files.createDirectory(folder.resolve("ci")).resolve("gpu"));
        executable("runtime/bin/java", "exit 1");
        Files.writeString(folder.resolve("BUILD"), "of a test\n");
    }

    private void executable(String name, String script) throws IOException {
        Path file = folder.resolve(name);
        Files.createDirectories(file.getParent());
        assertTrue(
                Files.writeString(file, "#!/bin/sh\n" + script + "\n").toFile().setExecutable(true));
    }

    /** A rheostat whose doctor says this of the choice, and whose benchmarks do this. */
    private void rheostat(String chosen, String bench) throws IOException {
        Files.writeString(
                folder.resolve("doctor.txt"),
                "driver              serves CUDA 13.0\n"
                        + "device cuda:0       NVIDIA H200, compute capability 9.0, 132 multiprocessors\n"
                        + "device: auto takes  " + chosen + "\n");
        executable("rheostat", "[ $1 = doctor ] && exec cat doctor.txt\n" + bench);
    }

    private record Ran(int exitCode, String output) {}

    private Ran gpu() throws IOException, InterruptedException {
        Path output = folder.resolve("output.txt");
        Process process = new ProcessBuilder("bash", folder.resolve("ci/gpu").toString(), "--out", out().toString())
                .redirectErrorStream(true)
                .redirectOutput(output.toFile())
                .start();
        return new Ran(process.waitFor(), Files.readString(output));
    }

    private Path out() {
        return folder.resolve("out");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "no device: cuDeviceGetCount",
                "cuDevicePrimaryCtxRetain: the device is in exclusive mode",
                "cuBLASLt cannot be used: libcublasLt.so.13: no such file",
                "this build has no kernel images"
            })
    void whatAGpuLacksEndsItInOneSentence(String reason) throws Exception {
        rheostat("cpu, because: " + reason, "echo started >>\"" + folder + "/benchmarks\"");
        Ran ran = gpu();
        assertEquals(3, ran.exitCode, ran.output);
        assertEquals(
                List.of("gpu: there is no GPU to use: " + reason),
                ran.output.lines().filter(line -> line.contains("no GPU")).toList());
        assertFalse(Files.exists(folder.resolve("benchmarks")), "a benchmark was started");
    }

    @Test
    void aDoctorThatFailsIsPointedTo() throws Exception {
        executable("rheostat", "exit 1");
        Ran ran = gpu();
        assertEquals(3, ran.exitCode, ran.output);
        assertTrue(ran.output.contains("see " + out().resolve("doctor.log")), ran.output);
    }

    @Test
    void aPartThatFailsIsReportedAndAnEarlierRunsProductsAreNotTaken() throws Exception {
        Files.writeString(Files.createDirectory(out()).resolve("products"), "# of an earlier run\n");
        rheostat("cuda:0, because: of a test", "[ $2 != products ] || exit 1");
        Ran ran = gpu();
        assertEquals(1, ran.exitCode, ran.output);
        assertTrue(ran.output.contains("gpu: step-124m-best is left out: no products were kept"), ran.output);
        List<String> table = ran.output
                .lines()
                .dropWhile(line -> !line.startsWith("part "))
                .takeWhile(line -> !line.startsWith("all figures"))
                .toList();
        int result = table.getFirst().indexOf("result");
        // the numbers before it are right-aligned, and a space follows
        for (String row : table)
            assertTrue(row.substring(0, result).matches(".*\\S  ") && row.charAt(result) != ' ', row);
        JsonNode parts =
                new ObjectMapper().readTree(out().resolve("gpu.json").toFile()).get("parts");
        assertEquals(table.size() - 1, parts.size());
        for (JsonNode part : parts)
            if (part.get("part").textValue().equals("products"))
                assertEquals("failed (1)", part.get("result").textValue());
    }

    @Test
    void theSharesOfItsPartsAddUpToEightMinutes() throws IOException {
        Matcher share = Pattern.compile("\\[[a-z0-9.-]+]=(\\d+)").matcher(Files.readString(SCRIPT));
        int seconds = 0;
        while (share.find()) seconds += Integer.parseInt(share.group(1));
        assertEquals(480, seconds);
    }
}
