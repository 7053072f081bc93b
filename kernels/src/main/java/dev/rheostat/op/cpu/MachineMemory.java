package dev.rheostat.op.cpu;

import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;

/** How much memory the machine, or the container this process runs in, could still give. */
final class MachineMemory {
    private static final Path MEMINFO = Path.of("/proc/meminfo");

    private MachineMemory() {}

    /**
     * On Linux the kernel's estimate, which counts page cache as free since it is given up on demand; elsewhere, and in
     * a container with a limit below the machine's memory, what the JVM reports.
     */
    static long freeBytes() {
        OperatingSystemMXBean system = ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class);
        long available = kernelEstimate("MemAvailable:"), total = kernelEstimate("MemTotal:");
        if (available < 0) return system.getFreeMemorySize();
        return system.getTotalMemorySize() < total ? Math.min(available, system.getFreeMemorySize()) : available;
    }

    /** A line of /proc/meminfo in bytes, -1 where there is none. */
    private static long kernelEstimate(String key) {
        if (!Files.isReadable(MEMINFO)) return -1;
        try {
            for (String line : Files.readAllLines(MEMINFO))
                if (line.startsWith(key))
                    return Long.parseLong(line.substring(key.length()).replaceAll("[^0-9]", "")) * 1024;
            return -1;
        } catch (IOException e) {
            return -1; // an estimate that cannot be had is no reason to stop: the caller asks the JVM
        }
    }
}
