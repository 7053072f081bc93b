package dev.rheostat.op.cpu;

import dev.rheostat.op.AdamW;
import dev.rheostat.op.Doors;
import dev.rheostat.op.HostTensor;
import dev.rheostat.op.LossHead;

/** The definition. */
final class PlainAdamW implements AdamW<HostTensor> {
    private final long parameterCount;
    private final HostMemory memory;

    PlainAdamW(long parameterCount, HostMemory memory) {
        this.parameterCount = parameterCount;
        this.memory = memory;
    }

    @Override
    public Control<HostTensor> allocateControl() {
        return AdamWControl.allocate(memory);
    }

    @Override
    public void update(
            HostTensor parameter_N,
            HostTensor gradient_N,
            HostTensor m_N,
            HostTensor v_N,
            LossHead.Sums<HostTensor> sums,
            Control<HostTensor> control,
            Settings settings) {
        Doors.HOST.adamW(parameterCount, parameter_N, gradient_N, m_N, v_N);
        double[] gradient = Doubles.of(gradient_N);
        double squares = 0;
        for (double g : gradient) squares += g * g;
        AdamWControl.Step step = AdamWControl.decide(Math.sqrt(squares), sums, control, settings);
        if (step == null) return;
        double[] p = Doubles.of(parameter_N), m = Doubles.of(m_N), v = Doubles.of(v_N);
        move(p, gradient, m, v, step, settings);
        Doubles.write(parameter_N, p);
        Doubles.write(m_N, m);
        Doubles.write(v_N, v);
    }

    /** p -= rate (m' / (sqrt(v') + epsilon) + decay p), where m' and v' are corrected for their start at zero. */
    static void move(double[] p, double[] gradient, double[] m, double[] v, AdamWControl.Step step, Settings s) {
        for (int i = 0; i < p.length; i++) {
            double g = gradient[i] * step.clip();
            m[i] = s.beta1() * m[i] + (1 - (double) s.beta1()) * g;
            v[i] = s.beta2() * v[i] + (1 - (double) s.beta2()) * g * g;
            double direction = m[i] / step.correction1() / (Math.sqrt(v[i] / step.correction2()) + s.epsilon());
            p[i] -= step.rate() * (direction + s.weightDecay() * p[i]);
        }
    }
}
