package dev.rheostat.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rheostat.config.ModelConfig;
import dev.rheostat.config.RunConfig;
import dev.rheostat.cuda.sim.CudaSimulator;
import dev.rheostat.op.Backend;
import dev.rheostat.op.HostTensor;
import dev.rheostat.op.RecordLayout;
import dev.rheostat.op.SlotLayout;
import dev.rheostat.op.StepIo;
import dev.rheostat.op.Tensor;
import dev.rheostat.op.cpu.PlainBackend;
import dev.rheostat.op.cuda.CudaBackend;
import dev.rheostat.op.cuda.CudaBackend.Binding;
import dev.rheostat.op.cuda.CudaBackend.Settings;
import dev.rheostat.op.cuda.DeviceTensor;
import dev.rheostat.train.Generator.Sampling;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.function.IntFunction;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What a run on the device remembers, what it takes, and what else its weights are good for. */
@Timeout(600)
class CudaResumeTest {
    @TempDir
    private Path folder;

    @BeforeEach
    void newDevice() {
        CudaUnderTest.newDevice();
    }

    private RunConfig config(Map<String, String> more) {
        return CudaRuns.config(folder, more);
    }

    /** A run that ends as a kill would end it: by an error out of the middle of the loop. */
    private static void killAfter(RunConfig config, Path out, long step) {
        class Kill extends RuntimeException {
            private static final long serialVersionUID = 1L;
        }
        assertThrows(
                Kill.class,
                () -> CudaRuns.run(config, out, new TrainListener() {
                    @Override
                    public void step(StepReport report) {
                        if (report.step() == step) throw new Kill();
                    }
                }));
    }

    /** Fits start at multiples of 6 and take effect 4 steps later: the checkpoint of step 20 lies between. */
    @ParameterizedTest
    @ValueSource(longs = {2, 11, 23, 37})
    void aRunThatIsKilledAndResumedHasTheSameBits(long killedAfter) throws IOException {
        RunConfig config = config(Map.of("checkpoint.everySteps", "5"));
        Path whole = folder.resolve("whole"), killed = folder.resolve("killed");
        CudaRuns.run(config, whole);
        killAfter(config, killed, killedAfter);
        CudaRuns.run(config, killed);
        CudaRuns.assertSameRun(whole, killed);
        assertTrue(CudaRuns.fits(whole).size() >= 3, "the mixture was never fitted");
    }

    @Test
    void evaluatingOftenChangesNoBit() throws IOException {
        Path never = folder.resolve("never"), often = folder.resolve("often");
        CudaRuns.run(config(Map.of()), never);
        CudaRuns.run(config(Map.of("evaluation.everySteps", "10")), often);
        CudaRuns.assertSameRun(never, often);
        assertEquals(5, Files.readAllLines(often.resolve("validation.jsonl")).size());
    }

    private static Backend<HostTensor> cpu() {
        return PlainBackend.open();
    }

    /** Losses by step of a run of 60 steps whose middle third is computed by another backend, its checkpoints carried there and back. */
    private double[] carried(String name, IntFunction<Backend<? extends Tensor>> ofThird) throws IOException {
        Path out = folder.resolve(name);
        for (int third = 0; third < 3; third++) {
            RunConfig config =
                    config(Map.of("mixture.policy", "natural", "schedule.steps", "60", "checkpoint.everySteps", "20"));
            int stopAfter = 20 * (third + 1);
            StopRequest stop = new StopRequest();
            try (Backend<? extends Tensor> backend = ofThird.apply(third);
                    RunFolder run = third == 0 ? RunFolder.create(out, "test: true\n") : RunFolder.open(out)) {
                TrainListener stopper = new TrainListener() {
                    @Override
                    public void saved(Path checkpoint) {
                        if (checkpoint.endsWith("step-%08d".formatted(stopAfter))) stop.stop();
                    }
                };
                RunSummary summary = new Trainer<>(config, CudaRuns.DATASET, backend, run, stopper)
                        .stoppedBy(stop)
                        .run();
                assertEquals(stopAfter, summary.steps());
            }
        }
        return CudaRuns.metrics(out).stream()
                .flatMap(line -> line.get("domains").valueStream())
                .mapToDouble(domain -> domain.get("lossNats").doubleValue())
                .toArray();
    }

    @Test
    void checkpointsMoveBetweenCpuAndGpu() throws IOException {
        double[] exact = carried("cpu", third -> cpu());
        double plain = error(carried("plain", third -> third == 1 ? PlainBf16.rounding(cpu()) : cpu()), exact),
                probe = error(carried("moved", third -> third == 1 ? PlainBf16.moving(cpu(), 1) : cpu()), exact),
                cuda = error(carried("cuda", third -> third == 1 ? CudaUnderTest.open() : cpu()), exact);
        assertTrue(cuda > 0 && cuda <= 2 * plain + probe, "cuda=" + cuda + " plain bf16=" + plain + " probe=" + probe);
    }

    /** Root mean square of the differences, nats; a domain without tokens in a step has no loss there. */
    private static double error(double[] nats, double[] exact) {
        double squares = 0;
        int n = 0;
        for (int i = 0; i < nats.length; i++) {
            assertEquals(Double.isNaN(exact[i]), Double.isNaN(nats[i]));
            if (Double.isNaN(exact[i])) continue;
            squares += (nats[i] - exact[i]) * (nats[i] - exact[i]);
            n++;
        }
        return Math.sqrt(squares / n);
    }

    /** Where one token is far likelier than all others, both devices choose it. */
    @Test
    void aTextIsContinuedAsOnTheCpu() {
        SlotLayout layout = new SlotLayout(4, 1, 16);
        try (StepRun<DeviceTensor> device = new StepRun<>(
                        CudaUnderTest.open(), StepRun.paper(16), countingByThree(layout), StepRun.SETTINGS);
                StepRun<HostTensor> host =
                        new StepRun<>(cpu(), StepRun.paper(16), countingByThree(layout), StepRun.SETTINGS)) {
            for (int step = 0; step < 150; step++) device.step(step, 3e-3);
            host.restore(device.remembered());
            int[] prompt = {2, 5, 8};
            int[] chosen = continued(device, prompt);
            assertArrayEquals(continued(host, prompt), chosen);
            for (int i = 0; i < 5; i++) assertEquals(11 + 3 * i, chosen[i]);
        }
    }

    private static ToyBatch countingByThree(SlotLayout layout) {
        ToyBatch batch = StepRun.counting(layout, 1);
        for (int b = 0; b < layout.sequences(); b++) {
            for (int t = 0; t <= layout.tokens(); t++) batch.tokens_BT1[b][t] = (2 + 5 * b + 3 * t) % 61;
            batch.docStart_BT[b] = new int[layout.tokens()];
        }
        return batch;
    }

    private static <X extends Tensor> int[] continued(StepRun<X> run, int[] prompt) {
        Generator<X> generator = new Generator<>(run.backend, run.step.config(), run.step.parameters(), 16);
        return generator.generate(prompt, 24, -1, new Sampling(0, 0, 1)); // past the window
    }

    @Test
    void thePlanIsWhatIsAllocated() {
        Settings settings = new Settings(0, Binding.FFM, true);
        for (ModelConfig config : List.of(StepRun.paper(16), StepRun.everyOption(16)))
            for (SlotLayout slot : List.of(new SlotLayout(1, 1, 16), new SlotLayout(6, 2, 8)))
                try (Backend<DeviceTensor> backend = CudaBackend.open(settings)) {
                    StepIo.Rings rings = StepIo.Rings.allocate(backend, "rings", slot, new RecordLayout(3), 4);
                    EvalStep.beside(new TrainStep<>(backend, config, rings, StepRun.SETTINGS, true));
                    ModelPlan plan = ModelPlan.of(() -> CudaBackend.plan(settings), config, slot, 3, 4);
                    assertEquals(plan.bytes(), backend.allocatedBytes());
                }
    }

    /** The driver's own count of what it gave is what the plan says, but for the granularity of its pages. */
    @Test
    void aStepTakesNothingOfTheDeviceAndLeavesNothingOnTheHeap() {
        CudaUnderTest.newSimulator();
        SlotLayout layout = new SlotLayout(4, 2, 16);
        int steps = 50;
        try (StepRun<DeviceTensor> run =
                new StepRun<>(CudaUnderTest.open(), StepRun.paper(16), StepRun.counting(layout, 1), StepRun.SETTINGS)) {
            for (int step = 0; step < steps; step++) run.step(step, 1e-3);
            Map<String, Long> plannedBytes = Map.copyOf(run.backend.allocatedBytes());
            long allocations = CudaSimulator.counter("allocations"),
                    usedBytes = CudaSimulator.counter("device.used.bytes");
            CudaSimulator.startLog();
            long heapBytes = liveHeapBytes();
            for (int step = steps; step < 2 * steps; step++) run.step(step, 1e-3);
            long leftBytes = liveHeapBytes() - heapBytes;
            CudaSimulator.stopLog();

            List<String> calls = CudaSimulator.log();
            assertEquals(steps, calls.size());
            assertEquals(1, calls.stream().distinct().count(), calls::toString);
            assertEquals(plannedBytes, run.backend.allocatedBytes());
            assertEquals(allocations, CudaSimulator.counter("allocations"));
            assertEquals(usedBytes, CudaSimulator.counter("device.used.bytes"));
            long oneRowAStep = steps * 64L * Float.BYTES;
            assertTrue(leftBytes < oneRowAStep, () -> steps + " steps left " + leftBytes + " bytes");
        }
    }

    /** What is reachable: the least of a few collections, since other threads of the machine allocate too. */
    private static long liveHeapBytes() {
        long least = Long.MAX_VALUE;
        for (int i = 0; i < 5; i++) {
            System.gc();
            least = Math.min(
                    least,
                    ManagementFactory.getMemoryMXBean().getHeapMemoryUsage().getUsed());
        }
        return least;
    }
}
