package dev.rheostat.ffi.load;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/**
 * Downcalls for dlfcn.h. The JDK's own {@code libraryLookup} swallows the text of dlerror, which names the sibling that is
 * missing or the symbol that is undefined.
 */
@SuppressWarnings("restricted")
final class DynamicLoader {
    /** Values of glibc's dlfcn.h. */
    static final int RTLD_NOW = 2, RTLD_GLOBAL = 0x100;

    private static final int RTLD_DI_ORIGIN = 6, PATH_MAX = 4096;

    private static final Linker LINKER = Linker.nativeLinker();
    private static final MethodHandle OPEN = link("dlopen", ADDRESS, ADDRESS, JAVA_INT);
    private static final MethodHandle SYMBOL = link("dlsym", ADDRESS, ADDRESS, ADDRESS);
    private static final MethodHandle INFORMATION = link("dlinfo", JAVA_INT, ADDRESS, JAVA_INT, ADDRESS);
    private static final MethodHandle ERROR = link("dlerror", ADDRESS);

    private DynamicLoader() {}

    private static MethodHandle link(String function, MemoryLayout result, MemoryLayout... arguments) {
        return LINKER.downcallHandle(
                LINKER.defaultLookup().findOrThrow(function), FunctionDescriptor.of(result, arguments));
    }

    /**
     * The library's handle, never closed: code that was called once may be called from threads we do not know of.
     * @throws LinkageError with dlerror's text
     */
    static MemorySegment open(String file, int flags) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment handle = (MemorySegment) OPEN.invokeExact(arena.allocateFrom(file), flags);
            if (handle.address() == 0) throw new UnsatisfiedLinkError(error());
            return handle;
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("dlopen", t);
        }
    }

    /** @return the symbol's address, 0 where the library has none */
    static MemorySegment symbol(MemorySegment library, String name) {
        try (Arena arena = Arena.ofConfined()) {
            return (MemorySegment) SYMBOL.invokeExact(library, arena.allocateFrom(name));
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("dlsym", t);
        }
    }

    /** The folder in which the linker has found the library, "" where it does not tell. */
    static String folder(MemorySegment library) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment folder = arena.allocate(PATH_MAX);
            int status = (int) INFORMATION.invokeExact(library, RTLD_DI_ORIGIN, folder);
            return status == 0 ? folder.getString(0) : "";
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("dlinfo", t);
        }
    }

    private static String error() throws Throwable {
        MemorySegment text = (MemorySegment) ERROR.invokeExact();
        return text.address() == 0 ? "dlopen gave no reason" : NativeMemory.text(text.address());
    }
}
