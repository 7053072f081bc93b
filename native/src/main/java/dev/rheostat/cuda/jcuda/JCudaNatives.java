package dev.rheostat.cuda.jcuda;

import dev.rheostat.ffi.load.BundledLibraries;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import jcuda.JCudaVersion;
import jcuda.LibUtils;

/**
 * Opens JCuda's native libraries without what JCuda does by itself: it unpacks them under a fixed name into
 * {@code java.io.tmpdir}, and loads a file of that name that somebody else has put there. Here each lies in the user's own
 * cache folder, compared with the jar's checksum, and the property names that folder while JCuda's class is initialised.
 */
final class JCudaNatives {
    private static final Map<String, Optional<String>> REFUSALS = new ConcurrentHashMap<>();

    private JCudaNatives() {}

    /**
     * Initialises a class of JCuda once.
     * @param library its native library, as "JCudaDriver"
     * @param className the class whose static initialiser opens it
     * @return why it cannot be used, the same each time; empty if it can
     */
    static Optional<String> refusal(String library, String className) {
        return REFUSALS.computeIfAbsent(library, key -> initialise(key, className));
    }

    private static synchronized Optional<String> initialise(String library, String className) {
        String temporary = System.getProperty("java.io.tmpdir");
        try {
            String file = LibUtils.createLibraryFileName(
                    LibUtils.createPlatformLibraryName(library + "-" + JCudaVersion.get()));
            Path unpacked = BundledLibraries.unpack("lib/" + file);
            System.setProperty("java.io.tmpdir", unpacked.getParent().toString());
            Class.forName(className);
            return Optional.empty();
        } catch (IOException | ClassNotFoundException e) {
            return Optional.of("JCuda cannot be used: " + e.getMessage());
        } catch (LinkageError | UnsupportedOperationException e) {
            return Optional.of("JCuda cannot be used: " + reason(e));
        } finally {
            System.setProperty("java.io.tmpdir", temporary);
        }
    }

    /** Of the nested stack traces that JCuda makes a message of, the line in which the linker says what it misses. */
    static String reason(Throwable t) {
        String message = String.valueOf(t.getMessage());
        return message.lines()
                .map(String::strip)
                .filter(line -> line.contains(".so") && line.matches(".*(cannot open|undefined symbol|wrong ELF).*"))
                .map(line -> line.replaceFirst("^.*Error: ", ""))
                .findFirst()
                .orElseGet(() -> message.lines().findFirst().orElse(t.toString()));
    }
}
