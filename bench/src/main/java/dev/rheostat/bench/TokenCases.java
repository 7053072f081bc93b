package dev.rheostat.bench;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.rheostat.model.ParameterLayout;
import dev.rheostat.op.AdamW;
import dev.rheostat.op.Embedding;
import dev.rheostat.op.HostTensor;
import dev.rheostat.op.LossHead;
import dev.rheostat.op.RecordLayout;
import dev.rheostat.op.SlotLayout;
import dev.rheostat.op.StepIo;
import dev.rheostat.op.cuda.DeviceTensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;

/** Where tokens come in, and where their gradients go: slots, the embedding, the optimizer. */
final class TokenCases {
    private static final int DOMAINS = 22;
    private static final float LEARNING_RATE = 1e-3f;
    private static final AdamW.Settings CLIPPED = new AdamW.Settings(0.9f, 0.95f, 1e-8f, 0.1f, 1);

    private TokenCases() {}

    static List<KernelCase> embedding(KernelCases in) {
        long R = in.shape.rows();
        int C = in.shape.width(), Vp = in.shape.model().paddedVocabulary();
        Pattern ids = Pattern.zipf(1, in.shape.model().vocabulary()), tables = in.normal(), gradients = in.normal();
        DeviceTensor tokens = in.ints(ids, R), table = in.gpu.view(in.weights(tables, (long) Vp * C), 0, Vp, C);
        DeviceTensor x = in.bf16(R, C), dx = in.bf16(gradients, R, C), dTable = in.f32(Vp, C);
        Embedding<DeviceTensor> embedding = in.gpu.embedding(R, Vp, C);
        return List.of(
                KernelCase.of(
                        OpCost.embeddingForward(R, C),
                        KernelCases.sizes(x),
                        () -> embedding.forward(x, tokens, table, null),
                        "last row",
                        () -> in.error(x, (R - 1) * C, in.host(tables, (long) ids.intAt(R - 1) * C, C))),
                new KernelCase(
                        OpCost.embeddingBackward(R, C, Vp),
                        KernelCases.sizes(x),
                        () -> in.gpu.zero(dTable),
                        () -> embedding.backward(dTable, null, dx, tokens),
                        "the commonest token's row and the last token's, in doubles",
                        () -> Math.max(
                                sumError(in, dTable, ids, gradients, 0),
                                sumError(in, dTable, ids, gradients, ids.intAt(R - 1)))));
    }

    private static double sumError(KernelCases in, DeviceTensor dTable, Pattern ids, Pattern gradients, int token) {
        int C = in.shape.width();
        double[] wanted = new double[C];
        for (long r = 0; r < in.shape.rows(); r++)
            if (ids.intAt(r) == token) for (int c = 0; c < C; c++) wanted[c] += gradients.at(r * C + c);
        return KernelCases.error(in.values(dTable, (long) token * C, C), wanted);
    }

    /** The first update, whose change of the last parameters is held against the definition, given the norm of all. */
    static List<KernelCase> adamW(KernelCases in) {
        int rest = 1024;
        long N = ParameterLayout.of(in.shape.model()).size(), last = N - rest;
        Pattern parameters = in.normal(), gradients = in.normal();
        DeviceTensor p = in.weights(parameters, N), g = in.f32(gradients, N), m = in.f32(N), v = in.f32(N);
        AdamW<DeviceTensor> adamW = in.gpu.adamW(N);
        AdamW.Control<DeviceTensor> control = adamW.allocateControl();
        LossHead.Sums<DeviceTensor> sums = new LossHead.Sums<>(in.longs(1), in.longs(1), in.longs(2));
        try (Arena arena = Arena.ofConfined()) {
            in.gpu.upload(control.learningRate_1(), arena.allocateFrom(JAVA_FLOAT, LEARNING_RATE));
        }
        return List.of(KernelCase.of(
                OpCost.adamW(N),
                KernelCases.sizes(p),
                () -> adamW.update(p, g, m, v, sums, control, CLIPPED),
                "the norm in doubles, the last " + rest + " changes by the definition",
                () -> {
                    double norm = Math.sqrt(gradients.squares(N)), is = in.values(control.gradNorm_1(), 0, 1)[0];
                    HostTensor hostP = in.host(parameters, last, rest), hostG = in.host(gradients, last, rest);
                    for (int i = 0; i < rest; i++) hostG.setFloat(i, (float) (hostG.getFloat(i) / norm));
                    plainUpdate(in, hostP, hostG);
                    double[] changed = in.values(p, last, rest), wanted = KernelCases.values(hostP);
                    for (int i = 0; i < rest; i++) {
                        changed[i] -= parameters.at(last + i);
                        wanted[i] -= parameters.at(last + i);
                    }
                    return Math.max(Math.abs(is / norm - 1), KernelCases.error(changed, wanted));
                }));
    }

    /** Of gradients that are clipped already. */
    private static void plainUpdate(KernelCases in, HostTensor p, HostTensor g) {
        AdamW<HostTensor> plain = in.cpu.adamW(p.size());
        AdamW.Control<HostTensor> control = plain.allocateControl();
        control.learningRate_1().setFloat(0, LEARNING_RATE);
        plain.update(
                p,
                g,
                in.host(p.size()),
                in.host(p.size()),
                new LossHead.Sums<>(in.hostLongs(1), in.hostLongs(1), in.hostLongs(2)),
                control,
                new AdamW.Settings(CLIPPED.beta1(), CLIPPED.beta2(), CLIPPED.epsilon(), CLIPPED.weightDecay(), 0));
    }

    static List<KernelCase> stepIo(KernelCases in) {
        SlotLayout slot = in.shape.slot();
        StepIo.Rings rings = StepIo.Rings.allocate(in.gpu, "rings", slot, new RecordLayout(DOMAINS), 1);
        long tokens = (long) slot.sequences() * (slot.tokens() + 1);
        Pattern ids = Pattern.uniform(2, in.shape.model().vocabulary());
        MemorySegment bytes = rings.slot(0);
        bytes.set(JAVA_FLOAT, SlotLayout.LEARNING_RATE_OFFSET, LEARNING_RATE);
        for (long i = 0; i < tokens; i++) bytes.set(JAVA_INT, SlotLayout.TOKENS_OFFSET + 4 * i, ids.intAt(i));
        StepIo<DeviceTensor> io = in.gpu.stepIo(rings);
        StepIo.MicroBatch<DeviceTensor> batch = io.allocateMicroBatch();
        AdamW.Control<DeviceTensor> control = in.gpu.adamW(16).allocateControl();
        LossHead.Sums<DeviceTensor> sums = new LossHead.Sums<>(in.longs(DOMAINS), in.longs(DOMAINS), in.longs(2));
        String sizes = "B " + slot.sequences() + " T " + slot.tokens();
        return List.of(
                KernelCase.of(
                        OpCost.stepBegin(slot),
                        sizes,
                        () -> io.begin(control),
                        "the learning rate",
                        () -> KernelCases.error(
                                in.values(control.learningRate_1(), 0, 1), new double[] {LEARNING_RATE})),
                KernelCase.of(
                        OpCost.stepLoad(slot),
                        sizes,
                        () -> io.load(batch, 0),
                        "the last target",
                        () -> KernelCases.error(
                                in.values(batch.targets_R(), slot.rows() - 1, 1), new double[] {ids.at(tokens - 1)})),
                KernelCase.of(
                        OpCost.stepPublish(DOMAINS),
                        "K " + DOMAINS,
                        () -> io.publish(sums, control),
                        "the sequence",
                        () -> {
                            in.gpu.stream().synchronize();
                            long sequence = rings.record(0).get(JAVA_LONG, RecordLayout.SEQUENCE_OFFSET);
                            return KernelCases.error(new double[] {sequence}, new double[] {1});
                        }));
    }
}
