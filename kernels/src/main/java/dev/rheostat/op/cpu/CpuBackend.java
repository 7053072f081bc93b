package dev.rheostat.op.cpu;

import dev.rheostat.op.Activation;
import dev.rheostat.op.AdamW;
import dev.rheostat.op.Attention;
import dev.rheostat.op.AttentionShape;
import dev.rheostat.op.DType;
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
     * @param bf16 GEMM operands are rounded to bf16 where the processor has it
     * @param gemm library or kernel
     */
    public record Settings(int threads, boolean bf16, CpuGemms.Choice gemm) {}

    private final Settings settings;
    private final WorkerPool pool;
    private final Arena scratch = Arena.ofShared();
    private final BlockGemm block;

    private CpuBackend(Settings settings) {
        super(new HostMemory(DType.F32));
        this.settings = settings;
        block = CpuGemms.choose(settings.gemm(), settings.bf16(), settings.threads(), scratch);
        pool = new WorkerPool(settings.threads());
    }

    /** @throws UnsupportedOperationException in one sentence, when the machine has not what is asked for */
    public static CpuBackend open(Settings settings) {
        return new CpuBackend(settings);
    }

    @Override
    public String describe() {
        return "CPU, " + settings.threads() + " threads, vectors of " + Lanes.WIDTH * 32 + " bits; GEMM: "
                + block.describe();
    }

    @Override
    public void add(HostTensor y, HostTensor x) {
        Doors.add(y, x);
        for (long i = 0; i < y.size(); i++) y.setFloat(i, y.getFloat(i) + x.getFloat(i));
    }

    @Override
    public Gemm<HostTensor> gemm() {
        return new CpuGemm(block, pool);
    }

    @Override
    public Norm<HostTensor> norm() {
        return new PlainNorm();
    }

    @Override
    public Embedding<HostTensor> embedding() {
        return new PlainEmbedding();
    }

    @Override
    public Activation<HostTensor> activation() {
        return new PlainActivation();
    }

    @Override
    public QkRotary<HostTensor> qkRotary(AttentionShape shape) {
        return new PlainQkRotary(shape);
    }

    @Override
    public Attention<HostTensor> attention(AttentionShape shape) {
        return new PlainAttention(shape);
    }

    @Override
    public LossHead<HostTensor> lossHead(LossHead.Shape shape) {
        return new PlainLossHead(shape, memory);
    }

    @Override
    public AdamW<HostTensor> adamW(long parameterCount) {
        return new PlainAdamW(parameterCount, memory);
    }

    @Override
    public void close() {
        pool.close();
        scratch.close();
        super.close();
    }
}
