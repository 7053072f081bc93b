package dev.rheostat.op.cpu;

import dev.rheostat.ffi.OneDnn;
import dev.rheostat.ffi.load.NativeLibrary;
import dev.rheostat.op.Activation;
import dev.rheostat.op.AdamW;
import dev.rheostat.op.Attention;
import dev.rheostat.op.AttentionShape;
import dev.rheostat.op.DType;
import dev.rheostat.op.Doors;
import dev.rheostat.op.Embedding;
import dev.rheostat.op.Gemm;
import dev.rheostat.op.HostTensor;
import dev.rheostat.op.LossHead;
import dev.rheostat.op.Norm;
import dev.rheostat.op.QkRotary;
import java.lang.foreign.Arena;

/** The fast CPU: Vector API ops over a pool of workers, and a GEMM. */
public final class CpuBackend extends HostBackend {
    /**
     * @param threads workers, the calling thread among them
     * @param bf16 operands of linear layers and of the head are rounded to bf16; attention's own products stay f32
     * @param gemm library or kernel
     */
    public record Settings(int threads, boolean bf16, CpuGemms.Choice gemm) {}

    private final Settings settings;
    private final WorkerPool pool;
    private final Arena scratch = Arena.ofShared();
    private final BlockGemm block;
    private final Bf16Tiles bf16;
    private final CpuElements elements;

    private CpuBackend(Settings settings, HostMemory memory) {
        super(memory);
        this.settings = settings;
        block = CpuGemms.choose(settings.gemm(), settings.bf16(), settings.threads(), scratch);
        bf16 = settings.bf16() ? new Bf16Tiles(scratch, settings.threads()) : null;
        pool = new WorkerPool(settings.threads());
        elements = new CpuElements(pool);
    }

    /** @throws UnsupportedOperationException in one sentence, when the machine has not what is asked for */
    public static CpuBackend open(Settings settings) {
        return new CpuBackend(settings, new HostMemory(DType.F32));
    }

    /**
     * A backend that makes the same tensors and ops without taking their memory, for memory plans: {@link #allocatedBytes}
     * says what {@link #open} would take, and running an op throws IllegalStateException.
     */
    public static CpuBackend plan(Settings settings) {
        return new CpuBackend(settings, HostMemory.planned());
    }

    /** Memory that {@link #open} could still take. */
    public static long freeBytes() {
        return MachineMemory.freeBytes();
    }

    /** The processor and what of it we use, one line. */
    public static String machine() {
        NativeLibrary.Status oneDnn = OneDnn.status();
        return Runtime.getRuntime().availableProcessors() + " cores, vectors of " + Lanes.WIDTH * 32 + " bits, "
                + (CpuGemms.processorHasBf16() ? "bf16 products" : "no bf16 products") + ", "
                + (MachineMemory.freeBytes() >> 20) + " MiB free; " + (oneDnn.available() ? "oneDNN " : "")
                + oneDnn.detail();
    }

    @Override
    public String describe() {
        return "CPU, " + settings.threads() + " threads, vectors of " + Lanes.WIDTH * 32 + " bits; GEMM: "
                + block.describe() + (settings.bf16() ? ", operands rounded to bf16, sums in f32" : ", f32");
    }

    @Override
    public void zero(HostTensor x) {
        elements.zero(x);
    }

    @Override
    public void copy(HostTensor destination, HostTensor source) {
        Doors.HOST.copy(destination, source);
        elements.copy(destination, source);
    }

    @Override
    public void add(HostTensor y, HostTensor x) {
        Doors.HOST.add(y, x);
        elements.add(y, x);
    }

    @Override
    public Gemm<HostTensor> gemm() {
        return new CpuGemm(block, bf16, pool);
    }

    @Override
    public Norm<HostTensor> norm() {
        return new CpuNorm(pool);
    }

    @Override
    public Embedding<HostTensor> embedding(long rows, long vocabulary, long width) {
        return new CpuEmbedding(pool);
    }

    @Override
    public Activation<HostTensor> activation() {
        return new CpuActivation(pool);
    }

    @Override
    public QkRotary<HostTensor> qkRotary(AttentionShape shape, QkRotary.Settings settings) {
        return new CpuQkRotary(shape, settings, pool, memory);
    }

    @Override
    public Attention<HostTensor> attention(AttentionShape shape) {
        return new CpuAttention(shape, pool, block, memory);
    }

    @Override
    public LossHead<HostTensor> lossHead(LossHead.Shape shape) {
        return new CpuLossHead(shape, pool, gemm(), memory);
    }

    @Override
    public AdamW<HostTensor> adamW(long parameterCount) {
        return new CpuAdamW(parameterCount, pool, memory);
    }

    @Override
    public void close() {
        pool.close();
        scratch.close();
        super.close();
    }
}
