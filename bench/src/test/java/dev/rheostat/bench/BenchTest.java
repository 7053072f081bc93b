package dev.rheostat.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.rheostat.ffi.OneDnn;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;

class BenchTest {
    @TempDir
    private Path folder;

    private static final List<String> TINY = List.of(
            "--set",
            "model.layers=1",
            "--set",
            "model.heads=2",
            "--set",
            "model.width=32",
            "--set",
            "model.vocabulary=300",
            "--batch",
            "2",
            "--seq",
            "16");

    private record Ran(int exitCode, List<JsonNode> lines, String err) {}

    private static Ran bench(List<String> model, String... arguments) throws IOException {
        List<String> line = new ArrayList<>(List.of(arguments));
        line.addAll(model);
        StringWriter out = new StringWriter(), err = new StringWriter();
        int exitCode =
                BenchMain.execute(new PrintWriter(out, true), new PrintWriter(err, true), line.toArray(String[]::new));
        List<JsonNode> lines = new ArrayList<>();
        if (exitCode == 0)
            for (String json : out.toString().lines().toList()) lines.add(new ObjectMapper().readTree(json));
        return new Ran(exitCode, lines, err.toString());
    }

    @Test
    void aStepIsOneLineOfJson() throws IOException {
        assumeTrue(OneDnn.status().available(), () -> OneDnn.status().detail());
        Ran ran = bench(TINY, "step", "--device", "cpu", "--steps", "5", "--warm-up", "3");
        assertEquals(0, ran.exitCode, ran.err);
        JsonNode line = ran.lines.getFirst();
        assertEquals(1, ran.lines.size());
        assertEquals(
                1,
                line.get("tokens_per_second").doubleValue()
                        * line.get("seconds_per_step").doubleValue()
                        / 32,
                0.01);
        assertTrue(line.get("loss_last").doubleValue() < line.get("loss_first").doubleValue());
        assertEquals("L1 H2 C32 V300", line.get("model").textValue());
    }

    @Test
    void theMixturesCostIsMeasuredOnBothSides() throws IOException {
        Ran ran = bench(TINY, "mixture", "--device", "cpu", "--domains", "3", "--blocks", "2", "--steps", "40");
        assertEquals(0, ran.exitCode, ran.err);
        assertTrue(ran.lines.getFirst().has("on_over_off_percent")
                && ran.lines.getFirst().has("critical_path_percent"));
    }

    @Test
    void everyPolicysStepIsTimed() throws IOException {
        Ran ran = bench(List.of(), "policies", "--domains", "3", "--steps", "50");
        assertEquals(0, ran.exitCode, ran.err);
        for (String policy : dev.rheostat.ado.Policies.NAMES)
            assertTrue(
                    ran.lines.stream()
                            .anyMatch(line ->
                                    line.get("policy").textValue().split("/")[0].equals(policy)
                                            && line.get("step_us").doubleValue() > 0),
                    policy);
    }

    @Test
    void wrongRequestsAreOneLine() throws IOException {
        Ran unknown = bench(TINY, "step", "--precision", "fp8");
        assertEquals(2, unknown.exitCode, unknown.err);
        assertEquals(1, unknown.err.lines().count(), unknown.err);
        assertEquals(2, bench(List.of(), "stepp").exitCode);
        assertEquals(2, bench(TINY, "mixture", "--device", "cpu", "--steps", "5", "--blocks", "1").exitCode);
    }

    /** Of every command; the numbers of devices and threads, and steps before the timed ones, may be 0. */
    @Test
    void countsThatCannotBeAreRefusedBeforeAnythingIsDone() throws IOException {
        Set<String> mayBeZero = Set.of("--device", "--threads", "--warm-up");
        int options = 0;
        for (Class<?> command :
                BenchMain.class.getAnnotation(CommandLine.Command.class).subcommands()) {
            CommandSpec spec = CommandSpec.forAnnotatedObject(command);
            for (OptionSpec option : spec.options()) {
                if (!List.of(int.class, Integer.class, int[].class).contains(option.type())) continue;
                options++;
                String name = option.longestName();
                for (String value : mayBeZero.contains(name) ? List.of("-1", "x") : List.of("-1", "0", "x")) {
                    Ran ran = bench(List.of(), spec.name(), name, value);
                    assertEquals(2, ran.exitCode, ran.err);
                    assertEquals(1, ran.err.lines().count(), ran.err);
                    assertTrue(ran.err.contains(name) && ran.err.contains(value), ran.err);
                }
            }
        }
        assertTrue(options > 20, options + " options");
    }

    /** In nvidia-smi's place: it answers after a while, about the device that it is asked for alone. */
    private Path smi(String answer) throws IOException {
        Path program = Files.writeString(
                folder.resolve("smi"),
                "#!/bin/sh\n[ \"$1\" = --id=00000000:3B:00.0 ] || exit 1\nsleep 0.3\necho \"" + answer + "\"\n");
        assertTrue(program.toFile().setExecutable(true));
        return program;
    }

    @Test
    void clocksAreAskedForWhileTheDeviceWorks() throws IOException {
        int[] runs = new int[1];
        Runnable work = () -> {
            runs[0]++;
            LockSupport.parkNanos(10_000_000);
        };
        String smi = smi("1755, 1980, 2619, [N/A]").toString();
        assertEquals(
                Map.of("clocks_sm", 1755.0, "clocks_max_sm", 1980.0, "clocks_mem", 2619.0),
                Clocks.during(work, "00000000:3B:00.0", smi));
        assertTrue(runs[0] > 3, runs[0] + " times");
        assertEquals(Map.of(), Clocks.during(work, "00000000:3C:00.0", smi));
        assertEquals(Map.of(), Clocks.during(work, "00000000:3B:00.0", "/no/such/program"));
    }

    @Test
    void theStatisticsAreTheTextbooks() {
        assertEquals(3, Samples.median(9, 1, 3));
        assertEquals(2.5, Samples.median(4, 1, 2, 3));
        // 1 to 5: mean 3, standard error sqrt(2.5 / 5), t(4) = 2.776.
        assertEquals(2.776 * Math.sqrt(0.5), Samples.halfInterval(1, 2, 3, 4, 5), 1e-12);
        assertEquals(1235, Machine.round(1234.6));
        assertEquals(0.001234, Machine.round(0.00123449), 1e-12);
    }
}
