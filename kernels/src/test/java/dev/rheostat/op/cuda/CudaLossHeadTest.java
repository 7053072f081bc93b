package dev.rheostat.op.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rheostat.op.Backend;
import dev.rheostat.op.DType;
import dev.rheostat.op.HostTensor;
import dev.rheostat.op.LossHead;
import dev.rheostat.op.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

@Tag("kernels")
class CudaLossHeadTest {
    private static final double NO_CLAMP = 1e6;

    /** Less than a vector, one row, more rows than a warp has threads; the vocabularies of bytes, GPT-2 and Llama 3. */
    @ParameterizedTest
    @CsvSource({
        "1, 8, 5, 8, true",
        "9, 24, 257, 384, false",
        "140, 16, 300, 384, true",
        "3, 8, 50304, 50304, true",
        "2, 8, 128256, 128256, false"
    })
    void lossesAndGradientsAreAsCloseAsPlainBf16(int R, int C, int V, int Vp, boolean accumulate) {
        Random random = new Random(V + R);
        double[] weight_R = new double[R];
        for (int r = 0; r < R; r++) weight_R[r] = r % 4 == 1 ? 0 : 2 * random.nextDouble();
        LossHead.Shape shape = new LossHead.Shape(R, C, V, Vp, 3, NO_CLAMP);
        CudaOpCase c = new CudaOpCase(V)
                .roundings(2) // logits, then their gradients
                .bf16("x", R, C)
                .weight("table", Vp, C)
                .ints("targets", random.ints(R, 0, V).toArray())
                .ints("domain", random.ints(R, 0, 3).toArray())
                .f32("weight", weight_R, R)
                .output("tokenLoss", DType.F32, R)
                .output("dx", DType.BF16, R, C);
        if (accumulate) c.updated("dTable", DType.F32, Vp, C);
        else c.output("dTable", DType.F32, Vp, C);
        float scale = 1f / R;
        c.plainInBf16((backend, t) -> plainInBf16(shape, t, scale, accumulate)).check((backend, t) -> {
            var op = backend.lossHead(shape);
            var sums = op.allocateSums();
            op.forward(sums, t.get("tokenLoss"), t.get("x"), t.get("table"), t.get("targets"), t.get("domain"));
            op.forwardBackward(
                    sums,
                    t.get("dx"),
                    t.get("dTable"),
                    t.get("x"),
                    t.get("table"),
                    t.get("targets"),
                    t.get("domain"),
                    t.get("weight"),
                    null,
                    scale,
                    accumulate);
        });
    }

    /** The definition in doubles, but for logits and their gradients, which a chunk holds in bf16. */
    private static void plainInBf16(
            LossHead.Shape shape, Map<String, Tensor> tensors, float gradientScale, boolean accumulate) {
        HostTensor x = host(tensors, "x"), table = host(tensors, "table"), dx = host(tensors, "dx");
        HostTensor dTable = host(tensors, "dTable");
        int C = shape.width(), V = shape.vocabulary();
        for (long i = 0; i < dTable.size() && !accumulate; i++) dTable.setDouble(i, 0);
        for (int r = 0; r < shape.rows(); r++) {
            double[] logit_V = new double[V];
            double sum = 0;
            for (int v = 0; v < V; v++) {
                for (int c = 0; c < C; c++)
                    logit_V[v] += x.getDouble((long) r * C + c) * table.getDouble((long) v * C + c);
                logit_V[v] = toBf16(logit_V[v]);
                sum += Math.exp(logit_V[v]);
            }
            int target = host(tensors, "targets").getInt(r);
            host(tensors, "tokenLoss").setDouble(r, Math.log(sum) - logit_V[target]);
            double scale = gradientScale * host(tensors, "weight").getDouble(r);
            double[] dx_C = new double[C];
            for (int v = 0; v < V; v++) {
                double dLogit = toBf16(scale * (Math.exp(logit_V[v]) / sum - (v == target ? 1 : 0)));
                for (int c = 0; c < C; c++) {
                    long at = (long) v * C + c;
                    dx_C[c] += dLogit * table.getDouble(at);
                    dTable.setDouble(at, dTable.getDouble(at) + dLogit * x.getDouble((long) r * C + c));
                }
            }
            for (int c = 0; c < C; c++) dx.setDouble((long) r * C + c, dx_C[c]);
        }
    }

    private static HostTensor host(Map<String, Tensor> tensors, String name) {
        return (HostTensor) tensors.get(name);
    }

    private static double toBf16(double x) {
        return Float.intBitsToFloat(DeviceValues.roundedToBf16((float) x) << 16);
    }

    /** What the sums hold, read back. */
    private record Totals(
            List<Long> lossSum_K, List<Long> tokenCount_K, long clamped, long notFinite, List<Long> excessSum_K) {
        Totals withoutExcess() {
            return new Totals(lossSum_K, tokenCount_K, clamped, notFinite, List.of());
        }

        double nats(int k) {
            return lossSum_K.get(k) / LossHead.FIXED_POINT;
        }
    }

    /** A head with its inputs on a device. */
    private static final class Head {
        final DeviceValues values;
        final LossHead<DeviceTensor> op;
        final LossHead.Sums<DeviceTensor> sums, sumsWithExcess;
        final LossHead.Shape shape;
        final float[] x, table, weight, refLoss;
        final int[] targets, domain;
        final DeviceTensor tokenLoss, dx, dTable;
        private final Backend<DeviceTensor> backend;

        Head(Backend<DeviceTensor> backend, LossHead.Shape shape) {
            this(backend, backend.lossHead(shape), shape);
        }

        Head(Backend<DeviceTensor> backend, LossHead<DeviceTensor> op, LossHead.Shape shape) {
            this.backend = backend;
            this.op = op;
            this.shape = shape;
            values = new DeviceValues(backend);
            sums = op.allocateSums();
            sumsWithExcess = op.allocateSumsWithExcess();
            int R = (int) shape.rows(), C = shape.width(), Vp = shape.paddedVocabulary();
            Random random = new Random(R + 31L * Vp);
            x = floats(random, R * C);
            table = floats(random, Vp * C); // padding rows too
            targets = random.ints(R, 0, shape.vocabulary()).toArray();
            domain = random.ints(R, 0, shape.domains()).toArray();
            weight = new float[R];
            Arrays.fill(weight, 1);
            refLoss = floats(random, R);
            for (int r = 0; r < R; r++) refLoss[r] += (float) Math.log(shape.vocabulary()); // near the losses
            tokenLoss = backend.allocate("test", DType.F32, R);
            dx = backend.allocate("test", DType.BF16, R, C);
            dTable = backend.allocate("test", DType.F32, Vp, C);
        }

        private static float[] floats(Random random, int count) {
            float[] values = new float[count];
            for (int i = 0; i < count; i++) values[i] = 2 * random.nextFloat() - 1;
            return values;
        }

        Totals forward() {
            op.clear(sums);
            op.forward(sums, tokenLoss, values.bf16(x), table(), values.ints(targets), values.ints(domain));
            return totals(sums);
        }

        Totals forwardBackward(float scale) {
            return forwardBackward(sums, null, scale);
        }

        Totals forwardBackwardWithExcess(float scale) {
            return forwardBackward(sumsWithExcess, values.floats(refLoss), scale);
        }

        private Totals forwardBackward(LossHead.Sums<DeviceTensor> into, DeviceTensor reference, float scale) {
            op.clear(into);
            op.forwardBackward(
                    into,
                    dx,
                    dTable,
                    values.bf16(x),
                    table(),
                    values.ints(targets),
                    values.ints(domain),
                    values.floats(weight),
                    reference,
                    scale,
                    false);
            return totals(into);
        }

        private DeviceTensor table() {
            return values.weights(table).view(0, shape.paddedVocabulary(), shape.width());
        }

        private Totals totals(LossHead.Sums<DeviceTensor> of) {
            long[] flags = values.longs(of.flags_2());
            List<Long> excess = of.excessSum_K() == null ? List.of() : boxed(of.excessSum_K());
            return new Totals(boxed(of.lossSum_K()), boxed(of.tokenCount_K()), flags[0], flags[1], excess);
        }

        /** Of the losses that the last {@link #forward} left, exactly. */
        List<Long> excessByFormula() {
            long[] sum_K = new long[shape.domains()];
            float[] loss_R = losses();
            for (int r = 0; r < loss_R.length; r++) {
                double above = Math.min(loss_R[r], shape.clampNats()) - refLoss[r];
                sum_K[domain[r]] += (long) Math.rint(Math.clamp(above, 0, shape.clampNats()) * LossHead.FIXED_POINT);
            }
            return Arrays.stream(sum_K).boxed().toList();
        }

        private List<Long> boxed(DeviceTensor x) {
            return Arrays.stream(values.longs(x)).boxed().toList();
        }

        float[] losses() {
            return values.floats(tokenLoss);
        }

        float[] dxOfRow(int r) {
            int C = shape.width();
            return Arrays.copyOfRange(values.bf16(dx), r * C, (r + 1) * C);
        }

        void shuffleRows(Random random) {
            List<Integer> order = new ArrayList<>();
            for (int r = 0; r < targets.length; r++) order.add(r);
            Collections.shuffle(order, random);
            float[] oldX = x.clone();
            int[] oldTargets = targets.clone(), oldDomain = domain.clone();
            for (int r = 0; r < targets.length; r++) {
                int from = order.get(r);
                System.arraycopy(oldX, from * shape.width(), x, r * shape.width(), shape.width());
                targets[r] = oldTargets[from];
                domain[r] = oldDomain[from];
            }
        }
    }

    /** The loss of a token, as the sums take it: 2^-32 nats, exactly. */
    @ParameterizedTest
    @ValueSource(ints = {1, 3, 22, 4096})
    void theSumsAreTheTokensLossesToTheLastBit(int K) {
        try (CudaUnderTest device = CudaUnderTest.open()) {
            double clamp = 6.5; // in the middle of the losses
            Head head = new Head(device.backend(), new LossHead.Shape(150, 16, 500, 512, K, clamp));
            Totals found = head.forward();
            long[] sum_K = new long[K], count_K = new long[K];
            long clamped = 0;
            float[] loss_R = head.losses();
            for (int r = 0; r < loss_R.length; r++) {
                if (loss_R[r] > clamp) clamped++;
                sum_K[head.domain[r]] += (long) Math.rint(Math.min(loss_R[r], clamp) * LossHead.FIXED_POINT);
                count_K[head.domain[r]]++;
            }
            assertEquals(Arrays.stream(sum_K).boxed().toList(), found.lossSum_K());
            assertEquals(Arrays.stream(count_K).boxed().toList(), found.tokenCount_K());
            assertEquals(clamped, found.clamped());
            assertTrue(clamped > 0 && clamped < 150, clamped + " of 150 clamped");
            assertEquals(0, found.notFinite());
            assertEquals(found, head.forwardBackward(1), "the pass that makes gradients adds the same");
        }
    }

    /** Two blocks that each take several rows, in any order of threads; what is no excess has the bits it has without. */
    @ParameterizedTest
    @ValueSource(ints = {1, 3, 22, 4096})
    void theExcessIsWhatEachLossIsAboveItsReferenceToTheLastBit(int K) {
        try (CudaUnderTest device = CudaUnderTest.open()) {
            Head head = new Head(device.backend(), new LossHead.Shape(150, 16, 500, 512, K, 6.5));
            for (int r = 0; r < head.weight.length; r++) head.weight[r] = 0.5f + r % 3;
            Totals without = head.forwardBackward(0.5f);
            byte[] dx = head.values.bytes(head.dx), dTable = head.values.bytes(head.dTable);
            head.forward();
            List<Long> expected = head.excessByFormula();
            assertTrue(expected.stream().anyMatch(sum -> sum > 0), "no loss is above its reference");
            device.inEveryThreadOrder(order -> {
                Totals found = head.forwardBackwardWithExcess(0.5f);
                assertEquals(expected, found.excessSum_K(), order);
                assertEquals(without, found.withoutExcess(), order);
                assertArrayEquals(dx, head.values.bytes(head.dx), order);
                assertArrayEquals(dTable, head.values.bytes(head.dTable), order);
            });
            Arrays.fill(head.refLoss, 1e3f);
            assertEquals(
                    Collections.nCopies(K, 0L),
                    head.forwardBackwardWithExcess(0.5f).excessSum_K());
        }
    }

    @Test
    void allTokensOfOneDomainAndAnyOrderOfRows() {
        try (CudaUnderTest device = CudaUnderTest.open()) {
            Head head = new Head(device.backend(), new LossHead.Shape(70, 8, 257, 384, 22, NO_CLAMP));
            Totals spread = head.forward();
            Random random = new Random(2);
            for (int i = 0; i < 3; i++) {
                head.shuffleRows(random);
                device.inEveryThreadOrder(order -> assertEquals(spread, head.forward(), order));
            }
            Arrays.fill(head.domain, 7);
            Totals one = head.forward();
            assertEquals(70, one.tokenCount_K().get(7));
            assertEquals(
                    spread.lossSum_K().stream().mapToLong(Long::longValue).sum(),
                    one.lossSum_K().get(7));
        }
    }

    /** Logits all zero: each loss is log 3, each probability a third. */
    @Test
    void threeEqualLogits() {
        try (CudaUnderTest device = CudaUnderTest.open()) {
            Head head = new Head(device.backend(), new LossHead.Shape(2, 8, 3, 8, 2, NO_CLAMP));
            Arrays.fill(head.x, 0);
            Arrays.fill(head.table, 0);
            head.table[0] = 3; // row 0 of the table, first column
            head.table[3 * 8] = 99; // padding: has no probability
            head.targets[0] = 0;
            head.targets[1] = 2;
            head.domain[0] = 0;
            head.domain[1] = 1;
            Totals totals = head.forwardBackward(0.5f);
            assertEquals(List.of(1L, 1L), totals.tokenCount_K());
            for (int k = 0; k < 2; k++) assertEquals(Math.log(3), totals.nats(k), 1e-6);
            // 0.5 (1/3 - 1) 3 and 0.5 (1/3) 3, through a gradient that is rounded to bf16
            assertEquals(-1, head.dxOfRow(0)[0], 1.0 / 128);
            assertEquals(0.5, head.dxOfRow(1)[0], 1.0 / 256);
            assertEquals(0, head.dxOfRow(0)[1]);
        }
    }

    @Test
    void aLossAboveTheClampIsCutAndCountedAndOneThatIsNotFiniteAddsNothing() {
        try (CudaUnderTest device = CudaUnderTest.open()) {
            Head head = new Head(device.backend(), new LossHead.Shape(6, 8, 3, 8, 2, 2.5));
            Arrays.fill(head.x, 0);
            Arrays.fill(head.table, 0);
            Arrays.fill(head.targets, 0);
            head.table[0] = -40;
            head.table[8] = 2; // of vocabulary entry 1
            for (int r = 0; r < 6; r++) head.domain[r] = r % 2;
            head.x[8] = 1; // row 1: the target's logit is -40, another's 2
            head.x[2 * 8] = Float.NaN; // row 2
            head.x[3 * 8] = -3e38f; // row 3: the target's logit is infinite
            head.x[4 * 8] = 3e38f; // row 4: minus infinite, another's infinite
            Totals totals = head.forwardBackward(1);
            assertEquals(1, totals.clamped());
            assertEquals(3, totals.notFinite());
            assertEquals(List.of(1L, 2L), totals.tokenCount_K());
            assertEquals(Math.log(3), totals.nats(0), 1e-6);
            assertEquals(2.5 + Math.log(3), totals.nats(1), 1e-6);
            for (int r = 2; r < 5; r++) assertArrayEquals(new float[8], head.dxOfRow(r), "row " + r);
            assertTrue(head.dxOfRow(5)[0] != 0);
            assertEquals(totals, head.forward());
            Arrays.fill(head.refLoss, 1);
            head.refLoss[0] = Float.NEGATIVE_INFINITY;
            head.refLoss[5] = Float.NaN;
            Totals found = head.forwardBackwardWithExcess(1);
            assertEquals(totals, found.withoutExcess());
            assertEquals(2.5, found.excessSum_K().get(0) / LossHead.FIXED_POINT);
            assertEquals(2.5 - 1, found.excessSum_K().get(1) / LossHead.FIXED_POINT);
        }
    }

    /** A logit of minus infinity is a probability of zero, no fault, unless it is the target's. */
    @Test
    void aLogitOfMinusInfinityHasNoProbability() {
        try (CudaUnderTest device = CudaUnderTest.open()) {
            Head head = new Head(device.backend(), new LossHead.Shape(2, 8, 40, 128, 1, NO_CLAMP));
            Arrays.fill(head.x, 0);
            Arrays.fill(head.table, 0);
            head.x[0] = head.x[8] = 1e20f;
            for (int v = 0; v < 16; v++) head.table[8 * v] = -3e38f; // more than what one thread sees first
            head.targets[0] = 20;
            head.targets[1] = 3;
            Totals totals = head.forward();
            assertEquals(Math.log(24), totals.nats(0), 1e-5);
            assertEquals(1, totals.tokenCount_K().get(0));
            assertEquals(1, totals.notFinite());
        }
    }

    @Test
    void aTokenOfWeightZeroIsCountedAndTeachesNothing() {
        try (CudaUnderTest device = CudaUnderTest.open()) {
            Head head = new Head(device.backend(), new LossHead.Shape(4, 8, 50, 128, 2, NO_CLAMP));
            Totals even = head.forwardBackward(1);
            float[] before = head.dxOfRow(2);
            head.weight[1] = 0;
            head.weight[2] = 2;
            assertEquals(even, head.forwardBackward(1), "losses are not weighted");
            assertArrayEquals(new float[8], head.dxOfRow(1));
            float[] after = head.dxOfRow(2);
            for (int c = 0; c < 8; c++) assertEquals(2 * before[c], after[c], "a power of two changes no bit");
        }
    }

    /** Rows in chunks, the last one shorter: nobody can tell but the order in which f32 gradients of the table are added. */
    @Test
    void chunksOfRowsChangeNoSum() {
        try (CudaUnderTest device = CudaUnderTest.open()) {
            LossHead.Shape shape = new LossHead.Shape(300, 8, 100, 128, 3, NO_CLAMP);
            long rowBytes = 2L * shape.paddedVocabulary();
            assertEquals(128, CudaLossHead.chunkRows(shape, 200 * rowBytes));
            Head whole = new Head(device.backend(), shape);
            var chunked = new CudaLossHead(device.ops(), device.backend().gemm(), shape, 200 * rowBytes);
            Head parts = new Head(device.backend(), chunked, shape);
            assertEquals(whole.forward(), parts.forward());
            assertArrayEquals(whole.losses(), parts.losses());
            assertEquals(whole.forwardBackward(1), parts.forwardBackward(1));
            assertEquals(whole.forwardBackwardWithExcess(1), parts.forwardBackwardWithExcess(1));
            assertArrayEquals(whole.values.bytes(whole.dx), parts.values.bytes(parts.dx));
            assertArrayEquals(whole.values.floats(whole.dTable), parts.values.floats(parts.dTable), 1e-4f);
        }
    }

    /** Nine rows of logits on the device, for launches of the kernels alone. */
    private static final class Chunk {
        final DeviceValues values;
        final DeviceTensor targets, domain, weight, tokenLoss;
        final Head head;
        final CudaOps ops;

        Chunk(CudaUnderTest device) {
            ops = device.ops();
            head = new Head(device.backend(), new LossHead.Shape(9, 8, 257, 384, 3, NO_CLAMP));
            values = head.values;
            targets = values.ints(head.targets);
            domain = values.ints(head.domain);
            weight = values.floats(head.weight);
            tokenLoss = head.tokenLoss;
        }

        DeviceTensor logits() {
            return values.bf16(Head.floats(new Random(8), 9 * 384));
        }

        /** @return the gradients' bits */
        short[] backward(CudaLossKernel.RowPlan plan, int multiprocessors) {
            DeviceTensor logits = logits();
            head.op.clear(head.sums);
            ops.kernel("loss_head_backward")
                    .pointer(logits)
                    .pointer(tokenLoss)
                    .pointer(head.sums.lossSum_K())
                    .pointer(head.sums.tokenCount_K())
                    .pointer(head.sums.flags_2())
                    .pointer(targets)
                    .pointer(domain)
                    .pointer(weight)
                    .i64(9)
                    .i32(257)
                    .i32(plan.vectors())
                    .i32(plan.heldVectors())
                    .f32(0.5f)
                    .f64(NO_CLAMP)
                    .launch(plan.launch(9, multiprocessors));
            return values.bf16Bits(logits);
        }

        short[] withoutSums(CudaLossKernel.RowPlan plan) {
            DeviceTensor logits = logits();
            ops.kernel("loss_head_backward_without_sums")
                    .pointer(logits)
                    .pointer(tokenLoss)
                    .pointer(targets)
                    .pointer(weight)
                    .i64(9)
                    .i32(257)
                    .i32(plan.vectors())
                    .i32(plan.heldVectors())
                    .f32(0.5f)
                    .launch(plan.launch(9, 1));
            return values.bf16Bits(logits);
        }
    }

    /** What the sums cost is measured against a kernel without them: it must do the rest. */
    @Test
    void withoutSumsTheGradientsAreTheSame() {
        try (CudaUnderTest device = CudaUnderTest.open()) {
            Chunk chunk = new Chunk(device);
            CudaLossKernel.RowPlan plan =
                    CudaLossKernel.RowPlan.of(384, device.ops().sharedBytesPerBlock());
            short[] expected = chunk.backward(plan, 1);
            float[] losses = chunk.head.losses();
            assertArrayEquals(expected, chunk.withoutSums(plan));
            assertArrayEquals(losses, chunk.head.losses());
        }
    }

    /** Two blocks that each take several rows, of which shared memory holds two thirds, against a block for each row. */
    @Test
    void blocksThatStayAndRowsThatDoNotFitGiveTheSameBits() {
        try (CudaUnderTest device = CudaUnderTest.open()) {
            Chunk chunk = new Chunk(device);
            var whole = new CudaLossKernel.RowPlan(48, 48, 32, 1024 + 16 * 48, 1);
            var part = new CudaLossKernel.RowPlan(48, 32, 32, 1024 + 16 * 32, 1);
            short[] expected = chunk.backward(whole, 9);
            Totals totals = chunk.head.totals(chunk.head.sums);
            device.inEveryThreadOrder(order -> {
                assertArrayEquals(expected, chunk.backward(whole, 2), order);
                assertEquals(totals, chunk.head.totals(chunk.head.sums), order);
                assertArrayEquals(expected, chunk.backward(part, 2), order);
                assertEquals(totals, chunk.head.totals(chunk.head.sums), order);
            });
        }
    }

    /** Shared memory a block may ask for, by compute capability (CUDA programming guide, table of technical specifications). */
    @ParameterizedTest
    @CsvSource({
        "50304, 227, 6288, 512, 2", // two rows on an H100
        "50304, 163, 6288, 1024, 1", // one on an A100
        "128256, 227, 14336, 1024, 1",
        "128256, 163, 10240, 1024, 1",
        "50304, 99, 6144, 1024, 1", // an RTX: not all of the row
        "384, 227, 48, 32, 32"
    })
    void aRowIsHeldWholeWhereItFits(int Vp, int sharedKib, int held, int threads, int blocks) {
        CudaLossKernel.RowPlan plan = CudaLossKernel.RowPlan.of(Vp, sharedKib << 10);
        assertEquals(held, plan.heldVectors());
        assertEquals(threads, plan.threads());
        assertEquals(blocks, plan.blocksPerMultiprocessor());
        assertTrue(plan.sharedBytes() <= sharedKib << 10);
    }

    @ParameterizedTest
    @CsvSource({"65536, 50304, 16384", "65537, 50304, 16512", "16384, 50304, 16384", "7, 257, 7", "65536, 128256, 8192"
    })
    void chunksAreNearlyEqual(long R, int Vp, long rows) {
        LossHead.Shape shape = new LossHead.Shape(R, 8, Vp, Vp, 1, NO_CLAMP);
        assertEquals(rows, CudaLossHead.chunkRows(shape, CudaLossHead.CHUNK_BYTES));
    }

    @Test
    void whatDoesNotFitIsRefusedAtTheDoor() {
        try (CudaUnderTest device = CudaUnderTest.open()) {
            Backend<DeviceTensor> backend = device.backend();
            assertThrows(IllegalArgumentException.class, () -> backend.lossHead(new LossHead.Shape(1, 8, 5, 5, 1, 1)));
            assertThrows(IllegalArgumentException.class, () -> backend.lossHead(new LossHead.Shape(1, 8, 9, 8, 1, 1)));
            Head head = new Head(backend, new LossHead.Shape(2, 8, 5, 8, 1, 1));
            DeviceTensor x = head.values.bf16(new float[16]), ints = head.values.ints(0, 0);
            var noCopy = assertThrows(
                    IllegalArgumentException.class,
                    () -> head.op.forward(
                            head.sums,
                            null,
                            x,
                            head.values.floats(new float[64]).view(0, 8, 8),
                            ints,
                            ints));
            assertTrue(noCopy.getMessage().contains("no bf16 copy"), noCopy.getMessage());
        }
    }
}
