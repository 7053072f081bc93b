package dev.rheostat.op;

import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Map;

/**
 * The seam between the model and the machine: memory and ops over one kind of tensor. The model's forward and backward
 * pass are written once against it and never ask what device they run on.
 *
 * <p>Ops are enqueued in call order and take effect in that order. On the CPU a call returns when its work is done; a
 * device backend may return earlier, so nothing may read a tensor except through {@link #download}. Ops that need
 * scratch memory are made once for a fixed shape, before step 0; after that a step allocates nothing.
 *
 * @param <X> where tensors live
 */
public interface Backend<X extends Tensor> extends AutoCloseable {
    /** One line for the log: device, threads, precision, GEMM library and why it was chosen. */
    String describe();

    /** What programs have become since it was opened, for a run's log, a line each. */
    default List<String> notes() {
        return List.of();
    }

    /** What a library has chosen since it was opened, and bits depend on: the algorithm of each product. */
    default Map<String, String> algorithms() {
        return Map.of();
    }

    /**
     * Zeroed memory, freed when the backend closes.
     * @param purpose what the memory holds, for the memory plan ("weights", "activations", ...)
     * @throws OutOfMemoryException naming purpose, size and what was free; nothing is taken
     */
    X allocate(String purpose, DType type, long... shape);

    /** The type of what flows between ops: f32 on the CPU; bf16 on a device, whose ops compute in f32 inside. */
    DType activationType();

    /**
     * Zeroed f32 weights, as {@link #allocate}. A backend whose products read bf16 keeps a bf16 copy beside these masters, and
     * views of the weights carry it along: {@link #upload} and {@link AdamW#update} write both.
     */
    X allocateWeights(String purpose, long count);

    /** A view of {@code base}'s elements from {@code offset} on, in a new shape of the same type. */
    X view(X base, long offset, long... shape);

    /** Memory that both the host and the device see, for rings; plain off-heap memory on the CPU. 64-byte aligned, zeroed. */
    MemorySegment allocateShared(String purpose, long bytes);

    void upload(X destination, MemorySegment source);

    /** Waits until all earlier ops are done. */
    void download(MemorySegment destination, X source);

    void zero(X x);

    void copy(X destination, X source);

    /** {@code y += x}, element by element, f32. */
    void add(X y, X x);

    /** Bytes allocated so far, by purpose, in order of first use. */
    Map<String, Long> allocatedBytes();

    Gemm<X> gemm();

    Norm<X> norm();

    /** @param rows R of every call @param vocabulary rows of the table @param width C */
    Embedding<X> embedding(long rows, long vocabulary, long width);

    Activation<X> activation();

    QkRotary<X> qkRotary(AttentionShape shape, QkRotary.Settings settings);

    Attention<X> attention(AttentionShape shape);

    LossHead<X> lossHead(LossHead.Shape shape);

    AdamW<X> adamW(long parameterCount);

    StepIo<X> stepIo(StepIo.Rings rings);

    /**
     * Ops that are run again and again just as they are: they may call nothing but ops of this backend, and what differs from run to
     * run must come out of memory. On the CPU a run calls them; a device records them at the first run and then runs them
     * all by one call to the driver.
     * @param name for profiles and messages
     */
    Runnable program(String name, Runnable ops);

    /** Names what is called until {@link #popRange}, for profiles; ranges nest. */
    default void pushRange(String name) {}

    default void popRange() {}

    /** Begins and ends what an attached profiler captures, once all earlier ops are done. Nothing where there is no profiler. */
    default void capture(boolean on) {}

    /**
     * Asks the machine whether it still works, for who waits longer than he should.
     * @return whether ops are still running
     * @throws DeviceException in one sentence, when it has failed for good
     */
    boolean busy();

    /**
     * The machine does not answer any more: {@link #close} will not ask it for anything, since it would wait for ever. What this
     * backend has taken is given back when the process ends. Any thread may call it.
     */
    default void abandon() {}

    @Override
    void close();
}
