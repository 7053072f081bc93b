package dev.rheostat.op.cpu;

import dev.rheostat.op.Doors;
import dev.rheostat.op.Embedding;
import dev.rheostat.op.HostTensor;

/** The definition. */
final class PlainEmbedding implements Embedding<HostTensor> {
    @Override
    public void forward(HostTensor x_RC, HostTensor tokens_R, HostTensor table_VC, HostTensor positions_TC) {
        Doors.HOST.embedding(x_RC, tokens_R, table_VC, positions_TC);
        double[] x = new double[Math.toIntExact(x_RC.size())];
        forward(x, Doubles.ints(tokens_R), Doubles.of(table_VC), Doubles.of(positions_TC));
        Doubles.write(x_RC, x);
    }

    @Override
    public void backward(HostTensor dTable_VC, HostTensor dPositions_TC, HostTensor dx_RC, HostTensor tokens_R) {
        Doors.HOST.embedding(dx_RC, tokens_R, dTable_VC, dPositions_TC);
        double[] dTable = Doubles.of(dTable_VC), dPositions = Doubles.of(dPositions_TC);
        backward(dTable, dPositions, Doubles.of(dx_RC), Doubles.ints(tokens_R));
        Doubles.write(dTable_VC, dTable);
        Doubles.write(dPositions_TC, dPositions);
    }

    static void forward(double[] x, int[] tokens, double[] table, double[] positions) {
        int R = tokens.length, C = x.length / R;
        for (int r = 0; r < R; r++)
            for (int c = 0; c < C; c++) {
                double position = positions == null ? 0 : positions[(r * C + c) % positions.length];
                x[r * C + c] = table[tokens[r] * C + c] + position;
            }
    }

    static void backward(double[] dTable, double[] dPositions, double[] dx, int[] tokens) {
        int R = tokens.length, C = dx.length / R;
        for (int r = 0; r < R; r++)
            for (int c = 0; c < C; c++) {
                dTable[tokens[r] * C + c] += dx[r * C + c];
                if (dPositions != null) dPositions[(r * C + c) % dPositions.length] += dx[r * C + c];
            }
    }
}
