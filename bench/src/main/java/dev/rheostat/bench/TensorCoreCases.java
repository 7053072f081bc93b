package dev.rheostat.bench;

import dev.rheostat.op.Attention;
import dev.rheostat.op.AttentionShape;
import dev.rheostat.op.HostTensor;
import dev.rheostat.op.cuda.DeviceTensor;
import java.util.ArrayList;
import java.util.List;

/** Attention and the products of a model, on the tensor cores. */
final class TensorCoreCases {
    /** Elements of a product that are looked at: so many rows, the first and the last among them, and columns of each. */
    private static final int ROWS = 4, COLUMNS = 64;

    private TensorCoreCases() {}

    /** The last head of the last sequence is held against the definition, which takes T^2 D operations for it. */
    static List<KernelCase> attention(KernelCases in) {
        AttentionShape s = in.shape.attention();
        int T = s.tokens(), D = s.headWidth(), H = s.heads(), h = H - 1;
        if (s.kvHeads() != H) throw new IllegalArgumentException("shapes have as many key heads as query heads");
        long R = s.rows(), first = R - T;
        Pattern qks = in.normal(), qkvs = in.normal(), gradients = in.normal();
        DeviceTensor qk = in.bf16(qks, R, s.qkWidth()), qkv = in.bf16(qkvs, R, s.qkvWidth());
        DeviceTensor dO = in.bf16(gradients, R, (long) H * D), o = in.bf16(R, (long) H * D), lse = in.f32(R, H);
        DeviceTensor dQk = in.bf16(R, s.qkWidth()), dQkv = in.bf16(R, s.qkvWidth());
        AttentionShape one = new AttentionShape(1, T, 1, 1, D);
        Attention<DeviceTensor> attention = in.gpu.attention(s);
        Attention<HostTensor> plain = in.cpu.attention(one);
        HostTensor hostQk = in.host(T, one.qkWidth()), hostQkv = in.host(T, one.qkvWidth());
        for (int t = 0; t < T; t++)
            for (int d = 0; d < D; d++) {
                long ofQk = (first + t) * s.qkWidth() + (long) h * D + d, ofQkv = (first + t) * s.qkvWidth();
                hostQk.setFloat(2L * t * D + d, qks.at(ofQk));
                hostQk.setFloat((2L * t + 1) * D + d, qks.at(ofQk + (long) H * D));
                hostQkv.setFloat((3L * t + 2) * D + d, qkvs.at(ofQkv + (2L * H + h) * D + d));
            }
        HostTensor wantedO = in.host(T, D), wantedLse = in.host(T, 1);
        Runnable forward = () -> attention.forward(o, lse, qk, qkv, null);
        String sizes = "B " + s.batch() + " T " + T + " H " + H + " D " + D,
                checked = "last head of the last sequence, by the definition";
        return List.of(
                KernelCase.of(OpCost.attentionForward(s), sizes, forward, checked, () -> {
                    plain.forward(wantedO, wantedLse, hostQk, hostQkv, null);
                    return KernelCases.error(
                            columns(in, o, first, T, (long) H * D, (long) h * D, D), KernelCases.values(wantedO));
                }),
                new KernelCase(
                        OpCost.attentionBackward(s, in.gpu.device().multiprocessors()),
                        sizes,
                        forward,
                        () -> attention.backward(dQk, dQkv, dO, o, lse, qk, qkv, null),
                        checked + ": dq, dk and dv",
                        () -> { // wantedO and wantedLse are the case's before
                            HostTensor hostDO = in.host(T, D),
                                    wantedQk = in.host(T, 2 * D),
                                    wantedQkv = in.host(T, 3 * D);
                            for (int t = 0; t < T; t++)
                                for (int d = 0; d < D; d++)
                                    hostDO.setFloat((long) t * D + d, gradients.at(((first + t) * H + h) * D + d));
                            plain.backward(wantedQk, wantedQkv, hostDO, wantedO, wantedLse, hostQk, hostQkv, null);
                            double[] all = KernelCases.values(wantedQk), values = KernelCases.values(wantedQkv);
                            double dq = KernelCases.error(
                                    columns(in, dQk, first, T, s.qkWidth(), (long) h * D, D), part(all, 2 * D, 0, D));
                            double dk = KernelCases.error(
                                    columns(in, dQk, first, T, s.qkWidth(), (long) (H + h) * D, D),
                                    part(all, 2 * D, D, D));
                            double dv = KernelCases.error(
                                    columns(in, dQkv, first, T, s.qkvWidth(), (long) (2 * H + h) * D, D),
                                    part(values, 3 * D, 2 * D, D));
                            return Math.max(dq, Math.max(dk, dv));
                        }));
    }

    /** Some columns of some rows of a device tensor. */
    private static double[] columns(
            KernelCases in, DeviceTensor x, long firstRow, int rows, long width, long column, int columns) {
        return part(in.values(x, firstRow * width, (int) (rows * width)), (int) width, (int) column, columns);
    }

    private static double[] part(double[] values, int width, int column, int columns) {
        double[] part = new double[values.length / width * columns];
        for (int i = 0; i < part.length; i++) part[i] = values[i / columns * width + column + i % columns];
        return part;
    }

    /** What ends a branch adds the residual stream in a step. Timed without it, too: the difference is what that costs. */
    private static final List<String> BRANCH_ENDS = List.of("attention out NT", "mlp down NT");

    /** Those of one layer and of the head; of the head over as many rows as have logits at a time. */
    static List<KernelCase> products(KernelCases in) {
        List<KernelCase> cases = new ArrayList<>();
        int rows = Math.toIntExact(in.shape.rows()), chunk = (int) StepBudget.chunkRows(in.shape.model(), rows);
        for (GemmBench.Product product : GemmBench.products(in.shape.model(), rows))
            if (!product.name().startsWith("head")) {
                cases.add(product(in, product, false));
                if (BRANCH_ENDS.contains(product.name())) cases.add(product(in, product, true));
            }
        for (GemmBench.Product product : GemmBench.products(in.shape.model(), chunk))
            if (product.name().startsWith("head")) cases.add(product(in, product, false));
        return cases;
    }

    /** Operands bf16. The gradient of a weight, TN, is added up in f32, as by all micro-batches but the first; the rest is written in bf16. */
    private static KernelCase product(KernelCases in, GemmBench.Product p, boolean withResidual) {
        Pattern as = in.normal(), bs = in.normal(), residuals = in.normal();
        DeviceTensor a = p.transA() ? in.bf16(as, p.K(), p.M()) : in.bf16(as, p.M(), p.K());
        DeviceTensor b = p.transB() ? in.bf16(bs, p.N(), p.K()) : in.bf16(bs, p.K(), p.N());
        DeviceTensor c = p.transA() ? in.f32(p.M(), p.N()) : in.bf16(p.M(), p.N());
        DeviceTensor residual = withResidual ? in.bf16(residuals, p.M(), p.N()) : null;
        Runnable run = p.transA()
                ? () -> in.gpu.gemm().tn(c, a, b, true)
                : p.transB()
                        ? () -> in.gpu.gemm().linear(c, a, b, null, residual)
                        : () -> in.gpu.gemm().nn(c, a, b, false);
        return new KernelCase(
                OpCost.product(
                        p.name() + (withResidual ? " + residual" : ""),
                        p.M(),
                        p.N(),
                        p.K(),
                        c.type().bytes(),
                        p.transA() || withResidual ? 1 : 0),
                "M " + p.M() + " N " + p.N() + " K " + p.K(),
                () -> in.gpu.zero(c),
                run,
                COLUMNS + " elements of " + ROWS + " rows, in doubles",
                () -> {
                    double[] is = new double[ROWS * COLUMNS], wanted = new double[is.length];
                    for (int i = 0; i < ROWS; i++) {
                        int m = (int) ((p.M() - 1L) * i / (ROWS - 1));
                        double[] row = in.values(c, (long) m * p.N(), p.N());
                        for (int j = 0; j < COLUMNS; j++) {
                            int n = (int) ((p.N() - 1L) * j / (COLUMNS - 1));
                            is[i * COLUMNS + j] = row[n];
                            if (withResidual) wanted[i * COLUMNS + j] = residuals.at((long) m * p.N() + n);
                            for (int k = 0; k < p.K(); k++)
                                wanted[i * COLUMNS + j] +=
                                        (double) as.at(p.transA() ? (long) k * p.M() + m : (long) m * p.K() + k)
                                                * bs.at(p.transB() ? (long) n * p.K() + k : (long) k * p.N() + n);
                        }
                    }
                    return KernelCases.error(is, wanted);
                });
    }
}
