package dev.rheostat.op.cpu;

import dev.rheostat.op.Doors;
import dev.rheostat.op.Gemm;
import dev.rheostat.op.GemmShape;
import dev.rheostat.op.HostTensor;

/** The definition. M, N, K are the GEMM axes. */
final class PlainGemm implements Gemm<HostTensor> {
    @Override
    public void nt(HostTensor c, HostTensor a, HostTensor b, boolean accumulate) {
        product(c, a, b, false, true, accumulate);
    }

    @Override
    public void nn(HostTensor c, HostTensor a, HostTensor b, boolean accumulate) {
        product(c, a, b, false, false, accumulate);
    }

    @Override
    public void tn(HostTensor c, HostTensor a, HostTensor b, boolean accumulate) {
        product(c, a, b, true, false, accumulate);
    }

    @Override
    public void linear(
            HostTensor y_RO, HostTensor x_RI, HostTensor weight_OI, HostTensor bias_O, HostTensor residual_RO) {
        GemmShape.linear(y_RO, bias_O, residual_RO);
        nt(y_RO, x_RI, weight_OI, false);
        long O = y_RO.dim(1);
        for (long i = 0; i < y_RO.size(); i++) {
            double sum = y_RO.getDouble(i);
            if (bias_O != null) sum += bias_O.getDouble(i % O);
            if (residual_RO != null) sum += residual_RO.getDouble(i);
            y_RO.setDouble(i, sum);
        }
    }

    @Override
    public void biasBackward(HostTensor dBias_O, HostTensor dy_RO) {
        double[] dBias = Doubles.of(dBias_O), dy = Doubles.of(dy_RO);
        for (int i = 0; i < dy.length; i++) dBias[i % dBias.length] += dy[i];
        Doubles.write(dBias_O, dBias);
    }

    private static void product(
            HostTensor cTensor,
            HostTensor aTensor,
            HostTensor bTensor,
            boolean transposeA,
            boolean transposeB,
            boolean accumulate) {
        int M = Math.toIntExact(aTensor.dim(transposeA ? 1 : 0)), K = Math.toIntExact(aTensor.dim(transposeA ? 0 : 1));
        int N = Math.toIntExact(bTensor.dim(transposeB ? 0 : 1));
        Doors.HOST.activation("b", bTensor, transposeB ? N : K, transposeB ? K : N);
        Doors.HOST.activation("c", cTensor, M, N);
        double[] a = Doubles.of(aTensor), b = Doubles.of(bTensor), c = Doubles.of(cTensor);
        for (int m = 0; m < M; m++)
            for (int n = 0; n < N; n++) {
                double sum = accumulate ? c[m * N + n] : 0;
                for (int k = 0; k < K; k++)
                    sum += a[transposeA ? k * M + m : m * K + k] * b[transposeB ? n * K + k : k * N + n];
                c[m * N + n] = sum;
            }
        Doubles.write(cTensor, c);
    }
}
