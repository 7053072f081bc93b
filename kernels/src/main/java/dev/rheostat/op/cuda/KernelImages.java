package dev.rheostat.op.cuda;

import dev.rheostat.cuda.CudaDevice;
import dev.rheostat.op.DeviceException;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;

/**
 * The compiled kernels that travel with this build, for sm_80, sm_90a and sm_100, and as PTX from which the driver compiles for
 * other chips: one fat binary from nvcc, or a file a target from NVRTC. {@code RHEOSTAT_KERNEL_IMAGE} names a file that is taken in
 * their place.
 */
final class KernelImages {
    private static final String OVERRIDE = "RHEOSTAT_KERNEL_IMAGE",
            FACTS = "kernels.properties",
            ALL = "kernels.fatbin";
    private static final String MACHINE_CODE = "sm_", PTX = "compute_";

    /**
     * @param code by target: "sm_90a" machine code, "compute_80" PTX. Targets of a fat binary share one array; with no target
     *     known, the key is the empty name
     * @param origin who compiled it for what, or the file
     * @param cudaVersion of the compiler, 1000 major + 10 minor; 0 where it is not known
     */
    record Image(Map<String, byte[]> code, String origin, int cudaVersion) {
        /**
         * What a device loads: machine code if there is some that it runs, else PTX.
         * @param capability 10 major + minor of the device
         * @param driverVersion of CUDA that its driver serves, 1000 major + 10 minor
         * @throws DeviceException if there is neither, or if the driver is older than the PTX, which it then cannot compile
         */
        byte[] bytes(int capability, int driverVersion) {
            byte[] unknown = code.get("");
            if (unknown != null) return unknown;
            String best = null;
            for (String target : code.keySet())
                if (runs(target, capability) && (best == null || number(target) > number(best))) best = target;
            if (best != null) return code.get(best);
            for (String target : code.keySet())
                if (target.startsWith(PTX) && number(target) <= capability) best = target;
            if (best == null)
                throw new DeviceException(
                        "the kernels were " + origin + ", and none of these runs on sm_" + capability);
            if (driverVersion < cudaVersion)
                throw new DeviceException("the kernels were " + origin + ": for sm_" + capability
                        + " the driver must compile PTX of CUDA " + CudaDevice.version(cudaVersion)
                        + " and serves only "
                        + CudaDevice.version(driverVersion)
                        + "; install a newer driver, or build with nvcc of the driver's version");
            return code.get(best);
        }

        /** CUDA programming guide, binary compatibility: minor versions from its own upwards; with an "a" only its own. */
        private static boolean runs(String target, int capability) {
            if (!target.startsWith(MACHINE_CODE)) return false;
            int number = number(target);
            if (target.endsWith("a")) return number == capability;
            return number / 10 == capability / 10 && number <= capability;
        }

        private static int number(String target) {
            return Integer.parseInt(target.replaceAll("\\D", ""));
        }
    }

    private KernelImages() {}

    /** @throws IOException in one sentence: there is none, and how to get one */
    static Image load() throws IOException {
        String override = System.getenv(OVERRIDE);
        if (override != null && !override.isBlank()) {
            Path file = Path.of(override);
            if (!Files.isReadable(file)) throw new IOException(OVERRIDE + "=" + override + ": no such file");
            return new Image(Map.of("", Files.readAllBytes(file)), override, 0);
        }
        byte[] facts = resource(FACTS);
        if (facts == null)
            throw new IOException(
                    "this build has no kernel images: build it where nvcc of CUDA 12.8 or newer is, or with"
                            + " Maven's -Pnvrtc (docs/gpu.md)");
        Properties properties = new Properties();
        properties.load(new ByteArrayInputStream(facts));
        List<String> targets = List.of(properties.getProperty("targets").split(" "));
        byte[] all = resource(ALL);
        Map<String, byte[]> code = new LinkedHashMap<>();
        for (String target : targets) {
            String file = "kernels-" + target + (target.startsWith(PTX) ? ".ptx" : ".cubin");
            byte[] image = all == null ? resource(file) : all;
            if (image == null) throw new IOException("this build lacks " + file + ", which its " + FACTS + " names");
            code.put(target, image);
        }
        return new Image(
                code,
                "built by " + properties.getProperty("compiler") + " for " + String.join(", ", targets),
                Integer.parseInt(properties.getProperty("cudaVersion")));
    }

    /** Null if there is none. */
    private static byte[] resource(String name) throws IOException {
        try (InputStream in = KernelImages.class.getResourceAsStream(name)) {
            return in == null ? null : in.readAllBytes();
        }
    }
}
