package dev.rheostat.op.cuda;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Properties;

/**
 * The compiled kernels that travel with this build: one fat binary, with machine code for sm_80, sm_90a and sm_100 and PTX from which
 * the driver compiles for other chips. {@code RHEOSTAT_KERNEL_IMAGE} names a file that is taken in its place.
 */
final class KernelImages {
    private static final String OVERRIDE = "RHEOSTAT_KERNEL_IMAGE",
            IMAGE = "kernels.fatbin",
            FACTS = "kernels.properties";

    /**
     * @param origin the resource or file, and who compiled it
     * @param cudaVersion of the compiler, 1000 major + 10 minor; 0 where it is not known
     */
    record Image(byte[] bytes, String origin, int cudaVersion) {}

    private KernelImages() {}

    /** @throws IOException in one sentence: there is none, and how to get one */
    static Image load() throws IOException {
        String override = System.getenv(OVERRIDE);
        if (override != null && !override.isBlank()) {
            Path file = Path.of(override);
            if (!Files.isReadable(file)) throw new IOException(OVERRIDE + "=" + override + ": no such file");
            return new Image(Files.readAllBytes(file), override, 0);
        }
        try (InputStream image = KernelImages.class.getResourceAsStream(IMAGE);
                InputStream facts = KernelImages.class.getResourceAsStream(FACTS)) {
            if (image == null || facts == null)
                throw new IOException(
                        "this build has no kernel images: build it where nvcc of CUDA 12.8 or newer is, or with"
                                + " Maven's -Pnvrtc");
            Properties properties = new Properties();
            properties.load(facts);
            return new Image(
                    image.readAllBytes(),
                    "built by " + properties.getProperty("compiler") + " for " + properties.getProperty("targets"),
                    Integer.parseInt(properties.getProperty("cudaVersion")));
        }
    }
}
