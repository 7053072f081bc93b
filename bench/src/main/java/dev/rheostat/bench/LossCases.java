package dev.rheostat.bench;

import dev.rheostat.op.LossHead;
import dev.rheostat.op.cuda.CudaLossKernel;
import dev.rheostat.op.cuda.DeviceTensor;
import java.util.ArrayList;
import java.util.List;

/**
 * The loss head whole, and its kernel alone over the rows that have logits at a time: with sums by domain, few and many, with the
 * excess over reference losses besides, and without any, so that their price can be read off.
 */
final class LossCases {
    private static final int FEW_DOMAINS = 22, MANY_DOMAINS = 4096;

    private LossCases() {}

    static List<KernelCase> loss(KernelCases in) {
        long rows = StepBudget.chunkRows(in.shape.model(), in.shape.rows());
        int V = in.shape.model().vocabulary(), Vp = in.shape.model().paddedVocabulary();
        Pattern scores = in.normal(), ids = Pattern.zipf(3, V), ones = Pattern.constant(1);
        DeviceTensor logits = in.bf16(rows, Vp), targets = in.ints(ids, rows), weight = in.f32(ones, rows);
        CudaLossKernel kernel = in.gpu.lossKernel(V, Vp);
        float scale = 1f / rows;
        Runnable prepare = () -> scores.fill(in.gpu, logits);
        List<KernelCase> cases = new ArrayList<>();
        cases.add(whole(in));
        cases.add(new KernelCase(
                OpCost.lossKernel("loss kernel, no sums", rows, Vp),
                KernelCases.sizes(logits),
                prepare,
                () -> kernel.backwardWithoutSums(logits, targets, weight, scale),
                "gradients of the last row, in doubles",
                () -> gradientError(in, logits, scores, ids, rows - 1, scale)));
        for (int K : new int[] {FEW_DOMAINS, MANY_DOMAINS}) {
            Pattern domains = Pattern.uniform(4, K);
            DeviceTensor domain = in.ints(domains, rows);
            LossHead.Sums<DeviceTensor> sums = new LossHead.Sums<>(in.longs(K), in.longs(K), in.longs(2));
            cases.add(new KernelCase(
                    OpCost.lossKernel("loss kernel, K " + K, rows, Vp),
                    KernelCases.sizes(logits),
                    prepare,
                    () -> kernel.backward(logits, sums, targets, domain, weight, scale, LossHead.clampNats(rows)),
                    "gradients of the last row, tokens of every domain",
                    () -> Math.max(
                            gradientError(in, logits, scores, ids, rows - 1, scale),
                            countError(in, sums, domains, rows, K))));
        }
        cases.add(withExcess(in, kernel, logits, prepare, rows));
        return cases;
    }

    private static KernelCase withExcess(
            KernelCases in, CudaLossKernel kernel, DeviceTensor logits, Runnable prepare, long rows) {
        int K = FEW_DOMAINS;
        Pattern ids = Pattern.zipf(3, in.shape.model().vocabulary()), domains = Pattern.uniform(4, K);
        DeviceTensor targets = in.ints(ids, rows), domain = in.ints(domains, rows);
        DeviceTensor weight = in.f32(Pattern.constant(1), rows), refLoss = in.f32(Pattern.constant(1), rows);
        LossHead.Sums<DeviceTensor> sums = new LossHead.Sums<>(in.longs(K), in.longs(K), in.longs(2), in.longs(K));
        double clampNats = LossHead.clampNats(rows);
        return new KernelCase(
                OpCost.lossKernel(
                        "loss kernel, K " + K + ", excess",
                        rows,
                        in.shape.model().paddedVocabulary()),
                KernelCases.sizes(logits),
                prepare,
                () -> kernel.backwardWithExcess(logits, sums, targets, domain, weight, refLoss, 1f / rows, clampNats),
                "losses less 1 nat a token, of every domain",
                () -> excessError(in, sums, K));
    }

    /** Of losses that are all above a reference loss of 1. */
    private static double excessError(KernelCases in, LossHead.Sums<DeviceTensor> sums, int K) {
        double[] lossNats_K = in.values(sums.lossSum_K(), 0, K), tokens_K = in.values(sums.tokenCount_K(), 0, K);
        double[] wanted = new double[K];
        for (int k = 0; k < K; k++) wanted[k] = lossNats_K[k] - tokens_K[k] * LossHead.FIXED_POINT;
        return KernelCases.error(in.values(sums.excessSum_K(), 0, K), wanted);
    }

    /** The gradient of one row's loss, by its definition. */
    private static double gradientError(
            KernelCases in, DeviceTensor logits, Pattern scores, Pattern ids, long row, float scale) {
        int V = in.shape.model().vocabulary(), Vp = in.shape.model().paddedVocabulary();
        double sum = 0;
        for (int v = 0; v < V; v++) sum += Math.exp(scores.at(row * Vp + v));
        double[] wanted = new double[Vp];
        for (int v = 0; v < V; v++) wanted[v] = scale * Math.exp(scores.at(row * Vp + v)) / sum;
        wanted[ids.intAt(row)] -= scale;
        return KernelCases.error(in.values(logits, row * Vp, Vp), wanted);
    }

    private static double countError(
            KernelCases in, LossHead.Sums<DeviceTensor> sums, Pattern domains, long rows, int K) {
        double[] wanted = new double[K];
        for (long r = 0; r < rows; r++) wanted[domains.intAt(r)]++;
        return KernelCases.error(in.values(sums.tokenCount_K(), 0, K), wanted);
    }

    private static KernelCase whole(KernelCases in) {
        long R = in.shape.rows();
        int C = in.shape.width(),
                V = in.shape.model().vocabulary(),
                Vp = in.shape.model().paddedVocabulary();
        // Logits with a deviation of 1.
        Pattern xs = in.normal(), tables = in.normal(1 / Math.sqrt(C)), ids = Pattern.zipf(3, V);
        Pattern domains = Pattern.uniform(4, FEW_DOMAINS);
        DeviceTensor x = in.bf16(xs, R, C), dx = in.bf16(R, C), dTable = in.f32(Vp, C);
        DeviceTensor table = in.gpu.view(in.weights(tables, (long) Vp * C), 0, Vp, C);
        DeviceTensor targets = in.ints(ids, R), domain = in.ints(domains, R), weight = in.f32(Pattern.constant(1), R);
        LossHead<DeviceTensor> head =
                in.gpu.lossHead(new LossHead.Shape(R, C, V, Vp, FEW_DOMAINS, LossHead.clampNats(R)));
        LossHead.Sums<DeviceTensor> sums = head.allocateSums();
        float scale = 1f / R;
        List<OpCost> parts = StepBudget.lossHead(in.shape.model(), R, 1);
        return new KernelCase(
                OpCost.together("loss head, K " + FEW_DOMAINS, parts),
                KernelCases.sizes(x),
                parts.stream().mapToDouble(DeviceRates.H200::predictedSeconds).sum(),
                () -> head.clear(sums),
                () -> head.forwardBackward(sums, dx, dTable, x, table, targets, domain, weight, null, scale, false),
                "dx of the last row, in doubles; tokens of every domain",
                () -> Math.max(
                        KernelCases.error(
                                in.values(dx, (R - 1) * C, C), lastDx(in, xs, tables, ids.intAt(R - 1), scale)),
                        countError(in, sums, domains, R, FEW_DOMAINS)));
    }

    /** Gradient of the last row's x: of its logits, times the table. */
    private static double[] lastDx(KernelCases in, Pattern xs, Pattern tables, int target, float scale) {
        int C = in.shape.width(), V = in.shape.model().vocabulary();
        long last = (in.shape.rows() - 1) * C;
        double[] probability = new double[V], dx = new double[C];
        double sum = 0;
        for (int v = 0; v < V; v++) {
            double logit = 0;
            for (int c = 0; c < C; c++) logit += (double) xs.at(last + c) * tables.at((long) v * C + c);
            sum += probability[v] = Math.exp(logit);
        }
        for (int v = 0; v < V; v++) {
            double dLogit = scale * (probability[v] / sum - (v == target ? 1 : 0));
            for (int c = 0; c < C; c++) dx[c] += dLogit * tables.at((long) v * C + c);
        }
        return dx;
    }
}
