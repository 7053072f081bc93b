package dev.rheostat.op.cpu;

import dev.rheostat.op.Doors;
import dev.rheostat.op.HostTensor;
import dev.rheostat.op.LossHead;
import java.util.Arrays;

/** The definition: one row of logits at a time. */
final class PlainLossHead implements LossHead<HostTensor> {
    private final Shape shape;
    private final HostMemory memory;

    PlainLossHead(Shape shape, HostMemory memory) {
        this.shape = shape;
        this.memory = memory;
    }

    @Override
    public Sums<HostTensor> allocateSums() {
        return LossSums.allocate(memory, "loss sums", shape.domains());
    }

    @Override
    public Sums<HostTensor> allocateSumsWithExcess() {
        return LossSums.allocateWithExcess(memory, "loss sums", shape.domains());
    }

    @Override
    public void clear(Sums<HostTensor> sums) {
        LossSums.clear(sums);
    }

    @Override
    public void forward(
            Sums<HostTensor> sums,
            HostTensor tokenLoss_R,
            HostTensor x_RC,
            HostTensor table_VpC,
            HostTensor targets_R,
            HostTensor domain_R) {
        Doors.HOST.lossHead(shape, sums, x_RC, table_VpC, targets_R, domain_R);
        Doors.HOST.f32OrNull("tokenLoss", tokenLoss_R, shape.rows());
        Doubles.write(tokenLoss_R, addedLosses(sums, x_RC, table_VpC, targets_R, domain_R));
    }

    /** Each row's loss, once it is in its domain's sum. */
    private double[] addedLosses(
            Sums<HostTensor> sums, HostTensor x_RC, HostTensor table_VpC, HostTensor targets_R, HostTensor domain_R) {
        double[] loss_R = losses(shape, Doubles.of(x_RC), Doubles.of(table_VpC), Doubles.ints(targets_R));
        for (int r = 0; r < loss_R.length; r++) LossSums.add(sums, domain_R.getInt(r), loss_R[r], shape.clampNats());
        return loss_R;
    }

    @Override
    public void forwardBackward(
            Sums<HostTensor> sums,
            HostTensor dx_RC,
            HostTensor dTable_VpC,
            HostTensor x_RC,
            HostTensor table_VpC,
            HostTensor targets_R,
            HostTensor domain_R,
            HostTensor weight_R,
            HostTensor refLoss_R,
            float gradientScale,
            boolean accumulate) {
        Doors.HOST.lossHead(shape, sums, x_RC, table_VpC, targets_R, domain_R);
        Doors.HOST.lossHeadGradients(shape, sums, dx_RC, dTable_VpC, weight_R, refLoss_R);
        double[] loss_R = addedLosses(sums, x_RC, table_VpC, targets_R, domain_R);
        for (int r = 0; refLoss_R != null && r < loss_R.length; r++)
            LossSums.addExcess(sums, domain_R.getInt(r), loss_R[r], refLoss_R.getDouble(r), shape.clampNats());
        double[] scale_R = Doubles.of(weight_R), dTable = Doubles.of(dTable_VpC);
        if (!accumulate) Arrays.fill(dTable, 0);
        for (int r = 0; r < scale_R.length; r++) scale_R[r] *= gradientScale;
        double[] x = Doubles.of(x_RC), table = Doubles.of(table_VpC), dx = new double[x.length];
        gradients(shape, dx, dTable, x, table, Doubles.ints(targets_R), scale_R);
        Doubles.write(dx_RC, dx);
        Doubles.write(dTable_VpC, dTable);
    }

    /** Each row's loss: log sum_v exp(x[r] . table[v]) - x[r] . table[targets[r]], over v below V. */
    static double[] losses(Shape shape, double[] x, double[] table, int[] targets) {
        double[] loss_R = new double[targets.length];
        for (int r = 0; r < targets.length; r++) {
            double[] logit_V = logits(shape, x, table, r);
            loss_R[r] = logSumExp(logit_V) - logit_V[targets[r]];
        }
        return loss_R;
    }

    /** Adds to dx and dTable, each row scaled; a row whose loss is not finite adds nothing. */
    static void gradients(
            Shape shape, double[] dx, double[] dTable, double[] x, double[] table, int[] targets, double[] scale_R) {
        int C = shape.width();
        for (int r = 0; r < targets.length; r++) {
            double[] logit_V = logits(shape, x, table, r);
            double lse = logSumExp(logit_V);
            if (!Double.isFinite(lse - logit_V[targets[r]])) continue;
            for (int v = 0; v < shape.vocabulary(); v++) {
                double dLogit = scale_R[r] * (Math.exp(logit_V[v] - lse) - (v == targets[r] ? 1 : 0));
                for (int c = 0; c < C; c++) {
                    dx[r * C + c] += dLogit * table[v * C + c];
                    dTable[v * C + c] += dLogit * x[r * C + c];
                }
            }
        }
    }

    private static double[] logits(Shape shape, double[] x, double[] table, int r) {
        int C = shape.width();
        double[] logit_V = new double[shape.vocabulary()];
        for (int v = 0; v < logit_V.length; v++)
            for (int c = 0; c < C; c++) logit_V[v] += x[r * C + c] * table[v * C + c];
        return logit_V;
    }

    private static double logSumExp(double[] logit_V) {
        double max = Double.NEGATIVE_INFINITY, sum = 0;
        for (double logit : logit_V) max = Math.max(max, logit);
        for (double logit : logit_V) sum += Math.exp(logit - max);
        return max + Math.log(sum);
    }
}
