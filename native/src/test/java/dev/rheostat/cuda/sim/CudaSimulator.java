package dev.rheostat.cuda.sim;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/**
 * The CUDA simulator of {@code native/cuda-sim} in this process: builds it, opens it in libcuda's place, steers it. Needs nothing
 * but the JDK, so that every module's tests can use it. The process has one simulator: tests that use it do not run in parallel.
 *
 * <p>{@link #available} opens it, so whoever asks the dynamic linker for {@code libcuda.so.1} or {@code libcublasLt.so.13}
 * after that gets the simulator. {@link #reset} before each test gives a new machine; handles and addresses of the old one are
 * refused by the new one.
 */
@SuppressWarnings("restricted")
public final class CudaSimulator {
    /** The order in which the threads of a block, and the blocks of a grid, run. */
    public enum Order {
        FORWARD,
        REVERSE,
        RANDOM
    }

    /** How long a stream waits before each thing it does. */
    public enum Delay {
        NONE,
        /** always the same time */
        FIXED,
        /** a random time up to the given one */
        JITTER
    }

    private static final Path HOME = home();
    private static final String REASON;
    private static final SymbolLookup SYMBOLS;
    private static final Map<String, MethodHandle> HANDLES = new ConcurrentHashMap<>();
    private static final Map<List<Path>, Path> KERNELS = new ConcurrentHashMap<>();

    static {
        String reason = null;
        SymbolLookup symbols = null;
        try {
            // two drivers of one name in a process would be mixed up
            if (Boolean.getBoolean("rheostat.gpu")) throw new IOException("tests run on this machine's GPU (-Pgpu)");
            if (HOME == null) throw new IOException("no native/cuda-sim above " + System.getProperty("user.dir"));
            run(HOME.resolve("build").toString(), libraryFolder().toString());
            symbols = SymbolLookup.libraryLookup(libraryFolder().resolve("libcuda.so.1"), Arena.global());
            for (String products : List.of("libcublasLt.so.13", "libcublas.so.12"))
                SymbolLookup.libraryLookup(libraryFolder().resolve(products), Arena.global());
        } catch (IOException | IllegalArgumentException e) {
            reason = "the CUDA simulator cannot be built or opened here: " + e.getMessage();
        }
        REASON = reason;
        SYMBOLS = symbols;
    }

    private CudaSimulator() {}

    /** Whether it was built and opened; if not, {@link #reason} says why, for the test that is skipped. */
    public static boolean available() {
        return SYMBOLS != null;
    }

    /** Why it is not available, in one sentence; null if it is. */
    public static String reason() {
        return REASON;
    }

    /** Why the PTX that the environment names as the kernels' image is not here, for the test that is skipped; null if nothing is missing. */
    public static String missingPtx() {
        String image = System.getenv("RHEOSTAT_KERNEL_IMAGE");
        boolean missing = image != null && image.endsWith(".ptx") && !Files.exists(Path.of(image));
        return missing ? "no nvcc made " + image + " (kernels/build-images --ptx)" : null;
    }

    /** Holds libcuda.so.1, libcublasLt.so.13 and libcublas.so.12. */
    public static Path libraryFolder() {
        return HOME.resolveSibling("target").resolve("cuda-sim");
    }

    /**
     * The kernels of these files as one image for cuModuleLoadData, instrumented, so that every access is checked.
     * Includes are looked for beside each file and in kernels/src/main/cuda.
     *
     * @throws IllegalStateException with the compiler's words, if they do not compile
     */
    public static Path kernels(Path... cuFiles) {
        return image(true, cuFiles);
    }

    /** As {@link #kernels}, but optimised and unchecked, for long runs of kernels that are checked elsewhere. */
    public static Path plainKernels(Path... cuFiles) {
        return image(false, cuFiles);
    }

    private static Path image(boolean checked, Path... cuFiles) {
        List<Path> files =
                Arrays.stream(cuFiles).map(f -> f.toAbsolutePath().normalize()).toList();
        List<Path> key = new ArrayList<>(files);
        if (!checked) key.add(Path.of("plain"));
        return KERNELS.computeIfAbsent(key, k -> {
            Path image = libraryFolder().resolve("kernels").resolve(Integer.toHexString(k.hashCode()) + ".so");
            List<String> command =
                    new ArrayList<>(List.of(HOME.resolve("build-kernels").toString()));
            if (!checked) command.add("--plain");
            command.add(image.toString());
            for (Path file : files) command.add(file.toString());
            command.addAll(List.of(
                    "-I",
                    HOME.resolve("../../kernels/src/main/cuda").normalize().toString()));
            for (Path folder : files.stream().map(Path::getParent).distinct().toList())
                command.addAll(List.of("-I", folder.toString()));
            try {
                Files.createDirectories(image.getParent());
                run(command.toArray(String[]::new));
            } catch (IOException e) {
                throw new IllegalStateException(e.getMessage(), e);
            }
            return image;
        });
    }

    /** native/cuda-sim/test/NAME.cu. */
    public static Path testKernel(String name) {
        return testFile(name + ".cu");
    }

    /** native/cuda-sim/test/FILE. */
    static Path testFile(String file) {
        return HOME.resolve("test").resolve(file);
    }

    /** A new machine: no memory, no work, no handles, no faults, no log; default settings. The calling threads have no context. */
    public static void reset() {
        call("sim_ctl_reset", FunctionDescriptor.ofVoid());
    }

    public static void order(Order order, long seed) {
        set("order", order.ordinal());
        set("order.seed", seed);
    }

    public static void delay(Delay delay, Duration time, long seed) {
        set("delay", delay.ordinal());
        set("delay.micros", time.toNanos() / 1000);
        set("delay.seed", seed);
    }

    /** Bounds and lifetimes of memory, races, first use: all on after a reset. Off, kernels run faster and bugs go unseen. */
    public static void checks(boolean on) {
        for (String check : List.of("check.bounds", "check.races", "check.global.races")) set(check, on ? 1 : 0);
    }

    /**
     * Changes a setting until the next reset.
     *
     * @param key order, order.seed, delay, delay.micros, delay.seed, check.bounds, check.races, check.global.races,
     *     count.launches, device.count, device.major, device.minor, device.bytes, device.limit (bytes that can be allocated, as if others had the
     *     rest), device.multiprocessors, device.shared.optin, device.l2.bytes, driver.version, cublaslt.version,
     *     cublaslt.workspace (bytes that the first algorithm of the heuristic needs)
     */
    public static void set(String key, long value) {
        try (Arena arena = Arena.ofConfined()) {
            FunctionDescriptor f = FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_LONG);
            if ((int) call("sim_ctl_set", f, arena.allocateFrom(key), value) != 0)
                throw new IllegalArgumentException("the simulator has no setting " + key);
        }
    }

    public static void deviceName(String name) {
        try (Arena arena = Arena.ofConfined()) {
            call("sim_ctl_set_name", FunctionDescriptor.ofVoid(ADDRESS), arena.allocateFrom(name));
        }
    }

    /** From now on each call of the driver and of cuBLASLt is a line of {@link #log}. */
    public static void startLog() {
        call("sim_ctl_log_start", FunctionDescriptor.ofVoid());
    }

    public static void stopLog() {
        call("sim_ctl_log_stop", FunctionDescriptor.ofVoid());
    }

    /**
     * The calls since {@link #startLog}: "t1 cuMemAlloc bytes=4096". Threads, memory ("#3+16"), streams and graphs have the
     * numbers of their first use since then or since the reset, so equal programs have equal logs. Names have no version suffix.
     */
    public static List<String> log() {
        return text("sim_ctl_log_copy").lines().toList();
    }

    /**
     * What was counted since the reset.
     *
     * @param name a function ("cuLaunchKernel": its calls), or calls, h2d.bytes, d2h.bytes, d2d.bytes, memset.bytes (moved by the
     *     driver), kernel.host.read.bytes, kernel.host.written.bytes (pinned memory, by checked kernels), kernels, matmuls,
     *     graph.launches, device.used.bytes, allocations (alive now)
     */
    public static long counter(String name) {
        try (Arena arena = Arena.ofConfined()) {
            long value =
                    (long) call("sim_ctl_counter", FunctionDescriptor.of(JAVA_LONG, ADDRESS), arena.allocateFrom(name));
            if (value < 0) throw new IllegalArgumentException("the simulator does not count " + name);
            return value;
        }
    }

    /**
     * A line for each launch of PTX since the reset, made while the setting count.launches was 1: "kernel=K grid=1,1,1 block=32,1,1
     * warp_instructions=17 ...". A shared access of a warp takes passes, of which conflicts are what is beyond one for each 128 bytes;
     * global sectors are the pieces of 32 bytes that a warp's access touches. Copies by mbarrier and wgmma's reads are not counted.
     */
    public static List<String> launchCounts() {
        return text("sim_ctl_launch_counts").lines().toList();
    }

    /** The n-th call of the function from now (1 is the next) answers the code and does nothing. */
    public static void failCall(String function, long n, int code) {
        fault("sim_ctl_fault_call", function, n, code);
    }

    /** The n-th kernel from now that has this name, or any if it is empty, fails on the device with the code, which stays. */
    public static void failKernel(String kernel, long n, int code) {
        fault("sim_ctl_fault_kernel", kernel, n, code);
    }

    /** From now on every call answers the code; work under way is dropped. */
    public static void loseDevice(int code) {
        call("sim_ctl_lose_device", FunctionDescriptor.ofVoid(JAVA_INT), code);
    }

    /** No stream begins anything for so long; zero ends it. */
    public static void stall(Duration time) {
        call("sim_ctl_stall", FunctionDescriptor.ofVoid(JAVA_LONG), time.toMillis());
    }

    /** Until {@code stall(Duration.ZERO)} or a reset. Whoever waits for a stream waits, too. */
    public static void stallForEver() {
        call("sim_ctl_stall", FunctionDescriptor.ofVoid(JAVA_LONG), -1L);
    }

    /** What went wrong last: kernel, block, thread, source line; empty if nothing did since the reset. */
    public static String lastError() {
        return text("sim_ctl_last_error");
    }

    /** Any function that the simulator exports, for its own tests: arguments are int, long and MemorySegment. */
    static int cuda(String function, Object... arguments) {
        MemoryLayout[] layouts = Arrays.stream(arguments)
                .map(a -> a instanceof Integer ? JAVA_INT : a instanceof Long ? JAVA_LONG : ADDRESS)
                .toArray(MemoryLayout[]::new);
        return (int) call(function, FunctionDescriptor.of(JAVA_INT, layouts), arguments);
    }

    private static void fault(String function, String name, long n, int code) {
        try (Arena arena = Arena.ofConfined()) {
            FunctionDescriptor f = FunctionDescriptor.ofVoid(ADDRESS, JAVA_LONG, JAVA_INT);
            call(function, f, arena.allocateFrom(name), n, code);
        }
    }

    private static String text(String function) {
        FunctionDescriptor f = FunctionDescriptor.of(JAVA_LONG, ADDRESS, JAVA_LONG);
        long capacity = 1 << 16;
        while (true) {
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment buffer = arena.allocate(capacity);
                long length = (long) call(function, f, buffer, capacity);
                if (length < capacity) return buffer.getString(0);
                capacity = length + 1;
            }
        }
    }

    private static Object call(String function, FunctionDescriptor descriptor, Object... arguments) {
        if (SYMBOLS == null) throw new IllegalStateException(REASON);
        MethodHandle handle = HANDLES.computeIfAbsent(
                function + descriptor,
                key -> Linker.nativeLinker().downcallHandle(SYMBOLS.findOrThrow(function), descriptor));
        try {
            return handle.invokeWithArguments(arguments);
        } catch (Throwable t) {
            throw new AssertionError(function, t);
        }
    }

    private static Path home() {
        for (Path p = Path.of(System.getProperty("user.dir")).toAbsolutePath(); p != null; p = p.getParent())
            if (Files.isExecutable(p.resolve("native/cuda-sim/build"))) return p.resolve("native/cuda-sim");
        return null;
    }

    /** One build at a time, also among processes. */
    private static synchronized void run(String... command) throws IOException {
        Path folder = Files.createDirectories(libraryFolder());
        Path output = Files.createTempFile(folder, "build", ".log");
        try (FileChannel lock =
                FileChannel.open(folder.resolve("lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
            lock.lock();
            ProcessBuilder process =
                    new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(output.toFile());
            int code = process.start().waitFor();
            if (code != 0)
                throw new IOException(
                        String.join(" ", command) + " ended with " + code + ":\n" + Files.readString(output));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IOException("interrupted during " + String.join(" ", command), e);
        } finally {
            Files.delete(output);
        }
    }
}
