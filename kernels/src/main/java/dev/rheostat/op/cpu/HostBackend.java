package dev.rheostat.op.cpu;

import dev.rheostat.op.Backend;
import dev.rheostat.op.DType;
import dev.rheostat.op.Doors;
import dev.rheostat.op.HostTensor;
import dev.rheostat.op.StepIo;
import java.lang.foreign.MemorySegment;
import java.util.Map;

/** What backends over host memory share: the memory itself and moving bytes in it. */
abstract class HostBackend implements Backend<HostTensor> {
    protected final HostMemory memory;

    HostBackend(HostMemory memory) {
        this.memory = memory;
    }

    @Override
    public final HostTensor allocate(String purpose, DType type, long... shape) {
        return memory.allocate(purpose, type, shape);
    }

    @Override
    public final HostTensor view(HostTensor base, long offset, long... shape) {
        return base.view(offset, shape);
    }

    @Override
    public final MemorySegment allocateShared(String purpose, long bytes) {
        return memory.allocate(purpose, bytes);
    }

    @Override
    public void upload(HostTensor destination, MemorySegment source) {
        sameBytes("upload", destination.memory(), source);
        destination.memory().copyFrom(source);
    }

    @Override
    public void download(MemorySegment destination, HostTensor source) {
        sameBytes("download", destination, source.memory());
        destination.copyFrom(source.memory());
    }

    @Override
    public void zero(HostTensor x) {
        x.memory().fill((byte) 0);
    }

    @Override
    public void copy(HostTensor destination, HostTensor source) {
        Doors.HOST.copy(destination, source);
        destination.memory().copyFrom(source.memory());
    }

    @Override
    public final Map<String, Long> allocatedBytes() {
        return memory.bytesByPurpose();
    }

    @Override
    public final StepIo<HostTensor> stepIo(StepIo.Rings rings) {
        return new HostStepIo(rings, memory);
    }

    @Override
    public final DType activationType() {
        return DType.F32;
    }

    @Override
    public final HostTensor allocateWeights(String purpose, long count) {
        return allocate(purpose, DType.F32, count);
    }

    @Override
    public final Runnable program(String name, Runnable ops) {
        return ops;
    }

    /** Ops are done when their call returns. */
    @Override
    public final boolean busy() {
        return false;
    }

    @Override
    public void close() {
        memory.close();
    }

    private static void sameBytes(String what, MemorySegment to, MemorySegment from) {
        if (to.byteSize() != from.byteSize())
            throw new IllegalArgumentException(
                    what + " of " + from.byteSize() + " bytes into " + to.byteSize() + " bytes");
    }
}
