package dev.rheostat.ci;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Runs that are stopped in the middle, politely and not, end with the bits of one that never was. */
class KillAndResumeIT {
    private static final int STEPS = 120;

    @TempDir
    private static Path folder;

    private static Path runFile;

    @BeforeAll
    static void prepare() {
        Path sources = RunFiles.writeSources(folder.resolve("text"));
        Path dataset = folder.resolve("tokens");
        Command.rheostat(folder, "prepare", sources, "--out", dataset, "--tokenizer", "bytes")
                .run()
                .mustExitWith(0);
        runFile = RunFiles.writeRunFile(folder.resolve("run.yaml"), dataset, STEPS);
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 4})
    void aRunKilledAtAnyMomentEndsWithTheSameBits(int ringDepth) throws Exception {
        Path whole = folder.resolve("whole-" + ringDepth), killed = folder.resolve("killed-" + ringDepth);
        train(whole, ringDepth).run().mustExitWith(0);

        Random random = new Random(ringDepth);
        Command command = train(killed, ringDepth);
        for (int kills = 0; kills < 3; kills++) {
            Process process = command.start();
            waitForSteps(process, killed, 10 + 30 * kills + random.nextInt(20));
            process.destroyForcibly(); // SIGKILL
            assertEquals(137, command.await(process).exitCode());
            command = Command.rheostat(folder, "resume", killed);
        }
        command.run().mustExitWith(0);

        assertEquals(RunFiles.metricsWithoutSeconds(whole), RunFiles.metricsWithoutSeconds(killed));
        assertEqualTensors(newestCheckpoint(whole), newestCheckpoint(killed));
    }

    @ParameterizedTest
    @ValueSource(strings = {"INT", "TERM"})
    void aSignalFinishesTheStepSavesAndIsResumable(String signal) throws Exception {
        Path run = folder.resolve("signal-" + signal);
        Command command = train(run, 1);
        Process process = command.start();
        waitForSteps(process, run, 13);
        new ProcessBuilder("kill", "-" + signal, Long.toString(process.pid()))
                .start()
                .waitFor();
        command.await(process).mustExitWith(signal.equals("INT") ? 130 : 143).mustSay("rheostat resume");
        int steps = RunFiles.lines(run.resolve("metrics.jsonl")).size();
        assertTrue(steps < STEPS, "steps: " + steps);
        Command.rheostat(folder, "resume", run).run().mustExitWith(0);
        assertEquals(STEPS, RunFiles.lines(run.resolve("metrics.jsonl")).size());
    }

    @Test
    void twoRunsInOneFolderAreRefused() throws Exception {
        Path run = folder.resolve("twice");
        Command first = train(run, 1);
        Process process = first.start();
        waitForSteps(process, run, 1);
        Command.rheostat(folder, "resume", run).run().mustExitWith(2).mustSay(run.toString());
        process.destroyForcibly();
        first.await(process);
    }

    private static Command train(Path out, int ringDepth) {
        return Command.rheostat(folder, "train", runFile, "--out", out, "--set", "runtime.ringDepth=" + ringDepth);
    }

    private static void waitForSteps(Process process, Path run, int steps) throws Exception {
        Path metrics = run.resolve("metrics.jsonl");
        while (process.isAlive() && (!Files.exists(metrics) || lineCount(metrics) < steps)) Thread.sleep(5);
    }

    private static long lineCount(Path file) throws IOException {
        try (Stream<String> lines = Files.lines(file)) {
            return lines.count();
        }
    }

    private static Path newestCheckpoint(Path run) throws IOException {
        try (Stream<Path> checkpoints = Files.list(run.resolve("checkpoints"))) {
            return checkpoints
                    .filter(path -> path.getFileName().toString().startsWith("step-"))
                    .max(Path::compareTo)
                    .orElseThrow();
        }
    }

    private static void assertEqualTensors(Path expected, Path actual) throws IOException {
        assertEquals(expected.getFileName(), actual.getFileName());
        List<Path> tensors;
        try (Stream<Path> files = Files.list(expected)) {
            tensors = files.filter(file -> file.toString().endsWith(".safetensors"))
                    .toList();
        }
        assertTrue(!tensors.isEmpty(), "no tensors in " + expected);
        for (Path file : tensors)
            assertArrayEquals(
                    Files.readAllBytes(file), Files.readAllBytes(actual.resolve(file.getFileName())), file.toString());
    }
}
