package dev.rheostat.compare;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rheostat.cli.Main;
import dev.rheostat.config.RunFile;
import dev.rheostat.cuda.sim.CudaSimulator;
import dev.rheostat.data.DatasetFolder;
import dev.rheostat.train.CudaUnderTest;
import dev.rheostat.train.StopRequest;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.BrokenBarrierException;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A plan on two GPUs of the simulator. */
@Timeout(120)
class GridOnGpusTest {
    private static final int STEPS = 4;

    @TempDir
    private Path folder;

    @AfterEach
    void repair() {
        if (CudaSimulator.available()) CudaSimulator.reset();
    }

    private Plan plan(String name, String devices) throws IOException {
        return Plan.read(
                Files.writeString(folder.resolve(name + ".yaml"), """
                base:
                  data: {dataset: tokens}
                  model: {layers: 1, heads: 1, width: 64, context: 16}
                  batch: {sequences: 2}
                  schedule: {steps: %d}
                  evaluation: {windows: 2}
                devices: %s
                seeds: [1]
                out: %s
                policies:
                  natural: {mixture: {policy: natural}}
                  uniform: {mixture: {policy: uniform}}
                """.formatted(STEPS, devices, folder.resolve(name))));
    }

    private static List<String> losses(Plan plan, String policy) throws IOException {
        return Files.readAllLines(plan.folder(policy, 1).resolve("validation.jsonl"));
    }

    private static Set<String> devices(Plan plan) {
        Set<String> devices = new TreeSet<>();
        for (String policy : plan.policies().keySet())
            devices.add(RunFile.load(plan.folder(policy, 1).resolve("run.yaml"), Map.of())
                    .device());
        return devices;
    }

    private static void meet(CyclicBarrier barrier) {
        try {
            barrier.await(60, TimeUnit.SECONDS);
        } catch (InterruptedException | BrokenBarrierException | TimeoutException e) {
            throw new IllegalStateException(e);
        }
    }

    @Test
    void twoGpusTrainAtOnceWithTheBitsOfOne() throws IOException {
        CudaUnderTest.newSimulator();
        CudaSimulator.set("device.count", 2);
        for (String domain : List.of("alpha", "beta"))
            for (String split : List.of("train", "valid")) {
                Path file = folder.resolve("text").resolve(domain).resolve(split + ".jsonl");
                Files.createDirectories(file.getParent());
                Files.writeString(file, ("{\"text\": \"" + (domain + " and more ").repeat(10) + "\"}\n").repeat(20));
            }
        Path tokens = folder.resolve("tokens");
        PrintWriter nowhere = new PrintWriter(new StringWriter());
        assertEquals(
                0,
                Main.execute(
                        nowhere,
                        nowhere,
                        "prepare",
                        folder.resolve("text").toString(),
                        "--out",
                        tokens.toString(),
                        "--tokenizer",
                        "bytes"));
        Plan one = plan("one", "[cuda:0]"), two = plan("two", "[cuda:0, cuda:1]");
        CyclicBarrier both = new CyclicBarrier(2); // opens only when two runs have begun
        try (DatasetFolder dataset = DatasetFolder.open(tokens)) {
            assertTrue(new Grid(one, dataset.tokens(), line -> {}).run(new StopRequest()));
            assertTrue(new Grid(two, dataset.tokens(), line -> {
                        if (line.contains(": starts on ")) meet(both);
                    })
                    .run(new StopRequest()));
        }
        assertEquals(Set.of("cuda:0"), devices(one));
        assertEquals(Set.of("cuda:0", "cuda:1"), devices(two));
        for (String policy : one.policies().keySet()) assertEquals(losses(one, policy), losses(two, policy), policy);
    }
}
