package dev.rheostat.op.cpu;

import dev.rheostat.op.Activation;
import dev.rheostat.op.Doors;
import dev.rheostat.op.HostTensor;

/** The definition. */
final class PlainActivation implements Activation<HostTensor> {
    static final double SQRT_2_OVER_PI = Math.sqrt(2 / Math.PI), CUBIC = 0.044715;

    @Override
    public void swigluForward(HostTensor h_RF, HostTensor gateUp_R2F) {
        Doors.HOST.swiglu(h_RF, gateUp_R2F, gateUp_R2F);
        double[] h = new double[Math.toIntExact(h_RF.size())];
        swigluForward(h, Doubles.of(gateUp_R2F), Math.toIntExact(h_RF.dim(1)));
        Doubles.write(h_RF, h);
    }

    @Override
    public void swigluBackward(HostTensor dGateUp_R2F, HostTensor dh_RF, HostTensor gateUp_R2F) {
        Doors.HOST.swiglu(dh_RF, gateUp_R2F, dGateUp_R2F);
        double[] dGateUp = new double[Math.toIntExact(dGateUp_R2F.size())];
        swigluBackward(dGateUp, Doubles.of(dh_RF), Doubles.of(gateUp_R2F), Math.toIntExact(dh_RF.dim(1)));
        Doubles.write(dGateUp_R2F, dGateUp);
    }

    @Override
    public void geluForward(HostTensor h_RF, HostTensor x_RF) {
        Doors.HOST.gelu(h_RF, x_RF, x_RF);
        double[] h = Doubles.of(x_RF);
        for (int i = 0; i < h.length; i++) h[i] = gelu(h[i]);
        Doubles.write(h_RF, h);
    }

    @Override
    public void geluBackward(HostTensor dx_RF, HostTensor dh_RF, HostTensor x_RF) {
        Doors.HOST.gelu(dx_RF, dh_RF, x_RF);
        double[] dx = Doubles.of(dh_RF), x = Doubles.of(x_RF);
        for (int i = 0; i < dx.length; i++) dx[i] *= geluSlope(x[i]);
        Doubles.write(dx_RF, dx);
    }

    static double sigmoid(double x) {
        return 1 / (1 + Math.exp(-x));
    }

    static void swigluForward(double[] h, double[] gateUp, int F) {
        for (int i = 0; i < h.length; i++) {
            int gate = i / F * 2 * F + i % F;
            h[i] = gateUp[gate] * sigmoid(gateUp[gate]) * gateUp[gate + F];
        }
    }

    /** silu(x) = x s(x) and silu'(x) = s(x) (1 + x (1 - s(x))). */
    static void swigluBackward(double[] dGateUp, double[] dh, double[] gateUp, int F) {
        for (int i = 0; i < dh.length; i++) {
            int gate = i / F * 2 * F + i % F;
            double x = gateUp[gate], s = sigmoid(x);
            dGateUp[gate] = dh[i] * gateUp[gate + F] * s * (1 + x * (1 - s));
            dGateUp[gate + F] = dh[i] * x * s;
        }
    }

    static double gelu(double x) {
        return 0.5 * x * (1 + Math.tanh(SQRT_2_OVER_PI * (x + CUBIC * x * x * x)));
    }

    static double geluSlope(double x) {
        double t = Math.tanh(SQRT_2_OVER_PI * (x + CUBIC * x * x * x));
        return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * SQRT_2_OVER_PI * (1 + 3 * CUBIC * x * x);
    }
}
