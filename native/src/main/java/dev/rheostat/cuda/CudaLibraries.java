package dev.rheostat.cuda;

import dev.rheostat.ffi.CudaLibrary;
import dev.rheostat.ffi.load.NativeLibrary;
import java.util.List;
import java.util.stream.Stream;

/** What of CUDA this machine has, for {@code rheostat doctor}. */
public final class CudaLibraries {
    /**
     * One library.
     * @param detail the path where it was found, or a sentence with every reason why it was not
     * @param refusals places that were passed over before it was found, or all of them, each with its reason
     */
    public record Library(String name, boolean available, String detail, List<String> refusals) {
        public boolean isDriver() {
            return name.equals(CudaLibrary.DRIVER.label());
        }
    }

    private CudaLibraries() {}

    /** Looks for all libraries. Never throws. */
    public static List<Library> status() {
        return Stream.of(CudaLibrary.values())
                .map(library -> {
                    NativeLibrary.Status status = library.status();
                    return new Library(library.label(), status.available(), status.detail(), status.refusals());
                })
                .toList();
    }
}
