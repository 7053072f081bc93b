package dev.rheostat.bench;

import dev.rheostat.op.Activation;
import dev.rheostat.op.AttentionShape;
import dev.rheostat.op.HostTensor;
import dev.rheostat.op.Norm;
import dev.rheostat.op.QkRotary;
import dev.rheostat.op.cuda.DeviceTensor;
import java.util.List;

/** Ops that go over rows, bound by memory. The last rows of a tensor are held against the definition: who counts wrong misses them. */
final class RowCases {
    private static final int ROWS = 4;
    private static final float EPSILON = 1e-6f;
    private static final String CHECKED = "last " + ROWS + " rows, by the definition";

    private RowCases() {}

    static List<KernelCase> norm(KernelCases in) {
        long R = in.shape.rows(), C = in.shape.width(), last = (R - ROWS) * C;
        Pattern xs = in.normal(), gradients = in.normal();
        DeviceTensor x = in.bf16(xs, R, C), dy = in.bf16(gradients, R, C);
        DeviceTensor y = in.bf16(R, C), dx = in.bf16(R, C), stats = in.f32(R, 2);
        HostTensor wanted = in.host(ROWS, C), wantedStats = in.host(ROWS, 2), hostX = in.host(xs, last, ROWS, C);
        Norm<DeviceTensor> norm = in.gpu.norm();
        Norm<HostTensor> plain = in.cpu.norm();
        Norm.Kind kind = Norm.Kind.RMS;
        String sizes = KernelCases.sizes(x);
        Runnable forward = () -> norm.forward(kind, y, stats, x, null, null, EPSILON);
        return List.of(
                KernelCase.of(OpCost.normForward(R, C), sizes, forward, CHECKED, () -> {
                    plain.forward(kind, wanted, wantedStats, hostX, null, null, EPSILON);
                    return in.error(y, last, wanted);
                }),
                new KernelCase(
                        OpCost.normBackward(R, C),
                        sizes,
                        () -> {
                            forward.run();
                            in.gpu.zero(dx);
                        },
                        () -> norm.backward(kind, dx, null, null, dy, x, stats, null),
                        CHECKED,
                        () -> {
                            plain.forward(kind, in.host(ROWS, C), wantedStats, hostX, null, null, EPSILON);
                            HostTensor wantedDx = in.host(ROWS, C);
                            HostTensor hostDy = in.host(gradients, last, ROWS, C);
                            plain.backward(kind, wantedDx, null, null, hostDy, hostX, wantedStats, null);
                            return in.error(dx, last, wantedDx);
                        }));
    }

    /** With gain and bias, as GPT-2 has it. */
    static List<KernelCase> layerNorm(KernelCases in) {
        long R = in.shape.rows(), C = in.shape.width(), last = (R - ROWS) * C;
        Pattern xs = in.normal(), gradients = in.normal(), gains = in.normal(), biases = in.normal();
        DeviceTensor x = in.bf16(xs, R, C), dy = in.bf16(gradients, R, C), y = in.bf16(R, C), dx = in.bf16(R, C);
        DeviceTensor stats = in.f32(R, 2), gain = in.f32(gains, C), bias = in.f32(biases, C);
        DeviceTensor dGain = in.f32(C), dBias = in.f32(C);
        HostTensor hostX = in.host(xs, last, ROWS, C), wanted = in.host(ROWS, C), wantedStats = in.host(ROWS, 2);
        HostTensor hostGain = in.host(gains, 0, C), hostBias = in.host(biases, 0, C);
        Norm<DeviceTensor> norm = in.gpu.norm();
        Norm<HostTensor> plain = in.cpu.norm();
        Norm.Kind kind = Norm.Kind.LAYER;
        return List.of(new KernelCase(
                OpCost.layerNormBackward(R, C),
                KernelCases.sizes(x),
                () -> {
                    norm.forward(kind, y, stats, x, gain, bias, EPSILON);
                    in.gpu.zero(dx);
                },
                () -> norm.backward(kind, dx, dGain, dBias, dy, x, stats, gain),
                CHECKED,
                () -> {
                    plain.forward(kind, wanted, wantedStats, hostX, hostGain, hostBias, EPSILON);
                    HostTensor wantedDx = in.host(ROWS, C), hostDy = in.host(gradients, last, ROWS, C);
                    plain.backward(kind, wantedDx, in.host(C), in.host(C), hostDy, hostX, wantedStats, hostGain);
                    return in.error(dx, last, wantedDx);
                }));
    }

    static List<KernelCase> rotary(KernelCases in) {
        AttentionShape s = in.shape.attention(),
                one = new AttentionShape(1, s.tokens(), s.heads(), s.kvHeads(), s.headWidth());
        QkRotary.Settings settings =
                new QkRotary.Settings((float) in.shape.model().rotaryBase(), EPSILON);
        long R = s.rows(), T = s.tokens(), D = s.headWidth(), h = s.heads() + s.kvHeads();
        Pattern qkvs = in.normal(), gains = in.normal(), gradients = in.normal();
        DeviceTensor qkv = in.bf16(qkvs, R, s.qkvWidth()), dQk = in.bf16(gradients, R, s.qkWidth());
        DeviceTensor qk = in.bf16(R, s.qkWidth()), dQkv = in.bf16(R, s.qkvWidth()), stats = in.f32(R, h, 2);
        DeviceTensor gain = in.f32(gains, D), dGainQ = in.f32(D), dGainK = in.f32(D);
        HostTensor hostGain = in.host(gains, 0, D), hostStats = in.host(T, h, 2);
        HostTensor hostQk = in.host(T, s.qkWidth()), hostDQkv = in.host(T, s.qkvWidth());
        QkRotary<DeviceTensor> rotary = in.gpu.qkRotary(s, settings);
        QkRotary<HostTensor> plain = in.cpu.qkRotary(one, settings);
        Runnable forward = () -> rotary.forward(qk, stats, qkv, gain, gain);
        String checked = "last sequence, by the definition";
        return List.of(
                KernelCase.of(OpCost.rotaryForward(s), KernelCases.sizes(qk), forward, checked, () -> {
                    plain.forward(
                            hostQk,
                            hostStats,
                            in.host(qkvs, (R - T) * s.qkvWidth(), T, s.qkvWidth()),
                            hostGain,
                            hostGain);
                    return in.error(qk, (R - T) * s.qkWidth(), hostQk);
                }),
                new KernelCase(
                        OpCost.rotaryBackward(s),
                        KernelCases.sizes(qk),
                        forward,
                        () -> rotary.backward(dQkv, dGainQ, dGainK, dQk, qkv, stats, gain, gain),
                        checked,
                        () -> {
                            HostTensor hostQkv = in.host(qkvs, (R - T) * s.qkvWidth(), T, s.qkvWidth());
                            HostTensor hostDQk = in.host(gradients, (R - T) * s.qkWidth(), T, s.qkWidth());
                            plain.forward(hostQk, hostStats, hostQkv, hostGain, hostGain);
                            plain.backward(
                                    hostDQkv, in.host(D), in.host(D), hostDQk, hostQkv, hostStats, hostGain, hostGain);
                            return in.error(dQkv, (R - T) * s.qkvWidth(), hostDQkv);
                        }));
    }

    static List<KernelCase> swiglu(KernelCases in) {
        long R = in.shape.rows(), F = in.shape.mlpWidth();
        Pattern xs = in.normal(), gradients = in.normal();
        DeviceTensor gateUp = in.bf16(xs, R, 2 * F), dh = in.bf16(gradients, R, F);
        DeviceTensor h = in.bf16(R, F), dGateUp = in.bf16(R, 2 * F);
        HostTensor hostGateUp = in.host(xs, (R - ROWS) * 2 * F, ROWS, 2 * F);
        Activation<DeviceTensor> activation = in.gpu.activation();
        Activation<HostTensor> plain = in.cpu.activation();
        return List.of(
                KernelCase.of(
                        OpCost.swigluForward(R, F),
                        KernelCases.sizes(h),
                        () -> activation.swigluForward(h, gateUp),
                        CHECKED,
                        () -> {
                            HostTensor wanted = in.host(ROWS, F);
                            plain.swigluForward(wanted, hostGateUp);
                            return in.error(h, (R - ROWS) * F, wanted);
                        }),
                KernelCase.of(
                        OpCost.swigluBackward(R, F),
                        KernelCases.sizes(h),
                        () -> activation.swigluBackward(dGateUp, dh, gateUp),
                        CHECKED,
                        () -> {
                            HostTensor wanted = in.host(ROWS, 2 * F);
                            plain.swigluBackward(wanted, in.host(gradients, (R - ROWS) * F, ROWS, F), hostGateUp);
                            return in.error(dGateUp, (R - ROWS) * 2 * F, wanted);
                        }));
    }

    static List<KernelCase> gelu(KernelCases in) {
        long R = in.shape.rows(), F = in.shape.mlpWidth();
        Pattern xs = in.normal(), gradients = in.normal();
        DeviceTensor x = in.bf16(xs, R, F), dh = in.bf16(gradients, R, F), h = in.bf16(R, F), dx = in.bf16(R, F);
        HostTensor hostX = in.host(xs, (R - ROWS) * F, ROWS, F), wanted = in.host(ROWS, F);
        Activation<DeviceTensor> activation = in.gpu.activation();
        Activation<HostTensor> plain = in.cpu.activation();
        return List.of(
                KernelCase.of(
                        OpCost.geluForward(R, F),
                        KernelCases.sizes(h),
                        () -> activation.geluForward(h, x),
                        CHECKED,
                        () -> {
                            plain.geluForward(wanted, hostX);
                            return in.error(h, (R - ROWS) * F, wanted);
                        }),
                KernelCase.of(
                        OpCost.geluBackward(R, F),
                        KernelCases.sizes(h),
                        () -> activation.geluBackward(dx, dh, x),
                        CHECKED,
                        () -> {
                            plain.geluBackward(wanted, in.host(gradients, (R - ROWS) * F, ROWS, F), hostX);
                            return in.error(dx, (R - ROWS) * F, wanted);
                        }));
    }

    static List<KernelCase> elements(KernelCases in) {
        long R = in.shape.rows(), C = in.shape.width(), last = (R - ROWS) * C;
        Pattern xs = in.normal(), ys = in.normal();
        DeviceTensor x = in.bf16(xs, R, C), y = in.bf16(ys, R, C), to = in.bf16(R, C), bias = in.f32(C);
        HostTensor hostX = in.host(xs, last, ROWS, C);
        return List.of(
                KernelCase.of(
                        OpCost.copy(x.bytes()),
                        KernelCases.sizes(x),
                        () -> in.gpu.copy(to, x),
                        "last " + ROWS + " rows",
                        () -> in.error(to, last, hostX)),
                KernelCase.of(
                        OpCost.fill("zero", x.bytes()),
                        KernelCases.sizes(x),
                        () -> in.gpu.zero(to),
                        "last " + ROWS + " rows",
                        () -> in.error(to, last, in.host(ROWS, C))),
                KernelCase.of(OpCost.add(R * C), KernelCases.sizes(x), () -> in.gpu.add(y, x), CHECKED, () -> {
                    HostTensor wanted = in.host(ys, last, ROWS, C);
                    in.cpu.add(wanted, hostX);
                    return in.error(y, last, wanted);
                }),
                new KernelCase(
                        OpCost.biasBackward(R, C),
                        KernelCases.sizes(x),
                        () -> in.gpu.zero(bias),
                        () -> in.gpu.gemm().biasBackward(bias, x),
                        "all sums, in doubles",
                        () -> {
                            double[] wanted = new double[(int) C];
                            for (long i = 0; i < R * C; i++) wanted[(int) (i % C)] += xs.at(i);
                            return KernelCases.error(in.values(bias, 0, (int) C), wanted);
                        }));
    }
}
