package dev.rheostat.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import dev.rheostat.cuda.sim.CudaSimulator;
import dev.rheostat.op.DType;
import dev.rheostat.op.DeviceException;
import dev.rheostat.op.cuda.CudaBackend;
import dev.rheostat.op.cuda.DeviceTensor;
import dev.rheostat.op.cuda.ProductChoices;
import dev.rheostat.train.Backends;
import dev.rheostat.train.CudaUnderTest;
import java.io.IOException;
import java.io.PrintWriter;
import java.lang.foreign.Arena;
import java.net.URISyntaxException;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * A GPU that is asked for and cannot be had, or fails in the middle of a run: exit code 3 (a model that it does not take: 2), one
 * sentence with a cure, and a run folder as good as its last checkpoint.
 */
@Timeout(120)
class CudaFaultsTest {
    private static final int STEPS = 30;

    @TempDir
    private static Path folder;

    private static Path runFile;
    private static int runs;

    @BeforeAll
    static void prepare() throws IOException {
        Path text = folder.resolve("text");
        for (String domain : List.of("alpha", "beta"))
            for (String split : List.of("train", "valid")) {
                Path file = text.resolve(domain).resolve(split + ".jsonl");
                Files.createDirectories(file.getParent());
                Files.writeString(file, ("{\"text\": \"" + (domain + " and more ").repeat(10) + "\"}\n").repeat(20));
            }
        Ran.rheostat(
                        "prepare",
                        text.toString(),
                        "--out",
                        folder.resolve("tokens").toString(),
                        "--tokenizer",
                        "bytes")
                .mustExitWith(0);
        runFile = Files.writeString(folder.resolve("toy.yaml"), """
                device: cuda
                data: {dataset: tokens}
                model: {layers: 1, heads: 1, width: 64, context: 16}
                batch: {sequences: 2, microBatches: 2}
                schedule: {steps: %d}
                checkpoint: {everySteps: 10}
                evaluation: {everySteps: 0, windows: 2}
                mixture: {settings: {startStep: 4, ignoreSteps: 2, refitEvery: 6, refitDelay: 4, gateBins: 4, gateRange: 1.5, gateSpread: 100}}
                runtime: {peakGflops: 10}
                """.formatted(STEPS));
    }

    @BeforeEach
    void newSimulator() {
        CudaUnderTest.newSimulator();
    }

    @AfterEach
    void repair() {
        if (CudaSimulator.available()) CudaSimulator.reset();
    }

    private static Path newRun() {
        return folder.resolve("run" + runs++);
    }

    private static List<String> train(Path run, String... more) {
        List<String> line = new ArrayList<>(List.of("train", runFile.toString(), "--out", run.toString()));
        line.addAll(List.of(more));
        return line;
    }

    private static Ran rheostat(List<String> line) {
        return Ran.rheostat(line.toArray(String[]::new));
    }

    // ---- before the run
    // -------------------------------------------------------------------------------------------------------

    /** What stands between a user and his GPU; the cure is a part of what he must be told. */
    private enum Obstacle {
        NO_DEVICE("CUDA_VISIBLE_DEVICES, or use device: cpu") {
            @Override
            void put() {
                CudaSimulator.set("device.count", 0);
            }
        },
        NO_SUCH_ORDINAL("rheostat doctor lists") {
            @Override
            void put() {
                CudaSimulator.failCall("cuDeviceGet", 1, 101);
            }
        },
        BUSY("exclusive mode: look at nvidia-smi") {
            @Override
            void put() {
                CudaSimulator.failCall("cuDevicePrimaryCtxRetain", 1, 46);
            }
        },
        HIDDEN("No GPU is visible") {
            @Override
            void put() {
                CudaSimulator.failCall("cuInit", 1, 100);
            }
        },
        OLD_DRIVER("the driver serves CUDA 11.8, and CUDA 12.0 is needed: install NVIDIA's driver 525 or newer") {
            @Override
            void put() {
                CudaSimulator.set("driver.version", 11_080);
            }
        },
        OLD_DEVICE("has compute capability 7.5, and bf16 needs 8.0 (A100) or newer: use device: cpu") {
            @Override
            void put() {
                CudaSimulator.set("device.major", 7);
                CudaSimulator.set("device.minor", 5);
            }
        };

        final String says;

        Obstacle(String says) {
            this.says = says;
        }

        abstract void put();
    }

    @ParameterizedTest
    @EnumSource
    void aGpuThatIsAskedForIsNeverReplaced(Obstacle obstacle) {
        obstacle.put();
        Path run = newRun();
        rheostat(train(run))
                .mustExitWith(3)
                .mustSayOneLine()
                .mustSay("device: cuda: ")
                .mustSay(obstacle.says);
        assertFalse(Files.exists(run), "a run that cannot start leaves no folder");
    }

    @ParameterizedTest
    @EnumSource
    void autoTakesTheCpuAndSaysWhy(Obstacle obstacle) {
        obstacle.put();
        rheostat(train(newRun(), "--set", "device=auto", "--set", "schedule.steps=1"))
                .mustExitWith(0)
                .mustSay("device   CPU")
                .mustSay("because  ")
                .mustSay(obstacle.says);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "model.heads=2      | attention on a GPU takes head widths of 64 and 128, and this model's is 32",
                "model.context=12   | attention on a GPU takes multiples of 8 tokens, not 12",
                "model.mlpWidth=172 | kernels take rows of multiples of 8 on a GPU, not of 172"
            })
    void aModelThatTheKernelsDoNotTakeIsABadRequestAndAutoTakesTheCpu(String setting, String says) {
        rheostat(train(newRun(), "--set", setting))
                .mustExitWith(2)
                .mustSayOneLine()
                .mustSay(says);
        rheostat(train(newRun(), "--set", setting, "--set", "device=auto", "--set", "schedule.steps=1"))
                .mustExitWith(0)
                .mustSay("because  " + says);
    }

    /** The sentence names what takes most and the micro-batch that fits: that one runs, one sequence more is refused. */
    @Test
    void whatDoesNotFitIsRefusedBeforeStepZeroWithWhatWould() {
        // 40 MiB for the run, and a 64th of the simulator's 2 GiB for its driver
        CudaSimulator.set("device.limit", 72 << 20);
        Path run = newRun();
        Ran refused = rheostat(train(run, sequences(64)))
                .mustExitWith(3)
                .mustSayOneLine()
                .mustSay("most of it 32 MiB of GEMM workspace");
        assertFalse(Files.exists(run));
        Matcher fits = Pattern.compile("micro-batches of (\\d+) sequences fit; raise batch.microBatches")
                .matcher(refused.err());
        assertTrue(fits.find(), refused.err());
        int most = Integer.parseInt(fits.group(1));
        rheostat(train(newRun(), sequences(most + 1)))
                .mustExitWith(3)
                .mustSay("micro-batches of " + most + " sequences fit");
        rheostat(train(newRun(), sequences(most))).mustExitWith(0).mustSay("device   cuda:0");
    }

    private static String[] sequences(int count) {
        return new String[] {
            "--set", "batch.sequences=" + count, "--set", "batch.microBatches=1", "--set", "schedule.steps=1"
        };
    }

    /** Memory that was free when the run was planned, and taken by another process since. */
    @ParameterizedTest
    @CsvSource({"1, scratch", "4, 'weights, bf16'", "20, activations"})
    void memoryThatIsGoneNamesWhatItWasFor(int allocation, String purpose) {
        CudaSimulator.failCall("cuMemAlloc", allocation, 2);
        Path run = newRun();
        rheostat(train(run))
                .mustExitWith(3)
                .mustSayOneLine()
                .mustSay(" MiB for " + purpose + ", of ")
                .mustSay("Use a smaller micro-batch, or free the device's memory");
        assertFalse(Files.exists(run.resolve("run.yaml")), "a run that never began leaves its folder free");
    }

    // ---- in the middle of the run
    // ---------------------------------------------------------------------------------------------

    private static List<String> metrics(Path run) throws IOException {
        List<String> lines = Files.readAllLines(run.resolve("metrics.jsonl"));
        lines.replaceAll(line -> line.replaceFirst(",\"seconds\":\\{[^}]*}", ""));
        return lines;
    }

    /** A run that failed names its newest checkpoint; resumed on a sound device it is the run that never failed. */
    private static void assertResumes(Path failed, Ran ran) throws IOException {
        Path checkpoint = failed.resolve("checkpoints/step-%08d".formatted(STEPS / 3 * 2));
        ran.mustExitWith(3).mustSayOneLine().mustSay("the last good checkpoint is " + checkpoint);
        CudaUnderTest.newSimulator();
        Ran.rheostat("resume", failed.toString()).mustExitWith(0);
        Path whole = newRun();
        rheostat(train(whole)).mustExitWith(0);
        assertEquals(metrics(whole), metrics(failed));
    }

    /** Each micro-batch of a step runs the kernel once: the 45th is the first half of step 22. */
    @Test
    void aKernelThatFailsInTheMiddleOfAStepEndsTheRun() throws IOException {
        CudaSimulator.failKernel("attention_hopper_backward_keys_64", 45, 719);
        Path run = newRun();
        Ran ran = rheostat(train(run));
        ran.mustSay("CUDA_ERROR_LAUNCH_FAILED").mustSay("compute-sanitizer");
        assertResumes(run, ran);
    }

    @Test
    void aDeviceThatIsLostEndsTheRun() throws Exception {
        Path run = newRun();
        Thread cable = Thread.ofPlatform().start(() -> {
            while (!Files.exists(run.resolve("checkpoints/step-00000020"))) Thread.onSpinWait();
            CudaSimulator.loseDevice(999);
        });
        Ran ran = rheostat(train(run));
        cable.join();
        ran.mustSay("CUDA_ERROR_UNKNOWN").mustSay("Xid");
        assertResumes(run, ran);
    }

    /** The kernel runs in evaluations alone: in the ones before step 0, of two windows of two domains, and the ones that follow. */
    @Test
    void aKernelThatFailsInAValidationEndsTheRun() throws IOException {
        CudaSimulator.failKernel("loss_head_forward", 6, 719);
        Path run = newRun();
        rheostat(train(run, "--set", "evaluation.everySteps=15"))
                .mustExitWith(3)
                .mustSayOneLine()
                .mustSay("CUDA_ERROR_LAUNCH_FAILED")
                .mustSay("the last good checkpoint is " + run.resolve("checkpoints/step-00000010"));
    }

    // ---- how a context is had
    // --------------------------------------------------------------------------------------------------------

    /** Contexts that were made: a primary one is when the first retains it, and lives until the last has released it. */
    private static int contextsMade(List<String> log) {
        int users = 0, made = 0;
        for (String line : log) {
            if (line.contains(" cuDevicePrimaryCtxRetain") && users++ == 0) made++;
            if (line.contains(" cuDevicePrimaryCtxRelease")) users--;
        }
        return made;
    }

    /** What is here, what is free, how fast it is, and the run itself: all of one context, if any. */
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {"device=auto | 1", "device=cuda | 1", "device=cpu  | 0", "device=auto model.heads=2 | 1"})
    void aRunMakesOneContext(String settings, int contexts) {
        CudaSimulator.startLog();
        List<String> line = train(newRun(), "--set", "schedule.steps=1");
        for (String setting : settings.split(" ")) line.addAll(List.of("--set", setting));
        rheostat(line).mustExitWith(0);
        CudaSimulator.stopLog();
        assertEquals(contexts, contextsMade(CudaSimulator.log()), () -> String.join("\n", CudaSimulator.log()));
    }

    @Test
    void aGpuThatDoesNotTakeTheModelIsLeftAlone() {
        CudaSimulator.startLog();
        rheostat(train(newRun(), "--set", "device=auto", "--set", "model.heads=2", "--set", "schedule.steps=1"))
                .mustExitWith(0)
                .mustSay("device   CPU");
        CudaSimulator.stopLog();
        assertEquals(
                CudaSimulator.counter("cuDevicePrimaryCtxRetain"), CudaSimulator.counter("cuDevicePrimaryCtxRelease"));
    }

    @Test
    void doctorMakesOneContextADevice() {
        CudaSimulator.set("device.count", 2);
        CudaSimulator.startLog();
        rheostat(List.of("doctor")).mustExitWith(0).mustSay("device cuda:1");
        CudaSimulator.stopLog();
        assertEquals(2, CudaSimulator.counter("cuDevicePrimaryCtxRetain"));
        assertEquals(0, CudaSimulator.counter("cuDevicePrimaryCtxRelease"));
    }

    // ---- machines without what is needed, each a process of its own
    // --------------------------------------------------------------

    /** Settings of the simulator, "--", a command line. */
    static final class Process {
        public static void main(String[] arguments) {
            int dashes = List.of(arguments).indexOf("--");
            if (dashes > 0 && !CudaSimulator.available()) throw new AssertionError(CudaSimulator.reason());
            for (String setting : Arrays.copyOf(arguments, dashes)) {
                String[] keyAndValue = setting.split("=");
                CudaSimulator.set(keyAndValue[0], Long.parseLong(keyAndValue[1]));
            }
            System.exit(Main.execute(
                    new PrintWriter(System.out, true),
                    new PrintWriter(System.err, true),
                    Arrays.copyOfRange(arguments, dashes + 1, arguments.length)));
        }
    }

    /** Leaves a device hanging. The simulator's exit handler then waits for ever, as a driver's may. */
    static final class HangingProcess {
        public static void main(String[] arguments) {
            if (!CudaSimulator.available()) throw new AssertionError(CudaSimulator.reason());
            CudaBackend.Settings settings = new CudaBackend.Settings(
                    0, CudaBackend.Binding.FFM, true, ProductChoices.FIRST, Duration.ofSeconds(1));
            try (CudaBackend backend = CudaBackend.open(settings);
                    Arena arena = Arena.ofConfined()) {
                DeviceTensor one = backend.allocate("test", DType.F32, 1);
                CudaSimulator.stallForEver();
                backend.download(arena.allocate(4), one);
            } catch (DeviceException e) {
                System.err.println(e.getMessage());
                Backends.endProcess(3);
            }
        }
    }

    @Test
    void aProcessThatLeavesADeviceHangingEnds() throws Exception {
        process(classPath(), Map.of(), HangingProcess.class, List.of())
                .mustExitWith(3)
                .mustSay("the device hangs");
    }

    private static String classPath() {
        return System.getProperty("java.class.path");
    }

    /** In place of the module of kernels, folder or jar, a copy that holds no image. */
    private static String classPathWithoutImages() throws IOException, URISyntaxException {
        Path kernels = Path.of(CudaBackend.class
                .getProtectionDomain()
                .getCodeSource()
                .getLocation()
                .toURI());
        Path copy = folder.resolve("without-images");
        if (Files.isDirectory(kernels)) copyClasses(kernels, copy);
        else
            try (FileSystem jar = FileSystems.newFileSystem(kernels)) {
                copyClasses(jar.getPath("/"), copy);
            }
        return Stream.of(classPath().split(":"))
                .map(entry -> (Path.of(entry).toAbsolutePath().equals(kernels) ? copy : Path.of(entry)).toString())
                .collect(Collectors.joining(":"));
    }

    private static void copyClasses(Path from, Path to) throws IOException {
        List<Path> classes;
        try (Stream<Path> files = Files.walk(from)) {
            classes = files.filter(file -> file.toString().endsWith(".class")).toList();
        }
        for (Path file : classes) {
            Path target = to.resolve(from.relativize(file).toString());
            Files.createDirectories(target.getParent());
            Files.copy(file, target);
        }
    }

    private static Ran process(String classPath, Map<String, String> environment, String settings, List<String> line)
            throws IOException, InterruptedException {
        List<String> arguments = new ArrayList<>();
        if (!settings.isEmpty()) arguments.addAll(List.of(settings.split(" ")));
        arguments.add("--");
        arguments.addAll(line);
        return process(classPath, environment, Process.class, arguments);
    }

    private static Ran process(String classPath, Map<String, String> environment, Class<?> main, List<String> arguments)
            throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--add-modules=jdk.incubator.vector",
                "--enable-native-access=ALL-UNNAMED",
                "-cp",
                classPath,
                main.getName()));
        command.addAll(arguments);
        Path out = Files.createTempFile(folder, "out", ""), err = Files.createTempFile(folder, "err", "");
        ProcessBuilder builder =
                new ProcessBuilder(command).redirectOutput(out.toFile()).redirectError(err.toFile());
        builder.environment().putAll(environment);
        builder.environment().values().removeIf(String::isEmpty);
        int exitCode = builder.start().waitFor();
        return new Ran(exitCode, Files.readString(out), Files.readString(err));
    }

    @Test
    void withoutADriverCudaIsRefusedAndAutoTakesTheCpu() throws Exception {
        assumeFalse(Files.exists(Path.of("/dev/nvidiactl")), "this machine has a driver, which is then found");
        Map<String, String> none = Map.of(
                "RHEOSTAT_CUDA_LIBRARIES",
                Files.createDirectories(folder.resolve("none")).toString());
        process(classPath(), none, "", train(newRun()))
                .mustExitWith(3)
                .mustSayOneLine()
                .mustSay("device: cuda: the CUDA driver cannot be used: " + folder.resolve("none/libcuda.so.1"))
                .mustSay("Install NVIDIA's driver 580 or newer, or use device: cpu.");
        process(classPath(), none, "", train(newRun(), "--set", "device=auto", "--set", "schedule.steps=1"))
                .mustExitWith(0)
                .mustSay("device   CPU")
                .mustSay("because  the CUDA driver cannot be used");
    }

    @Test
    void withoutCublasItSaysHowToGetIt() throws Exception {
        Path driverAlone = Files.createDirectories(folder.resolve("driver"));
        Files.copy(CudaSimulator.libraryFolder().resolve("libcuda.so.1"), driverAlone.resolve("libcuda.so.1"));
        Ran ran = process(classPath(), Map.of("RHEOSTAT_CUDA_LIBRARIES", driverAlone.toString()), "", train(newRun()));
        assumeFalse(ran.exitCode() == 0, "this machine has cuBLASLt, which is then found");
        ran.mustExitWith(3).mustSayOneLine().mustSay("cuBLASLt").mustSay("by pip (nvidia-cublas");
    }

    /** Images that nvcc of CUDA 13 made, and a driver of CUDA 12: refused by its number before anything is loaded. */
    @Test
    void aDriverTooOldForTheImagesIsRefusedByItsNumber() throws Exception {
        Path images = Files.createDirectories(folder.resolve("images/dev/rheostat/op/cuda"));
        Files.writeString(images.resolve("kernels.fatbin"), "not loaded");
        Files.writeString(images.resolve("kernels.properties"), """
                compiler=nvcc 13.0
                cudaVersion=13000
                targets=sm_80 sm_90a sm_100 compute_80
                """);
        process(
                        folder.resolve("images") + ":" + classPath(),
                        Map.of("RHEOSTAT_KERNEL_IMAGE", ""),
                        "driver.version=12000",
                        train(newRun()))
                .mustExitWith(3)
                .mustSayOneLine()
                .mustSay("the driver serves CUDA 12.0, and CUDA 13.0 is needed: install NVIDIA's driver 580 or newer");
    }

    @Test
    void aBuildWithoutImagesSaysHowToGetThem() throws Exception {
        process(classPathWithoutImages(), Map.of("RHEOSTAT_KERNEL_IMAGE", ""), "", train(newRun()))
                .mustExitWith(3)
                .mustSayOneLine()
                .mustSay("this build has no kernel images: build it where nvcc of CUDA 12.8 or newer is, or with"
                        + " Maven's -Pnvrtc");
    }
}
