package dev.rheostat.bench;

import dev.rheostat.cuda.jcuda.JCudaApi;
import dev.rheostat.op.RecordLayout;
import dev.rheostat.op.SlotLayout;
import dev.rheostat.op.StepIo;
import dev.rheostat.op.cuda.CudaBackend;
import dev.rheostat.op.cuda.DeviceTensor;
import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.function.Function;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/**
 * bench launch: what a launch costs the calling thread, through FFM and through JCuda. The kernel writes one number, its parameters
 * are put together anew for each launch, as every op does; so the bindings differ in nothing but the call.
 */
@Command(
        name = "launch",
        mixinStandardHelpOptions = true,
        description = "Time launches of kernels and graphs through FFM and JCuda, turn by turn.")
final class LaunchCommand implements Callable<Integer> {
    /** Rounds that are not timed: the JVM compiles. */
    private static final int WARM_UP_ROUNDS = 30;

    private static final int NODES = 256;

    private static final double NANOS = 1e9, LOW = 0.1, HIGH = 0.9;

    /** @param together launches that are timed together: far below the 1,024 that a stream holds before a launch waits */
    private record Launch(String name, int together, Function<Side, Runnable> of) {}

    private static final List<Launch> LAUNCHES = List.of(
            new Launch("a kernel", 200, Side::kernel),
            new Launch("a graph of 1 node", 200, Side::small),
            new Launch("a graph of " + NODES + " nodes", 2, Side::large));

    @Option(
            names = "--rounds",
            converter = Counts.Positive.class,
            defaultValue = "100",
            paramLabel = "N",
            description = "Of each binding; default: 100.")
    private int rounds;

    @Mixin
    private GpuOption gpu;

    @Mixin
    private JsonFile json;

    @Spec
    private CommandSpec spec;

    /** What is launched, through one binding. */
    private record Side(String binding, CudaBackend backend, Runnable kernel, Runnable small, Runnable large)
            implements AutoCloseable {
        static Side open(CudaBackend.Binding binding, int ordinal) {
            CudaBackend backend = CudaBackend.open(new CudaBackend.Settings(ordinal, binding, true));
            StepIo<DeviceTensor> io = backend.stepIo(
                    StepIo.Rings.allocate(backend, "rings", new SlotLayout(1, 1, 8), new RecordLayout(1), 1));
            Runnable kernel = () -> io.seek(0);
            return new Side(
                    binding.name().toLowerCase(Locale.ROOT),
                    backend,
                    kernel,
                    backend.program("one node", kernel),
                    backend.program(NODES + " nodes", () -> {
                        for (int i = 0; i < NODES; i++) kernel.run();
                    }));
        }

        /** Seconds a launch, of some that the device has no trouble to take; then waits for them. */
        double seconds(Launch launch) {
            Runnable call = launch.of.apply(this);
            long startNanos = System.nanoTime();
            for (int i = 0; i < launch.together; i++) call.run();
            double seconds = (System.nanoTime() - startNanos) / NANOS / launch.together;
            backend.stream().synchronize();
            return seconds;
        }

        @Override
        public void close() {
            backend.close();
        }
    }

    @Override
    public Integer call() {
        Machine machine = new Machine();
        PrintWriter out = spec.commandLine().getOut();
        try (Side ffm = Side.open(CudaBackend.Binding.FFM, gpu.ordinal())) {
            String device = ffm.backend.device().name();
            String missing = JCudaApi.unavailable().orElse(null); // asked when libcuda is open
            if (missing != null) out.println("JCuda is not measured: " + missing);
            List<Side> sides = new ArrayList<>(List.of(ffm));
            try {
                if (missing == null) sides.add(Side.open(CudaBackend.Binding.JCUDA, gpu.ordinal()));
                TextTable table = new TextTable("launch of", "binding", "ns", "10 %", "90 %");
                List<String> lines = new ArrayList<>();
                for (Launch launch : LAUNCHES) measure(launch, sides, table, lines, machine, device);
                out.println("the calling thread's time a launch, on " + device);
                out.print(table);
                lines.forEach(json::write);
            } finally {
                sides.stream().skip(1).forEach(Side::close);
            }
        }
        return 0;
    }

    private void measure(
            Launch launch, List<Side> sides, TextTable table, List<String> lines, Machine machine, String device) {
        double[][] seconds = new double[sides.size()][rounds];
        for (int round = -WARM_UP_ROUNDS; round < rounds; round++)
            for (int turn = 0; turn < sides.size(); turn++) {
                int side = (turn + Math.floorMod(round, 2)) % sides.size(); // each begins every other round
                double took = sides.get(side).seconds(launch);
                if (round >= 0) seconds[side][round] = took;
            }
        for (int side = 0; side < sides.size(); side++) {
            Arrays.sort(seconds[side]);
            double median = Samples.median(seconds[side]),
                    low = seconds[side][(int) (LOW * (rounds - 1))],
                    high = seconds[side][(int) Math.ceil(HIGH * (rounds - 1))];
            String binding = sides.get(side).binding;
            table.row(launch.name, binding, nanos(median), nanos(low), nanos(high));
            Map<String, Object> line = new LinkedHashMap<>();
            line.put("bench", "launch");
            line.put("what", launch.name);
            line.put("binding", binding);
            line.put("device", device);
            line.put("seconds", Machine.round(median));
            line.put("low_seconds", Machine.round(low));
            line.put("high_seconds", Machine.round(high));
            line.put("rounds", rounds);
            lines.add(machine.line(line));
        }
    }

    private static String nanos(double seconds) {
        return String.format(Locale.ROOT, "%,.0f", seconds * NANOS);
    }
}
