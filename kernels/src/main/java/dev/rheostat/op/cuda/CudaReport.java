package dev.rheostat.op.cuda;

import dev.rheostat.cuda.Cuda;
import dev.rheostat.cuda.CudaApi;
import dev.rheostat.cuda.CudaDevice;
import dev.rheostat.cuda.CudaException;
import dev.rheostat.cuda.CudaLibraries;
import dev.rheostat.cuda.jcuda.JCudaApi;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** What of CUDA this machine and this build have, for people who ask why a GPU is or is not used. */
public final class CudaReport {
    /** @param detail one line; what follows from it in further lines, each complete */
    public record Line(String subject, String detail) {}

    private static final Path KERNEL_MODULE_VERSION = Path.of("/sys/module/nvidia/version");

    private CudaReport() {}

    /** Driver, devices, libraries, bindings, kernel images. Never throws. */
    public static List<Line> lines() {
        List<Line> lines = new ArrayList<>();
        devices(lines);
        for (CudaLibraries.Library library : CudaLibraries.status()) {
            if (library.isDriver() && !library.available()) continue; // the line of the driver says why
            lines.add(new Line(library.name(), (library.available() ? "" : "none: ") + library.detail()));
            if (library.available())
                for (String refusal : library.refusals()) lines.add(new Line("", "passed over " + refusal));
        }
        lines.add(new Line(
                "JCuda", JCudaApi.unavailable().map(reason -> "none: " + reason).orElse("usable")));
        lines.add(new Line("", "through FFM in any case: " + String.join(", ", JCudaApi.MISSING)));
        lines.add(new Line("kernel images", images()));
        return lines;
    }

    private static void devices(List<Line> lines) {
        CudaApi api;
        try {
            api = Cuda.ffm();
            lines.add(new Line("driver", release() + "serves CUDA " + CudaDevice.version(api.driverVersion())));
            int count = api.deviceCount();
            if (count == 0) lines.add(new Line("devices", "none"));
            for (int ordinal = 0; ordinal < count; ordinal++)
                lines.add(new Line("device cuda:" + ordinal, device(api, ordinal)));
        } catch (CudaException e) {
            lines.add(new Line("driver", "none: " + e.getMessage()));
        }
    }

    /** Of NVIDIA's kernel module, "580.95.05, "; "" where the system does not tell. */
    private static String release() {
        try {
            return Files.readString(KERNEL_MODULE_VERSION).strip() + ", ";
        } catch (IOException e) {
            return "";
        }
    }

    private static String device(CudaApi api, int ordinal) {
        try {
            CudaDevice device = HeldDevices.of(api, ordinal);
            return String.format(
                    Locale.ROOT,
                    "%s, compute capability %d.%d, %d multiprocessors, %,d of %,d MiB free, %d MiB L2, %d KiB of shared"
                            + " memory a block",
                    device.name(),
                    device.computeCapability() / 10,
                    device.computeCapability() % 10,
                    device.multiprocessors(),
                    device.freeBytes() >> 20,
                    device.totalBytes() >> 20,
                    device.l2Bytes() >> 20,
                    device.sharedBytesPerBlock() >> 10);
        } catch (CudaException e) {
            return "cannot be opened: " + e.getMessage();
        }
    }

    private static String images() {
        try {
            return KernelImages.load().origin();
        } catch (IOException e) {
            return "none: " + e.getMessage();
        }
    }
}
