package dev.rheostat.ffi.load;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * One opened shared library, for the life of the process, or the reasons why none could be opened.
 *
 * <p>{@link #status} never throws; {@link #downcall} may be called only when it says available.
 */
@SuppressWarnings("restricted")
public final class NativeLibrary {
    private static final Linker LINKER = Linker.nativeLinker();

    /**
     * @param detail where the library was found, or every reason why it was not
     * @param refusals each candidate that was passed over, and why
     */
    public record Status(boolean available, String detail, List<String> refusals) {
        public Status {
            refusals = List.copyOf(refusals);
        }
    }

    private final String name;
    private final MemorySegment handle; // null if it could not be opened
    private final Status status;

    private NativeLibrary(String name, MemorySegment handle, Status status) {
        this.name = name;
        this.handle = handle;
        this.status = status;
    }

    /** The first of {@code candidates} (absolute paths, or names for the linker's path) that opens. */
    public static NativeLibrary open(String name, List<String> candidates) {
        return open(name, candidates, DynamicLoader.RTLD_NOW);
    }

    /** As {@link #open}; libraries that are opened later find its functions and, by its soname, the library itself. */
    public static NativeLibrary openForOthers(String name, List<String> candidates) {
        return open(name, candidates, DynamicLoader.RTLD_NOW | DynamicLoader.RTLD_GLOBAL);
    }

    private static NativeLibrary open(String name, List<String> candidates, int flags) {
        List<String> refusals = new ArrayList<>();
        for (String candidate : candidates) {
            if (candidate.startsWith("/") && !Files.isReadable(Path.of(candidate))) {
                refusals.add(candidate + ": no such file");
                continue;
            }
            try {
                MemorySegment handle = DynamicLoader.open(candidate, flags);
                return new NativeLibrary(name, handle, new Status(true, where(candidate, handle), refusals));
            } catch (LinkageError e) {
                // dlerror begins with the file in most cases, and then says it all
                String reason = String.valueOf(e.getMessage());
                refusals.add(reason.startsWith(candidate) ? reason : candidate + ": " + reason);
            }
        }
        return new NativeLibrary(name, null, refused(name, String.join("; ", refusals), refusals));
    }

    private static String where(String candidate, MemorySegment handle) {
        if (candidate.startsWith("/")) return candidate;
        String folder = DynamicLoader.folder(handle);
        return folder.isEmpty() ? candidate : folder + "/" + candidate;
    }

    public static NativeLibrary missing(String name, String reason) {
        return new NativeLibrary(name, null, refused(name, reason, List.of(reason)));
    }

    private static Status refused(String name, String reason, List<String> refusals) {
        return new Status(false, name + " cannot be used: " + reason, refusals);
    }

    public Status status() {
        return status;
    }

    /** Whether it was opened and has the function. */
    public boolean has(String function) {
        return handle != null && DynamicLoader.symbol(handle, function).address() != 0;
    }

    /**
     * @throws IllegalStateException saying why, if the library could not be opened
     * @throws AssertionError if it has no such function: our bug, or a library of another version
     */
    public MethodHandle downcall(String function, FunctionDescriptor descriptor) {
        if (handle == null) throw new IllegalStateException(status.detail());
        MemorySegment address = DynamicLoader.symbol(handle, function);
        if (address.address() == 0)
            throw new AssertionError(name + " (" + status.detail() + ") has no function " + function);
        return LINKER.downcallHandle(address, descriptor);
    }

    /** Sets a variable of this process's C environment, for libraries that read it when they are opened. */
    public static void setEnvironment(String variable, String value) {
        MemorySegment setenv = LINKER.defaultLookup().findOrThrow("setenv");
        MethodHandle handle = LINKER.downcallHandle(
                setenv,
                FunctionDescriptor.of(
                        ValueLayout.JAVA_INT, ValueLayout.ADDRESS, ValueLayout.ADDRESS, ValueLayout.JAVA_INT));
        try (Arena arena = Arena.ofConfined()) {
            int status = (int) handle.invokeExact(arena.allocateFrom(variable), arena.allocateFrom(value), 1);
            if (status != 0) throw new AssertionError("setenv " + variable + " failed");
        } catch (Throwable t) {
            throw unexpected("setenv", t);
        }
    }

    /** Ends the process without the exit handlers of its libraries, and without shutdown hooks. Never returns. */
    public static void exitAtOnce(int code) {
        MemorySegment exit = LINKER.defaultLookup().findOrThrow("_exit");
        try {
            LINKER.downcallHandle(exit, FunctionDescriptor.ofVoid(ValueLayout.JAVA_INT))
                    .invokeExact(code);
        } catch (Throwable t) {
            throw unexpected("_exit", t);
        }
    }

    /** For the catch of an {@code invokeExact}: a wrong descriptor is our bug, an error of the VM stays itself. */
    public static Error unexpected(String function, Throwable t) {
        if (t instanceof Error error) return error;
        return new AssertionError(function, t);
    }
}
