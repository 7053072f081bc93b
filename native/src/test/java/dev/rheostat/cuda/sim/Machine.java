package dev.rheostat.cuda.sim;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;

/** A new simulated machine with a context, called in C's terms; for the simulator's own tests. */
final class Machine implements AutoCloseable {
    static final int LEGACY = 0;
    final Arena arena = Arena.ofConfined();
    private long module;

    Machine() {
        assumeTrue(CudaSimulator.available(), CudaSimulator::reason);
        CudaSimulator.reset();
        ok("cuInit", 0);
        ok("cuCtxSetCurrent", get("cuDevicePrimaryCtxRetain", 0));
    }

    int call(String function, Object... arguments) {
        return CudaSimulator.cuda(function, arguments);
    }

    void ok(String function, Object... arguments) {
        assertEquals(0, call(function, arguments), () -> function + ": " + CudaSimulator.lastError());
    }

    /** The 8 bytes that a function puts behind its first argument. */
    long get(String function, Object... rest) {
        MemorySegment out = arena.allocate(JAVA_LONG);
        Object[] arguments = new Object[rest.length + 1];
        arguments[0] = out;
        System.arraycopy(rest, 0, arguments, 1, rest.length);
        ok(function, arguments);
        return out.get(JAVA_LONG, 0);
    }

    int getInt(String function, Object... rest) {
        return (int) get(function, rest);
    }

    MemorySegment text(String s) {
        return arena.allocateFrom(s);
    }

    long alloc(long bytes) {
        return get("cuMemAlloc_v2", bytes);
    }

    long floats(float... values) {
        long address = alloc(values.length * 4L);
        ok("cuMemcpyHtoD_v2", address, arena.allocateFrom(ValueLayout.JAVA_FLOAT, values), values.length * 4L);
        return address;
    }

    long shorts(short... values) {
        long address = alloc(values.length * 2L);
        ok("cuMemcpyHtoD_v2", address, arena.allocateFrom(ValueLayout.JAVA_SHORT, values), values.length * 2L);
        return address;
    }

    float[] floats(long address, int count) {
        return read(address, count * 4L).toArray(ValueLayout.JAVA_FLOAT);
    }

    MemorySegment read(long address, long bytes) {
        MemorySegment host = arena.allocate(bytes, 8);
        ok("cuMemcpyDtoH_v2", host, address, bytes);
        return host;
    }

    /** Pinned and mapped; the host's view of it. */
    @SuppressWarnings("restricted")
    MemorySegment pinned(long bytes) {
        return MemorySegment.ofAddress(get("cuMemHostAlloc", bytes, 3)).reinterpret(bytes);
    }

    /** The kernels of a file of native/cuda-sim/test from now on: NAME for NAME.cu, or NAME.ptx. */
    Machine load(String file) {
        module = loadImage(
                file.endsWith(".ptx")
                        ? CudaSimulator.testFile(file)
                        : CudaSimulator.kernels(CudaSimulator.testKernel(file)));
        return this;
    }

    long loadImage(Path image) {
        try {
            byte[] bytes = Files.readAllBytes(image);
            MemorySegment segment = arena.allocate(bytes.length + 1L, 16); // text ends with a 0
            MemorySegment.copy(bytes, 0, segment, JAVA_BYTE, 0, bytes.length);
            return get("cuModuleLoadData", segment);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    long kernel(String name) {
        return get("cuModuleGetFunction", module, text(name));
    }

    /** Loads a kernel, so that a capture may launch it. */
    void ready(String kernel) {
        getInt("cuFuncGetAttribute", 0, kernel(kernel));
    }

    /** @param parameters Integer, Long (addresses too), Float, Double and Byte, as the kernel declares them */
    int launch(String kernel, int blocks, int threads, int sharedBytes, long stream, Object... parameters) {
        return launch(kernel, new int[] {blocks, 1, 1, threads, 1, 1}, sharedBytes, stream, parameters);
    }

    int launch(String kernel, int[] shape, int sharedBytes, long stream, Object... parameters) {
        MemorySegment pointers = arena.allocate(ADDRESS, Math.max(1, parameters.length));
        for (int i = 0; i < parameters.length; i++) {
            MemorySegment value = switch (parameters[i]) {
                case Integer n -> arena.allocateFrom(JAVA_INT, n);
                case Long n -> arena.allocateFrom(JAVA_LONG, n);
                case Float x -> arena.allocateFrom(ValueLayout.JAVA_FLOAT, x);
                case Double x -> arena.allocateFrom(ValueLayout.JAVA_DOUBLE, x);
                case Byte n -> arena.allocateFrom(JAVA_BYTE, n);
                default -> throw new IllegalArgumentException(parameters[i].toString());
            };
            pointers.setAtIndex(ADDRESS, i, value);
        }
        return call(
                "cuLaunchKernel",
                kernel(kernel),
                shape[0],
                shape[1],
                shape[2],
                shape[3],
                shape[4],
                shape[5],
                sharedBytes,
                stream,
                pointers,
                MemorySegment.NULL);
    }

    long stream() {
        return get("cuStreamCreate", 1);
    }

    int synchronize() {
        return call("cuCtxSynchronize");
    }

    @Override
    public void close() {
        CudaSimulator.reset();
        arena.close();
    }
}
