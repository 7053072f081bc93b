package dev.rheostat.op.cuda.build;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.rheostat.ffi.load.NativeLibrary;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/** NVIDIA's compiler as a library (nvrtc.h), which needs neither a GPU nor a toolkit. */
final class Nvrtc {
    private static final String FILE = "libnvrtc.so.13", BUILTINS = "libnvrtc-builtins.so.13*";

    /**
     * @param image a cubin, or text of PTX with its final zero; null if the source was refused
     * @param log of the compiler; with "-Xptxas -v" the resources of each kernel too
     */
    record Compiled(byte[] image, String log) {}

    private final NativeLibrary library;

    /**
     * @param folder of the library and its builtins, which it opens by plain name, so they are opened first
     * @throws IOException if they are not there or cannot be opened
     */
    Nvrtc(Path folder) throws IOException {
        if (!Files.isDirectory(folder)) throw new IOException(folder + ": no such folder");
        try (DirectoryStream<Path> builtins = Files.newDirectoryStream(folder, BUILTINS)) {
            for (Path file : builtins) opened(NativeLibrary.openForOthers(BUILTINS, List.of(file.toString())));
        }
        library = opened(NativeLibrary.open(FILE, List.of(folder.resolve(FILE).toString())));
    }

    private static NativeLibrary opened(NativeLibrary library) throws IOException {
        if (!library.status().available())
            throw new IOException(library.status().detail());
        return library;
    }

    /**
     * @param headers what the source includes, by the name that it uses
     * @param ptx whether PTX is wanted, in place of machine code
     * @throws IllegalStateException naming nvrtc's status, if anything but the source is wrong
     */
    Compiled compile(String name, String source, Map<String, String> headers, List<String> options, boolean ptx) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment program = arena.allocate(JAVA_LONG);
            List<String> names = List.copyOf(headers.keySet());
            check(
                    "nvrtcCreateProgram",
                    call(
                            "nvrtcCreateProgram",
                            program,
                            arena.allocateFrom(source),
                            arena.allocateFrom(name),
                            names.size(),
                            texts(arena, names.stream().map(headers::get).toList()),
                            texts(arena, names)));
            long handle = program.get(JAVA_LONG, 0);
            try {
                int status = call("nvrtcCompileProgram", handle, options.size(), texts(arena, options));
                String log =
                        new String(get(arena, handle, "nvrtcGetProgramLog"), StandardCharsets.UTF_8).replace("\0", "");
                byte[] image = status == 0 ? get(arena, handle, ptx ? "nvrtcGetPTX" : "nvrtcGetCUBIN") : null;
                return new Compiled(image, log);
            } finally {
                call("nvrtcDestroyProgram", program);
            }
        }
    }

    /** nvrtcGetXxxSize(nvrtcProgram prog, size_t* sizeRet), then nvrtcGetXxx(nvrtcProgram prog, char* xxx). */
    private byte[] get(Arena arena, long program, String function) {
        MemorySegment size = arena.allocate(JAVA_LONG);
        check(function + "Size", call(function + "Size", program, size));
        MemorySegment bytes = arena.allocate(size.get(JAVA_LONG, 0));
        check(function, call(function, program, bytes));
        return bytes.toArray(ValueLayout.JAVA_BYTE);
    }

    private static MemorySegment texts(Arena arena, List<String> texts) {
        MemorySegment array = arena.allocate(ADDRESS, texts.size());
        for (int i = 0; i < texts.size(); i++) array.setAtIndex(ADDRESS, i, arena.allocateFrom(texts.get(i)));
        return array;
    }

    private static void check(String function, int status) {
        if (status != 0) throw new IllegalStateException(function + " returned " + status);
    }

    /** A few calls a build, so that each may link anew and box its arguments. */
    private int call(String function, Object... arguments) {
        MemoryLayout[] layouts = new MemoryLayout[arguments.length];
        for (int i = 0; i < layouts.length; i++)
            layouts[i] =
                    arguments[i] instanceof Integer ? JAVA_INT : arguments[i] instanceof Long ? JAVA_LONG : ADDRESS;
        try {
            return (int) library.downcall(function, FunctionDescriptor.of(JAVA_INT, layouts))
                    .invokeWithArguments(arguments);
        } catch (Throwable t) {
            throw NativeLibrary.unexpected(function, t);
        }
    }
}
