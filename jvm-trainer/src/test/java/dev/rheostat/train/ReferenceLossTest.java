package dev.rheostat.train;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import dev.rheostat.config.RunConfig;
import dev.rheostat.config.RunFile;
import dev.rheostat.model.Parameters;
import dev.rheostat.op.Backend;
import dev.rheostat.op.SlotLayout;
import dev.rheostat.op.Tensor;
import dev.rheostat.op.cpu.CpuBackend;
import dev.rheostat.op.cpu.CpuGemms;
import dev.rheostat.op.cpu.PlainBackend;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Steps with reference losses: the excess that they record, on the CPU and on the device, and a whole run there. */
@Timeout(600)
class ReferenceLossTest {
    private static final SlotLayout LAYOUT = new SlotLayout(2, 2, 16, true);

    @TempDir
    private Path folder;

    private static Backend<?> cpu() {
        return CpuBackend.open(new CpuBackend.Settings(1, false, CpuGemms.Choice.VECTOR));
    }

    /** Excess of each domain in each of so many steps, each of another batch; closes the backend. */
    private static double[] excesses(Backend<? extends Tensor> backend, int steps) {
        try (StepRun<?> run =
                new StepRun<>(backend, StepRun.paper(16), StepRun.counting(LAYOUT, 0), StepRun.SETTINGS)) {
            double[] all = new double[steps * StepRun.DOMAINS];
            for (int step = 0; step < steps; step++) {
                run.batch.become(StepRun.counting(LAYOUT, step));
                run.step(step, 3e-3);
                System.arraycopy(run.excess_K(), 0, all, step * StepRun.DOMAINS, StepRun.DOMAINS);
            }
            return all;
        }
    }

    /** What the step before its update loses on each token, evaluated apart from it, above the slot's reference losses. */
    private static <X extends Tensor> void assertExcessOfFirstStep(Backend<X> backend) {
        try (StepRun<X> run =
                new StepRun<>(backend, StepRun.paper(16), StepRun.counting(LAYOUT, 3), StepRun.SETTINGS)) {
            SlotLayout whole = new SlotLayout(2, 1, 16);
            Parameters<X> parameters = run.step.parameters();
            EvalStep<X> evaluation =
                    EvalStep.alone(backend, run.step.config(), parameters, whole, StepRun.DOMAINS, true);
            ToyBatch same = new ToyBatch(whole, 2, 1, 0);
            same.become(run.batch);
            same.write(evaluation.slot(), 0, 0);
            evaluation.run();
            double[] excess_K = new double[StepRun.DOMAINS];
            for (int b = 0; b < 2; b++)
                for (int t = 0; t < 16; t++)
                    excess_K[same.domain_B[b]] += Math.max(
                            0, evaluation.tokenLosses().getAtIndex(JAVA_FLOAT, b * 16L + t) - same.refLoss_BT[b][t]);
            run.step(0, 3e-3);
            assertArrayEquals(excess_K, run.excess_K(), 1e-4);
            assertTrue(excess_K[0] + excess_K[1] + excess_K[2] > 1, "something is above its reference");
        }
    }

    @Test
    void theRecordHasTheExcessOfTheLossesBeforeTheUpdate() {
        assertExcessOfFirstStep(cpu());
        assertExcessOfFirstStep(PlainBackend.open());
    }

    @Test
    void theDevicesExcessIsAsCloseToTheCpusAsPlainBf16s() {
        CudaUnderTest.newDevice();
        int steps = 8;
        double[] exact = excesses(PlainBackend.open(), steps);
        double plain = error(excesses(PlainBf16.rounding(PlainBackend.open()), steps), exact);
        double probe = error(excesses(PlainBf16.moving(PlainBackend.open(), 1), steps), exact);
        double cuda = error(excesses(CudaUnderTest.open(), steps), exact);
        assertTrue(cuda <= 2 * plain + probe, "cuda=" + cuda + " plain bf16=" + plain + " probe=" + probe);
        assertTrue(exact[0] > 1, "something is above its reference: " + exact[0]);
    }

    /** Root mean square of the differences, nats. */
    private static double error(double[] nats, double[] exact) {
        double squares = 0;
        for (int i = 0; i < nats.length; i++) squares += (nats[i] - exact[i]) * (nats[i] - exact[i]);
        return Math.sqrt(squares / nats.length);
    }

    private RunConfig config(Map<String, String> more) {
        Map<String, String> settings = new HashMap<>(Map.of("schedule.steps", "12", "checkpoint.everySteps", "5"));
        settings.putAll(more);
        return CudaRuns.config(folder, settings);
    }

    private static void run(RunConfig config, Path out, TrainListener listener) {
        try (Backend<?> backend = Backends.open(config);
                RunFolder run = Files.exists(out.resolve("run.yaml"))
                        ? RunFolder.open(out)
                        : RunFolder.create(out, RunFile.write(config))) {
            new Trainer<>(config, CudaRuns.DATASET, backend, run, listener).run();
        }
    }

    /** Reference and proxy on the device, the proxy killed in between; on the CPU the same proxy loses about the same. */
    @Test
    void aProxyRunsOnTheDeviceAndGoesOnAfterAKill() throws IOException {
        CudaUnderTest.newDevice();
        Path reference = folder.resolve("reference");
        TrainListener nobody = new TrainListener() {};
        run(config(Map.of("mixture.policy", "natural")), reference, nobody);
        Map<String, String> proxy = Map.of("mixture.policy", "doremi", "mixture.referenceRun", reference.toString());
        run(config(proxy), folder.resolve("whole"), nobody);
        class Kill extends RuntimeException {
            private static final long serialVersionUID = 1L;
        }
        try {
            run(config(proxy), folder.resolve("killed"), new TrainListener() {
                @Override
                public void step(StepReport report) {
                    if (report.step() == 8) throw new Kill();
                }
            });
        } catch (Kill expected) {
            // that is what the listener is for
        }
        run(config(proxy), folder.resolve("killed"), nobody);
        List<JsonNode> whole = CudaRuns.metrics(folder.resolve("whole"));
        assertEquals(whole, CudaRuns.metrics(folder.resolve("killed")));
        assertEquals(12, whole.size());
        assertTrue(
                !whole.getFirst()
                        .at("/domains/domain0/lossWeight")
                        .equals(whole.getLast().at("/domains/domain0/lossWeight")),
                "the weights moved");
        Map<String, String> onCpu = new HashMap<>(proxy);
        onCpu.put("device", "cpu");
        run(config(onCpu), folder.resolve("cpu"), nobody);
        JsonNode cpu = CudaRuns.metrics(folder.resolve("cpu")).getFirst();
        for (int k = 0; k < 2; k++) {
            String field = "/domains/domain" + k + "/excessNats";
            double nats = cpu.at(field).doubleValue();
            // Both models' losses to bf16: some units of 2^-8 of a loss of 5.5 nats, in the mean of 16 tokens.
            assertEquals(nats, whole.getFirst().at(field).doubleValue(), 3 * 0x1p-8 * 5.5, field);
        }
    }
}
