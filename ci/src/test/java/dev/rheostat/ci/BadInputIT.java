package dev.rheostat.ci;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What a user does wrong, or a machine does to him: one sentence, the right exit code, and nothing lost. */
class BadInputIT {
    @TempDir
    private static Path folder;

    private static Path dataset;
    private static Path runFile;

    @BeforeAll
    static void prepare() {
        dataset = folder.resolve("tokens");
        Command.rheostat(
                        folder,
                        "prepare",
                        RunFiles.writeSources(folder.resolve("text")),
                        "--out",
                        dataset,
                        "--tokenizer",
                        "bytes")
                .run()
                .mustExitWith(0);
        runFile = RunFiles.writeRunFile(folder.resolve("run.yaml"), dataset, 12);
    }

    private static void assertOneSentence(Command.Result result) {
        List<String> lines = result.output()
                .lines()
                .filter(line -> line.startsWith("rheostat: "))
                .toList();
        assertEquals(1, lines.size(), result.output());
        assertFalse(result.output().contains("\tat "), "a stack trace:\n" + result.output());
    }

    @Test
    void anUnknownKeyNamesFileLineAndTheNearestName() {
        Command.Result result = Command.rheostat(folder, "train", runFile, "--set", "mixture.settings.startSteps=4")
                .run()
                .mustExitWith(2)
                .mustSay("mixture.settings.startSteps", "startStep");
        assertOneSentence(result);
    }

    @Test
    void aDatasetThatIsNotThereIsABadRequest() {
        Command.Result result = Command.rheostat(folder, "train", runFile, "--set", "data.dataset=/no/such/folder")
                .run()
                .mustExitWith(2)
                .mustSay("/no/such/folder");
        assertOneSentence(result);
    }

    @Test
    void cudaIsNeverReplacedByTheCpu() {
        assertOneSentence(Command.rheostat(folder, "train", runFile, "--set", "device=cuda")
                .run()
                .mustExitWith(3)
                .mustSay("cuda"));
    }

    @Test
    void aDamagedShardIsNamed() throws IOException {
        Path damaged = copy(dataset, folder.resolve("damaged"));
        Path shard;
        try (Stream<Path> files = Files.walk(damaged)) {
            shard = files.filter(file -> file.toString().endsWith(".bin"))
                    .sorted()
                    .findFirst()
                    .orElseThrow();
        }
        byte[] bytes = Files.readAllBytes(shard);
        Files.write(shard, java.util.Arrays.copyOf(bytes, bytes.length - 10));
        assertOneSentence(Command.rheostat(folder, "train", runFile, "--set", "data.dataset=" + damaged)
                .run()
                .mustExitWith(4)
                .mustSay(shard.getFileName().toString()));
    }

    @Test
    void aDivergedRunEndsAndNamesItsLastGoodCheckpoint() {
        Path run = folder.resolve("diverged");
        Command.Result result = Command.rheostat(
                        folder,
                        "train",
                        runFile,
                        "--out",
                        run,
                        "--set",
                        "optimizer.learningRate=1e30",
                        "--set",
                        "optimizer.clipNorm=0",
                        "--set",
                        "checkpoint.maxSkipped=3",
                        "--set",
                        "checkpoint.everySteps=1")
                .run()
                .mustExitWith(5)
                .mustSay("step-");
        assertOneSentence(result);
    }

    @Test
    void aFullDiskKeepsThePreviousCheckpointGood() {
        Path run = folder.resolve("full");
        Command.rheostat(folder, "train", runFile, "--out", run).run().mustExitWith(0);
        // A limit on the size of a written file stands for a full disk: the write of the next checkpoint fails
        // half-way.
        assertOneSentence(Command.rheostatAfter(
                        "trap '' XFSZ; ulimit -f 60", folder, "train", runFile, "--out", folder.resolve("full-2"))
                .run()
                .mustExitWith(3));
        Command.rheostat(folder, "eval", run).run().mustExitWith(0);
    }

    @Test
    void aFlippedBitInACheckpointIsFound() throws IOException {
        Path run = folder.resolve("flipped");
        Command.rheostat(folder, "train", runFile, "--out", run).run().mustExitWith(0);
        try (Stream<Path> files = Files.walk(run.resolve("checkpoints"))) {
            for (Path file : files.filter(file -> file.toString().endsWith(".safetensors"))
                    .toList()) {
                byte[] bytes = Files.readAllBytes(file);
                bytes[bytes.length / 2] ^= 1;
                Files.write(file, bytes);
            }
        }
        assertOneSentence(
                Command.rheostat(folder, "eval", run).run().mustExitWith(4).mustSay("safetensors"));
    }

    @Test
    void aChangedDatasetIsNotResumed() throws IOException {
        Path sources = RunFiles.writeSources(folder.resolve("text-2")), tokens = folder.resolve("tokens-2");
        Command.rheostat(folder, "prepare", sources, "--out", tokens, "--tokenizer", "bytes")
                .run()
                .mustExitWith(0);
        Path file = RunFiles.writeRunFile(folder.resolve("run-2.yaml"), tokens, 12), run = folder.resolve("changed");
        Command.rheostat(folder, "train", file, "--out", run).run().mustExitWith(0);
        Files.move(sources.resolve("noise"), sources.resolve("rauschen"));
        Command.rheostat(folder, "prepare", sources, "--out", tokens, "--tokenizer", "bytes")
                .run()
                .mustExitWith(0);
        assertOneSentence(
                Command.rheostat(folder, "resume", run).run().mustExitWith(4).mustSay("noise"));
    }

    @Test
    void planTakesNoStep() {
        Path run = folder.resolve("planned");
        Command.rheostat(folder, "train", runFile, "--out", run, "--plan")
                .run()
                .mustExitWith(0)
                .mustSay("parameters", "FLOP");
        assertTrue(Files.notExists(run.resolve("metrics.jsonl")));
    }

    private static Path copy(Path from, Path to) throws IOException {
        try (Stream<Path> files = Files.walk(from)) {
            for (Path file : files.toList())
                Files.copy(file, to.resolve(from.relativize(file).toString()));
        }
        return to;
    }
}
