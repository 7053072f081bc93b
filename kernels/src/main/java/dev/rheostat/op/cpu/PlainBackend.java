package dev.rheostat.op.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

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
import java.lang.foreign.MemorySegment;

/** Every op by its definition, on one thread: the oracle of a whole model. Too slow for anything else. */
public final class PlainBackend extends HostBackend {
    private final DType real;

    private PlainBackend(DType real) {
        super(new HostMemory(real));
        this.real = real;
    }

    /** Tensors in f32, as every other backend has them. */
    public static PlainBackend open() {
        return new PlainBackend(DType.F32);
    }

    /**
     * Every tensor that is asked for in f32 holds doubles, so that a whole model can be held against central
     * differences. Upload widens floats and download rounds to them; {@link HostTensor#getDouble} sees every digit.
     */
    public static PlainBackend openInDoubles() {
        return new PlainBackend(DType.F64);
    }

    @Override
    public String describe() {
        return "plain loops on one thread, " + (real == DType.F64 ? "fp64" : "fp32");
    }

    @Override
    public void upload(HostTensor destination, MemorySegment source) {
        if (destination.type() != DType.F64) {
            super.upload(destination, source);
            return;
        }
        for (long i = 0; i < destination.size(); i++) destination.setDouble(i, source.getAtIndex(JAVA_FLOAT, i));
    }

    @Override
    public void download(MemorySegment destination, HostTensor source) {
        if (source.type() != DType.F64) {
            super.download(destination, source);
            return;
        }
        for (long i = 0; i < source.size(); i++) destination.setAtIndex(JAVA_FLOAT, i, (float) source.getDouble(i));
    }

    @Override
    public void add(HostTensor y, HostTensor x) {
        Doors.HOST.add(y, x);
        for (long i = 0; i < y.size(); i++) y.setDouble(i, y.getDouble(i) + x.getDouble(i));
    }

    @Override
    public Gemm<HostTensor> gemm() {
        return new PlainGemm();
    }

    @Override
    public Norm<HostTensor> norm() {
        return new PlainNorm();
    }

    @Override
    public Embedding<HostTensor> embedding(long rows, long vocabulary, long width) {
        return new PlainEmbedding();
    }

    @Override
    public Activation<HostTensor> activation() {
        return new PlainActivation();
    }

    @Override
    public QkRotary<HostTensor> qkRotary(AttentionShape shape, QkRotary.Settings settings) {
        return new PlainQkRotary(shape, settings);
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
}
