package dev.rheostat.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.rheostat.config.RunConfig;
import dev.rheostat.config.RunConfigs;
import dev.rheostat.config.RunFile;
import dev.rheostat.cuda.sim.CudaSimulator;
import dev.rheostat.op.DType;
import dev.rheostat.op.cuda.CudaBackend;
import dev.rheostat.op.cuda.DeviceTensor;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Benchmarks of a GPU, on the simulator: that they run, look at the answers and say what they did. No time is asserted. */
class GpuBenchTest {
    private static final boolean GPU = Boolean.getBoolean("rheostat.gpu");

    private static final String[] TINY = {
        "--set", "model.layers=2", "--set", "model.heads=1", "--set", "model.width=64", "--set", "model.vocabulary=257",
        "--set", "batch.microBatches=2", "--set", "runtime.peakGflops=100", "--batch", "4", "--seq", "16"
    };

    @TempDir
    private Path folder;

    private final StringWriter err = new StringWriter();

    @BeforeEach
    void device() {
        if (GPU) return;
        assumeTrue(CudaSimulator.available(), CudaSimulator::reason);
        CudaSimulator.reset();
        CudaSimulator.set("device.l2.bytes", 1 << 20); // twice of it is read before each op that is timed
    }

    private int bench(String... arguments) {
        return BenchMain.execute(new PrintWriter(new StringWriter()), new PrintWriter(err, true), arguments);
    }

    /** The lines that a command keeps. */
    private List<JsonNode> lines(String command, String... arguments) throws IOException {
        Path file = folder.resolve("lines.jsonl");
        List<String> all = new ArrayList<>(List.of(command, "--json", file.toString()));
        all.addAll(List.of(arguments));
        assertEquals(0, bench(all.toArray(String[]::new)), err.toString());
        List<JsonNode> lines = new ArrayList<>();
        for (String line : Files.readAllLines(file)) lines.add(new ObjectMapper().readTree(line));
        return lines;
    }

    @Test
    void aRunTakesTheProductsThatABenchmarkKept() throws IOException {
        Path kept = folder.resolve("products");
        List<JsonNode> lines =
                lines("products", "--shape", "small", "--repeats", "1", "--offers", "2", "--out", kept.toString());
        for (JsonNode line : lines) { // of the simulator's three, and a GPU's one or more
            int offers = line.get("offers").intValue();
            assertTrue(GPU ? offers >= 1 : offers == 2, line::toString);
        }
        String shape = lines.getFirst().get("matmul").textValue();
        assertTrue(Files.readString(kept).startsWith("# made by bench products on "), Files.readString(kept));
        String product = "NN 16x16x16 bf16->bf16";
        Files.writeString(kept, product + " | 1 | of no product of this step\n");
        step(0, kept);
        Files.writeString(kept, shape + " 1\n");
        step(2, kept);
        assertTrue(err.toString().contains("products:1: not SHAPE | RANK | ALGORITHM"), err.toString());
    }

    private void step(int code, Path products) {
        List<String> all = new ArrayList<>(List.of("step", "--device", "cuda", "--warm-up", "0", "--steps", "1"));
        all.addAll(List.of(TINY));
        all.addAll(List.of("--set", "runtime.products=" + products));
        assertEquals(code, bench(all.toArray(String[]::new)), err.toString());
    }

    @Test
    void everyOpIsTimedAfterItsAnswerWasRight() throws IOException {
        List<JsonNode> lines = lines("kernels", "--shape", "small", "--repeats", "1");
        Set<String> ops = new HashSet<>();
        for (JsonNode line : lines) {
            ops.add(line.get("op").textValue());
            assertTrue(line.get("seconds").doubleValue() > 0, line::toString);
            assertTrue(line.get("relative_error").doubleValue() <= KernelBench.TOLERANCE, line::toString);
        }
        KernelShape small = KernelShape.of("small");
        for (StepBudget.Item item :
                StepBudget.of(small.model(), small.slot(), 22).items())
            if (item.cost().limit().ofMemory() && !item.cost().op().matches("(clear|zero) .*"))
                assertTrue(
                        ops.stream()
                                .anyMatch(op -> op.startsWith(item.cost().op().split(" ")[0])),
                        () -> item.cost().op() + " is part of a step and is not timed");
        assertEquals(lines.size(), ops.size());
    }

    @Test
    void someOpsCanBeAskedFor() throws IOException {
        assertEquals(
                List.of("swiglu forward", "swiglu backward", "norm forward", "norm backward").stream()
                        .sorted()
                        .toList(),
                lines("kernels", "--shape", "small", "--repeats", "1", "--op", "norm,swiglu").stream()
                        .map(line -> line.get("op").textValue())
                        .sorted()
                        .toList());
    }

    @Test
    void wrongRequestsAreRefusedInALine() {
        assertEquals(2, bench("kernels", "--shape", "medium"));
        assertEquals(2, bench("kernels", "--shape", "small", "--op", "nrom"));
        assertTrue(err.toString().contains("norm"), err.toString());
        assertEquals(2, bench("kernels", "--shape", "small", "--repeats", "0"));
        assertEquals(3, err.toString().lines().count(), err.toString());
    }

    /** The budget can forget no op: on the simulator a product is one kernel. */
    @Test
    void theBudgetCountsTheNodesOfTheStepsGraph() throws IOException {
        assumeTrue(!GPU, "a product may be more than one kernel");
        JsonNode line = lines("step", arguments("--device", "cuda", "--steps", "4", "--warm-up", "2"))
                .getFirst();
        assertEquals(
                line.get("budget_nodes").longValue(), line.get("graph_nodes").longValue());
        assertTrue(line.get("loss_last").doubleValue() < line.get("loss_first").doubleValue());
        assertEquals(4, line.get("ring_depth").intValue());
        assertTrue(line.get("gap_seconds").doubleValue() >= 0
                && line.get("busy_seconds").doubleValue() > 0);
    }

    @Test
    void stepsThatDoNotFitAreRefusedWithTheMicroBatchThatWould() throws IOException {
        assumeTrue(!GPU, "a real device is not made smaller");
        // 48 MiB for the steps, and a 64th of the simulator's 2 GiB for its driver
        CudaSimulator.set("device.limit", 80 << 20);
        assertEquals(3, bench(concat("step", ofSequences(512))));
        Matcher fits = java.util.regex.Pattern.compile(
                        "micro-batches of (\\d+) sequences fit; raise batch.microBatches")
                .matcher(err.toString());
        assertTrue(fits.find(), err.toString());
        assertEquals(1, err.toString().lines().count(), err.toString());
        int most = 2 * Integer.parseInt(fits.group(1)); // in two micro-batches
        lines("step", ofSequences(most));
    }

    private static String[] ofSequences(int count) {
        String[] all = arguments("--device", "cuda", "--steps", "2", "--warm-up", "0");
        all[Arrays.asList(all).indexOf("--batch") + 1] = Integer.toString(count);
        return all;
    }

    private static String[] arguments(String... more) {
        List<String> all = new ArrayList<>(List.of(more));
        all.addAll(List.of(TINY));
        return all.toArray(String[]::new);
    }

    @Test
    void bothBindingsAreLaunchedThrough() throws IOException {
        List<JsonNode> lines = lines("launch", "--rounds", "3");
        assertEquals(
                List.of("ffm", "jcuda", "ffm", "jcuda", "ffm", "jcuda"),
                lines.stream().map(line -> line.get("binding").textValue()).toList());
        assertTrue(lines.stream().allMatch(line -> line.get("device").textValue() != null));
    }

    @Test
    void aPatternIsKnownAtEveryElement() {
        Pattern pattern = Pattern.normal(5, 1);
        int size = 3 * Pattern.PERIOD + 5;
        try (CudaBackend gpu = CudaBackend.open(new CudaBackend.Settings(0, CudaBackend.Binding.FFM, false));
                Arena arena = Arena.ofConfined()) {
            DeviceTensor x = pattern.fill(gpu, gpu.allocate("test", DType.BF16, size));
            MemorySegment bytes = arena.allocate(2L * size, 2);
            gpu.download(bytes, x);
            for (int i = 0; i < size; i++)
                assertEquals(
                        pattern.at(i),
                        Float.intBitsToFloat(bytes.getAtIndex(ValueLayout.JAVA_SHORT, i) << 16),
                        "element " + i);
        }
    }

    @Test
    void wrongAnswersAreSeen() {
        double[] right = {1, 2, 3, 4};
        assertEquals(0, KernelCases.error(right.clone(), right));
        assertTrue(KernelCases.error(new double[] {1, 2, 3, 4.1}, right) > KernelBench.TOLERANCE);
        assertTrue(Double.isNaN(KernelCases.error(new double[] {1, 2, 3, Double.NaN}, right)));
        assertTrue(KernelCases.error(new double[] {0, 0, 1, 0}, new double[4]) > KernelBench.TOLERANCE);
    }

    @Test
    void thePeerIsAskedForTheSameModel() {
        Map<String, String> all = Map.of("model.preset", "ado-124m", "model.vocabulary", "50257");
        RunConfig config =
                RunConfigs.resolve(RunFile.parse("test", "", Path.of(""), all).config(), 50_257);
        String line = String.join(" ", GpuComparison.command(config, 10, 20));
        assertTrue(
                line.contains("--layers 12 --heads 12 --width 768 --mlp-width 2048 --vocabulary 50257"
                        + " --padded-vocabulary 50304"),
                line);
    }

    @Test
    void aPeerThatIsNotThereIsALine() {
        assertEquals(3, bench(concat("compare", arguments("--device", "cuda"))));
        assertEquals(1, err.toString().lines().count(), err.toString());
        assertTrue(err.toString().contains("torch_gpt.py"), err.toString());
    }

    private static String[] concat(String command, String[] arguments) {
        List<String> all = new ArrayList<>(List.of(command));
        all.addAll(List.of(arguments));
        return all.toArray(String[]::new);
    }
}
