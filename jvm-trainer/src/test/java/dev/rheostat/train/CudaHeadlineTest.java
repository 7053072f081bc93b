package dev.rheostat.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rheostat.config.RunConfig;
import dev.rheostat.cuda.sim.CudaSimulator;
import dev.rheostat.op.RecordLayout;
import dev.rheostat.op.cuda.CudaBackend;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * What the project is for, as a test: the mixture updates itself, and neither the driver nor the bus can tell. A run whose
 * mixture adapts and a run whose mixture is fixed make the same calls of the driver, one after the other with the same arguments,
 * and move as many bytes each way; once under way, a step is one call.
 */
@Timeout(600)
@Tag("steps")
class CudaHeadlineTest {
    private static final int DOMAINS = 3;

    private static final int STEPS = 205;

    /** Steps of the middle of a run: behind it the capture of the step's graph, ahead of it the last checkpoint. */
    private static final int STEADY_STEPS = 200;

    private static final long HOUR_NANOS = 3_600_000_000_000L;

    /** A busy machine of tests takes half a second for a step now and then, and then the device is asked whether it works. */
    private static final LateRecords.Limits ASKING_NOTHING = new LateRecords.Limits(HOUR_NANOS, 10, 12, HOUR_NANOS);

    @TempDir
    private Path folder;

    /**
     * A run, watched from the driver's side.
     * @param calls of the driver and of cuBLASLt, in order, with their arguments
     */
    private record Seen(
            List<String> calls,
            long bytesCopiedIn,
            long bytesCopiedOut,
            long bytesReadInPlace,
            long bytesWrittenInPlace) {}

    private RunConfig config(String policy) {
        return CudaRuns.config(folder, Map.of("mixture.policy", policy, "schedule.steps", Integer.toString(STEPS)));
    }

    private Seen watch(RunConfig config, Path out) {
        CudaUnderTest.newSimulator();
        CudaSimulator.set("check.bounds", 1); // counts what kernels read and write in the host's memory
        CudaSimulator.startLog();
        CudaRuns.run(config, Backends.open(config), out, new TrainListener() {}, ASKING_NOTHING);
        CudaSimulator.stopLog();
        return new Seen(
                CudaSimulator.log(),
                CudaSimulator.counter("h2d.bytes"),
                CudaSimulator.counter("d2h.bytes"),
                CudaSimulator.counter("kernel.host.read.bytes"),
                CudaSimulator.counter("kernel.host.written.bytes"));
    }

    /** The calls that launch, from the step after the first to the last of {@link #STEADY_STEPS}. */
    private static List<String> steadyCalls(Seen seen) {
        int graphMade = -1;
        for (int i = 0; i < seen.calls.size(); i++) if (seen.calls.get(i).contains("cuGraphInstantiate")) graphMade = i;
        int first = graphMade;
        while (!seen.calls.get(first).contains("cuGraphLaunch")) first++;
        return seen.calls.subList(first + 1, first + 1 + STEADY_STEPS);
    }

    @Test
    void adaptingTheMixtureTakesNoCallAndMovesNoByte() throws IOException {
        CudaUnderTest.newSimulator(); // a config asks for the device and its kernels
        RunConfig fixedMixture = config("natural"), adaptiveMixture = config("ado");
        Seen fixed = watch(fixedMixture, folder.resolve("fixed"));
        Seen adaptive = watch(adaptiveMixture, folder.resolve("adaptive"));

        // One run's mixture never moved. The other's was fitted many times and moved with the fits.
        assertEquals(
                1,
                CudaRuns.mixtures(folder.resolve("fixed")).stream().distinct().count());
        assertTrue(CudaRuns.fits(folder.resolve("adaptive")).size() >= 20);
        assertTrue(CudaRuns.mixtures(folder.resolve("adaptive")).stream()
                        .distinct()
                        .count()
                >= STEADY_STEPS / 2);

        // The driver saw the same: from its first call to its last, setting up and closing included.
        assertEquals(String.join("\n", fixed.calls), String.join("\n", adaptive.calls));

        // Two hundred steps are two hundred calls, each the launch of the same graph on the same stream by the same
        // thread.
        List<String> steady = steadyCalls(adaptive);
        assertTrue(steady.getFirst().contains(" cuGraphLaunch exec="), steady.getFirst());
        assertEquals(Collections.nCopies(STEADY_STEPS, steady.getFirst()), steady);

        // Bytes are the same each way, whether the driver copied them or kernels reached for them over the bus.
        assertEquals(fixed.bytesCopiedIn, adaptive.bytesCopiedIn);
        assertEquals(fixed.bytesCopiedOut, adaptive.bytesCopiedOut);
        assertEquals(fixed.bytesReadInPlace, adaptive.bytesReadInPlace);
        assertEquals(fixed.bytesWrittenInPlace, adaptive.bytesWrittenInPlace);

        // What kernels write into the host's memory is the records.
        assertTrue(adaptive.bytesWrittenInPlace > 0);
        assertTrue(adaptive.bytesWrittenInPlace <= STEPS * new RecordLayout(DOMAINS).bytes());
        assertNotEquals(0, adaptive.bytesReadInPlace);
    }

    @Test
    void aStepIsOneGraphOfManyNodes() {
        CudaUnderTest.newDevice();
        RunConfig config = CudaRuns.config(folder, Map.of("schedule.steps", "6", "model.layers", "2"));
        List<String> notes;
        try (CudaBackend backend = CudaUnderTest.open()) {
            RunFolder run = RunFolder.create(folder.resolve("run"), "test: true\n");
            try (run) {
                new Trainer<>(config, CudaRuns.DATASET, backend, run, new TrainListener() {}).run();
            }
            notes = backend.notes();
        }
        Pattern graph = Pattern.compile("training step: (\\d+) nodes, .*recorded in .* ms, instantiated in .* ms");
        Matcher found = notes.stream()
                .map(graph::matcher)
                .filter(Matcher::matches)
                .findFirst()
                .orElseThrow();
        // Two micro-batches of two layers: dozens of kernels, and the driver hears of one launch.
        assertTrue(Integer.parseInt(found.group(1)) > 60, () -> notes.toString());
    }
}
