package dev.rheostat.op.cpu;

import dev.rheostat.op.Gemm;
import dev.rheostat.op.HostTensor;

/** The definition: plain loops, double sums. Every other variant is tested against this one. */
final class PlainGemm implements Gemm<HostTensor> {
    @Override
    public void nt(HostTensor c, HostTensor a, HostTensor b, boolean accumulate) {
        product(c, a, false, b, true, accumulate);
    }

    @Override
    public void nn(HostTensor c, HostTensor a, HostTensor b, boolean accumulate) {
        product(c, a, false, b, false, accumulate);
    }

    @Override
    public void tn(HostTensor c, HostTensor a, HostTensor b, boolean accumulate) {
        product(c, a, true, b, false, accumulate);
    }

    private static void product(
            HostTensor c, HostTensor a, boolean transA, HostTensor b, boolean transB, boolean accumulate) {
        GemmShape shape = GemmShape.of(c, a, transA, b, transB);
        for (long m = 0; m < shape.M(); m++)
            for (long n = 0; n < shape.N(); n++) {
                double sum = accumulate ? c.getFloat(m * shape.N() + n) : 0;
                for (long k = 0; k < shape.K(); k++) {
                    double left = a.getFloat(transA ? k * shape.M() + m : m * shape.K() + k);
                    sum += left * b.getFloat(transB ? n * shape.K() + k : k * shape.N() + n);
                }
                c.setFloat(m * shape.N() + n, (float) sum);
            }
    }

    @Override
    public void addBias(HostTensor y_RO, HostTensor bias_O) {
        long O = GemmShape.biasWidth(y_RO, bias_O);
        for (long i = 0; i < y_RO.size(); i++) y_RO.setFloat(i, y_RO.getFloat(i) + bias_O.getFloat(i % O));
    }

    @Override
    public void biasBackward(HostTensor dBias_O, HostTensor dy_RO) {
        long O = GemmShape.biasWidth(dy_RO, dBias_O);
        for (long o = 0; o < O; o++) {
            double sum = dBias_O.getFloat(o);
            for (long i = o; i < dy_RO.size(); i += O) sum += dy_RO.getFloat(i);
            dBias_O.setFloat(o, (float) sum);
        }
    }
}
