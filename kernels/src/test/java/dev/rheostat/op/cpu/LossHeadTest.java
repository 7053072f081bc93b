package dev.rheostat.op.cpu;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rheostat.op.AdamW;
import dev.rheostat.op.Backend;
import dev.rheostat.op.DType;
import dev.rheostat.op.HostTensor;
import dev.rheostat.op.LossHead;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The loss head and the update, which decide what a step learns and whether it counts. */
class LossHeadTest {
    private static final int DOMAINS = 3;

    /** A loss head with its inputs at random, on one backend. */
    private static final class Head {
        final LossHead<HostTensor> op;
        final LossHead.Sums<HostTensor> sums, sumsWithExcess;
        final HostTensor x, table, dx, dTable, targets, domain, weight, tokenLoss, refLoss;
        final int R, C, V;

        Head(Backend<HostTensor> backend, int R, int C, int V, int Vp, double clamp) {
            this.R = R;
            this.C = C;
            this.V = V;
            op = backend.lossHead(new LossHead.Shape(R, C, V, Vp, DOMAINS, clamp));
            sums = op.allocateSums();
            sumsWithExcess = op.allocateSumsWithExcess();
            x = backend.allocate("test", DType.F32, R, C);
            table = backend.allocate("test", DType.F32, Vp, C);
            dx = backend.allocate("test", DType.F32, R, C);
            dTable = backend.allocate("test", DType.F32, Vp, C);
            targets = backend.allocate("test", DType.I32, R);
            domain = backend.allocate("test", DType.I32, R);
            weight = backend.allocate("test", DType.F32, R);
            tokenLoss = backend.allocate("test", DType.F32, R);
            refLoss = backend.allocate("test", DType.F32, R);
            Random random = new Random(V);
            for (int i = 0; i < R * C; i++) x.setDouble(i, 2 * random.nextFloat() - 1);
            for (int i = 0; i < Vp * C; i++) table.setDouble(i, 2 * random.nextFloat() - 1); // padding rows too
            for (int r = 0; r < R; r++) {
                targets.setInt(r, random.nextInt(V));
                domain.setInt(r, random.nextInt(DOMAINS));
                weight.setDouble(r, random.nextInt(4) == 0 ? 0 : 0.5f + random.nextFloat());
                refLoss.setDouble(r, Math.log(V) + random.nextFloat() - 0.5f); // near the losses
            }
        }

        void run(float scale) {
            run(scale, false);
        }

        void run(float scale, boolean accumulate) {
            op.clear(sums);
            op.forwardBackward(sums, dx, dTable, x, table, targets, domain, weight, null, scale, accumulate);
        }

        void runWithExcess(float scale) {
            op.clear(sumsWithExcess);
            op.forwardBackward(sumsWithExcess, dx, dTable, x, table, targets, domain, weight, refLoss, scale, false);
        }

        double[] dTable() {
            double[] values = new double[(int) dTable.size()];
            for (int i = 0; i < values.length; i++) values[i] = value(dTable, i);
            return values;
        }

        double excess(int k) {
            return sumsWithExcess.excessSum_K().getLong(k) / LossHead.FIXED_POINT;
        }

        /** The formula, once more. */
        double nats(int r) {
            double sum = 0, target = 0;
            for (int v = 0; v < V; v++) {
                double logit = 0;
                for (int c = 0; c < C; c++) logit += value(x, (long) r * C + c) * value(table, (long) v * C + c);
                sum += Math.exp(logit);
                if (v == targets.getInt(r)) target = logit;
            }
            return Math.log(sum) - target;
        }

        static double value(HostTensor t, long i) {
            return t.type() == DType.F32 ? t.getFloat(i) : t.getDouble(i);
        }

        double weightedLoss(float scale) {
            double loss = 0;
            for (int r = 0; r < R; r++) loss += scale * value(weight, r) * nats(r);
            return loss;
        }
    }

    private static Backend<HostTensor> fast(int threads) {
        return CpuBackend.open(new CpuBackend.Settings(threads, false, CpuGemms.Choice.VECTOR));
    }

    @ParameterizedTest
    @CsvSource({"1, 4, 5, 5", "9, 20, 70, 128", "140, 16, 300, 384"})
    void sumsAndGradientsAreTheFormulas(int R, int C, int V, int Vp) {
        float scale = 1f / R;
        for (int threads : new int[] {0, 1, 3})
            try (Backend<HostTensor> backend = threads == 0 ? PlainBackend.openInDoubles() : fast(threads)) {
                Head head = new Head(backend, R, C, V, Vp, 1e6);
                for (int i = 0; i < Vp * C; i++) head.dTable.setDouble(i, Double.NaN);
                head.run(scale);
                double[] sum_K = new double[DOMAINS];
                long[] count_K = new long[DOMAINS];
                for (int r = 0; r < R; r++) {
                    sum_K[head.domain.getInt(r)] += head.nats(r);
                    count_K[head.domain.getInt(r)]++;
                }
                for (int k = 0; k < DOMAINS; k++) {
                    assertEquals(count_K[k], head.sums.tokenCount_K().getLong(k));
                    // f32 logits and a softmax over V: some units in the last place a token.
                    double found = head.sums.lossSum_K().getLong(k) / LossHead.FIXED_POINT;
                    assertEquals(sum_K[k], found, 1e-5 * (1 + count_K[k]), "domain " + k);
                }
                Random random = new Random(5);
                for (int probe = 0; probe < 12; probe++) {
                    HostTensor t = probe % 2 == 0 ? head.x : head.table, d = probe % 2 == 0 ? head.dx : head.dTable;
                    int i = random.nextInt(probe % 2 == 0 ? R * C : V * C);
                    double before = Head.value(t, i), h = threads == 0 ? 1e-5 : 1.0 / 256, above, below;
                    t.setDouble(i, before + h);
                    above = head.weightedLoss(scale);
                    t.setDouble(i, before - h);
                    below = head.weightedLoss(scale);
                    t.setDouble(i, before);
                    // h^2 f'''/6 of the coarse step that floats allow.
                    double tolerance = threads == 0 ? 1e-8 : 3e-5;
                    assertEquals((above - below) / (2 * h), Head.value(d, i), tolerance, "probe " + probe);
                }
                for (int i = V * C; i < Vp * C; i++)
                    assertEquals(0, Head.value(head.dTable, i), "padding has no gradient");
                double[] once = head.dTable();
                head.run(scale, true);
                for (int i = 0; i < Vp * C; i++) assertEquals(2 * once[i], Head.value(head.dTable, i), 1e-6);
            }
    }

    /** Rows whose weight is zero leave the gradient of the table to the others, whichever chunk they are in. */
    @Test
    void everyChunkOfRowsAddsToTheGradientOfTheTable() {
        int R = 140, V = 131_072;
        assertEquals(128, CpuLossHead.chunkRows(new LossHead.Shape(R, 4, V, V, DOMAINS, 1e6)));
        try (Backend<HostTensor> backend = fast(2)) {
            Head head = new Head(backend, R, 4, V, V, 1e6);
            double[] sum = new double[4 * V];
            for (int half = 0; half < 2; half++) {
                for (int r = 0; r < R; r++) head.weight.setFloat(r, r < 128 == (half == 0) ? 1 : 0);
                head.run(1);
                double[] part = head.dTable();
                for (int i = 0; i < part.length; i++) sum[i] += part[i];
            }
            for (int r = 0; r < R; r++) head.weight.setFloat(r, 1);
            head.run(1);
            assertArrayEquals(sum, head.dTable(), 1e-5);
        }
    }

    @Test
    void theSumsHaveTheSameBitsOnAnyNumberOfThreads() {
        long[] expected = null;
        for (int threads : new int[] {1, 2, 3, 5})
            try (Backend<HostTensor> backend = fast(threads)) {
                Head head = new Head(backend, 300, 24, 97, 128, 1e6);
                head.run(1);
                head.op.forward(head.sums, head.tokenLoss, head.x, head.table, head.targets, head.domain);
                long[] sums = new long[DOMAINS];
                for (int k = 0; k < DOMAINS; k++)
                    sums[k] = head.sums.lossSum_K().getLong(k);
                if (expected == null) expected = sums;
                for (int k = 0; k < DOMAINS; k++)
                    assertEquals(expected[k] / LossHead.FIXED_POINT, sums[k] / LossHead.FIXED_POINT, 1e-3);
                double tokens = 0, all = 0;
                for (int r = 0; r < 300; r++) tokens += head.tokenLoss.getFloat(r);
                for (long sum : sums) all += sum / LossHead.FIXED_POINT;
                assertEquals(2 * tokens, all, 1e-2, "forward adds what forwardBackward does");
            }
    }

    @Test
    void aLossAboveTheClampIsCutAndCountedAndOneThatIsNotFiniteAddsNothing() {
        for (boolean plain : new boolean[] {true, false})
            try (Backend<HostTensor> backend = plain ? PlainBackend.open() : fast(2)) {
                Head head = new Head(backend, 4, 2, 3, 3, 2.5);
                for (int i = 0; i < 8; i++) head.x.setFloat(i, 0);
                for (int i = 0; i < 6; i++) head.table.setFloat(i, i == 0 ? -40 : 0);
                for (int r = 0; r < 4; r++) {
                    head.targets.setInt(r, 0);
                    head.domain.setInt(r, r % 2);
                }
                head.x.setFloat(2, 1); // row 1: the target's logit is -40
                head.x.setFloat(4, Float.NaN); // row 2
                head.run(1);
                assertEquals(1, head.sums.flags_2().getLong(0), "clamped");
                assertEquals(1, head.sums.flags_2().getLong(1), "not finite");
                assertEquals(Math.log(3), head.sums.lossSum_K().getLong(0) / LossHead.FIXED_POINT, 1e-6);
                assertEquals(2.5 + Math.log(3), head.sums.lossSum_K().getLong(1) / LossHead.FIXED_POINT, 1e-6);
            }
    }

    /** Everything but the excess has the bits that it has without. */
    @ParameterizedTest
    @CsvSource({"1, 4, 5, 5", "9, 20, 70, 128", "140, 16, 300, 384"})
    void theExcessIsWhatEachLossIsAboveItsReference(int R, int C, int V, int Vp) {
        for (int threads : new int[] {0, 1, 3})
            try (Backend<HostTensor> backend = threads == 0 ? PlainBackend.open() : fast(threads)) {
                Head head = new Head(backend, R, C, V, Vp, 1e6), other = new Head(backend, R, C, V, Vp, 1e6);
                head.runWithExcess(1f / R);
                other.run(1f / R);
                double[] excess_K = new double[DOMAINS];
                int above = 0;
                for (int r = 0; r < R; r++) {
                    double nats = head.nats(r) - head.refLoss.getDouble(r);
                    excess_K[head.domain.getInt(r)] += Math.max(nats, 0);
                    if (nats > 0) above++;
                }
                assertTrue(R == 1 || above > 0 && above < R, above + " of " + R + " above");
                for (int k = 0; k < DOMAINS; k++) {
                    assertEquals(excess_K[k], head.excess(k), 1e-5 * (1 + excess_K[k]), "domain " + k);
                    assertEquals(
                            other.sums.lossSum_K().getLong(k),
                            head.sumsWithExcess.lossSum_K().getLong(k));
                    assertEquals(
                            other.sums.tokenCount_K().getLong(k),
                            head.sumsWithExcess.tokenCount_K().getLong(k));
                }
                assertEquals(-1, other.dx.memory().mismatch(head.dx.memory()));
                assertEquals(-1, other.dTable.memory().mismatch(head.dTable.memory()));
                head.op.clear(head.sumsWithExcess);
                for (int k = 0; k < DOMAINS; k++) assertEquals(0, head.excess(k), "cleared");
            }
    }

    @Test
    void theExcessOfALossAboveTheClampIsThatOfTheClampAndAReferenceThatIsNoNumberHasNone() {
        for (boolean plain : new boolean[] {true, false})
            try (Backend<HostTensor> backend = plain ? PlainBackend.open() : fast(2)) {
                Head head = new Head(backend, 6, 2, 3, 3, 2.5);
                head.x.memory().fill((byte) 0); // every loss is log 3
                head.table.memory().fill((byte) 0);
                head.table.setFloat(0, -40);
                for (int r = 0; r < 6; r++) {
                    head.targets.setInt(r, 0);
                    head.domain.setInt(r, r % 2);
                    head.refLoss.setFloat(r, 1);
                }
                head.x.setFloat(2, 1); // row 1: the target's logit is -40
                head.x.setFloat(4, Float.NaN); // row 2
                head.refLoss.setFloat(3, Float.NaN);
                head.refLoss.setFloat(4, 2); // above the loss
                head.refLoss.setFloat(5, Float.NEGATIVE_INFINITY);
                head.runWithExcess(1);
                assertEquals(Math.log(3) - 1, head.excess(0), 1e-6);
                assertEquals(2.5 - 1 + 2.5, head.excess(1), 1e-6);
            }
    }

    @Test
    void referenceLossesAndAnExcessGoTogether() {
        try (Backend<HostTensor> backend = fast(1)) {
            Head head = new Head(backend, 2, 4, 5, 5, 1);
            for (boolean excess : new boolean[] {true, false}) {
                var e = assertThrows(
                        IllegalArgumentException.class,
                        () -> head.op.forwardBackward(
                                excess ? head.sumsWithExcess : head.sums,
                                head.dx,
                                head.dTable,
                                head.x,
                                head.table,
                                head.targets,
                                head.domain,
                                head.weight,
                                excess ? null : head.refLoss,
                                1,
                                false));
                assertTrue(e.getMessage().contains(excess ? "refLoss is null" : "excess is null"), e.getMessage());
            }
        }
    }

    /** Three updates against the textbook in doubles: clip, bias correction, decoupled decay. */
    @ParameterizedTest
    @CsvSource({"1, 0", "17, 0.5", "40000, 1"})
    void theUpdateIsAdamWs(int N, float clip) {
        AdamW.Settings settings = new AdamW.Settings(0.9f, 0.95f, 1e-8f, 0.1f, clip);
        double[] p = new double[N], m = new double[N], v = new double[N];
        try (Backend<HostTensor> backend = fast(3)) {
            AdamW<HostTensor> op = backend.adamW(N);
            AdamW.Control<HostTensor> control = op.allocateControl();
            HostTensor parameter = backend.allocate("test", DType.F32, N),
                    gradient = backend.allocate("test", DType.F32, N),
                    first = backend.allocate("test", DType.F32, N),
                    second = backend.allocate("test", DType.F32, N);
            LossHead.Sums<HostTensor> sums =
                    backend.lossHead(new LossHead.Shape(1, 2, 2, 2, 1, 1)).allocateSums();
            Random random = new Random(N);
            for (int i = 0; i < N; i++) parameter.setFloat(i, (float) (p[i] = (float) random.nextGaussian()));
            for (int t = 1; t <= 3; t++) {
                double squares = 0, rate = 1e-2f;
                double[] g = new double[N];
                for (int i = 0; i < N; i++) {
                    gradient.setFloat(i, (float) (g[i] = (float) random.nextGaussian()));
                    squares += g[i] * g[i];
                }
                control.learningRate_1().setFloat(0, (float) rate);
                op.update(parameter, gradient, first, second, sums, control, settings);
                double norm = Math.sqrt(squares), factor = clip > 0 && norm > clip ? clip / norm : 1;
                assertEquals(norm, control.gradNorm_1().getFloat(0), 1e-5 * norm);
                for (int i = 0; i < N; i++) {
                    double slope = factor * g[i];
                    m[i] = 0.9 * m[i] + 0.1 * slope;
                    v[i] = 0.95 * v[i] + 0.05 * slope * slope;
                    double step = m[i] / (1 - Math.pow(0.9, t)) / (Math.sqrt(v[i] / (1 - Math.pow(0.95, t))) + 1e-8);
                    p[i] -= rate * 0.1 * p[i] + rate * step;
                    assertEquals(
                            p[i], parameter.getFloat(i), 2e-6 * (1 + Math.abs(p[i])), "parameter " + i + " step " + t);
                }
            }
            assertEquals(3, control.counters_2().getLong(0));
            gradient.setFloat(N / 2, Float.NaN);
            float before = parameter.getFloat(0);
            op.update(parameter, gradient, first, second, sums, control, settings);
            assertEquals(before, parameter.getFloat(0), "a step that is not finite changes nothing");
            assertEquals(1, control.counters_2().getLong(1));
            gradient.setFloat(N / 2, 0);
            sums.flags_2().setLong(1, 1);
            op.update(parameter, gradient, first, second, sums, control, settings);
            assertEquals(2, control.counters_2().getLong(1), "a loss that was not finite skips too");
            assertEquals(before, parameter.getFloat(0));
        }
    }

    @Test
    void theFastUpdateIsThePlainOneToALastPlace() {
        int N = 1000;
        AdamW.Settings settings = new AdamW.Settings(0.9f, 0.95f, 1e-8f, 0.1f, 1);
        float[][] found = new float[2][N];
        for (int which = 0; which < 2; which++)
            try (Backend<HostTensor> backend = which == 0 ? PlainBackend.open() : fast(2)) {
                Random random = new Random(4);
                HostTensor[] t = new HostTensor[4];
                for (int i = 0; i < 4; i++) {
                    t[i] = backend.allocate("test", DType.F32, N);
                    for (int j = 0; j < N && i < 2; j++) t[i].setFloat(j, (float) random.nextGaussian());
                }
                AdamW<HostTensor> op = backend.adamW(N);
                AdamW.Control<HostTensor> control = op.allocateControl();
                control.learningRate_1().setFloat(0, 1e-3f);
                LossHead.Sums<HostTensor> sums =
                        backend.lossHead(new LossHead.Shape(1, 2, 2, 2, 1, 1)).allocateSums();
                op.update(t[0], t[1], t[2], t[3], sums, control, settings);
                for (int j = 0; j < N; j++) found[which][j] = t[0].getFloat(j);
            }
        for (int j = 0; j < N; j++)
            assertTrue(Math.abs(found[0][j] - found[1][j]) <= 4 * Math.ulp(found[0][j]), "element " + j);
    }
}
