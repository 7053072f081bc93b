package dev.rheostat.bench;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;

/** What a figure was measured on, and how much of the machine others took meanwhile. */
final class Machine {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final double TICKS_A_SECOND = 100; // USER_HZ of every Linux

    private final long startNanos = System.nanoTime();
    private final double startBusySeconds = busySeconds();
    private final double startOwnSeconds = ownSeconds();

    /** Cores that other processes kept busy since this object was made; 0 where the system does not tell. */
    double foreignCores() {
        double wall = (System.nanoTime() - startNanos) * 1e-9;
        double others = busySeconds() - startBusySeconds - (ownSeconds() - startOwnSeconds);
        return Math.max(0, others / wall);
    }

    private static double ownSeconds() {
        return ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class).getProcessCpuTime() * 1e-9;
    }

    /** User, nice, system, interrupts and stolen time of all cores. */
    private static double busySeconds() {
        try {
            String[] cpu = Files.readAllLines(Path.of("/proc/stat")).getFirst().split("\\s+");
            double ticks = 0;
            for (int field : new int[] {1, 2, 3, 6, 7, 8}) ticks += Double.parseDouble(cpu[field]);
            return ticks / TICKS_A_SECOND;
        } catch (IOException e) {
            return 0;
        }
    }

    private static String processor() {
        try {
            return Files.readAllLines(Path.of("/proc/cpuinfo")).stream()
                    .filter(line -> line.startsWith("model name"))
                    .map(line -> line.substring(line.indexOf(':') + 1).strip())
                    .findFirst()
                    .orElse(System.getProperty("os.arch"));
        } catch (IOException e) {
            return System.getProperty("os.arch");
        }
    }

    /** Of the working directory's checkout; empty where there is none. */
    private static String commit() {
        try {
            Process git = new ProcessBuilder("git", "describe", "--always", "--dirty")
                    .redirectError(ProcessBuilder.Redirect.DISCARD)
                    .start();
            return new String(git.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
        } catch (IOException e) {
            return "";
        }
    }

    /** One line: what was measured, and on what. */
    String line(Map<String, Object> figures) {
        Map<String, Object> all = new LinkedHashMap<>(figures);
        all.put("processor", processor());
        all.put("cores", Runtime.getRuntime().availableProcessors());
        all.put("java", Runtime.version().toString());
        all.put("commit", commit());
        all.put("foreign_cores", round(foreignCores()));
        try {
            return JSON.writeValueAsString(all);
        } catch (JsonProcessingException e) {
            throw new AssertionError(e); // a map of plain values
        }
    }

    /** Four significant digits: no figure here is known better. */
    static double round(double value) {
        if (value == 0 || !Double.isFinite(value)) return value;
        double scale = Math.pow(10, 3 - Math.floor(Math.log10(Math.abs(value))));
        return Math.round(value * scale) / scale;
    }
}
