package dev.rheostat.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rheostat.op.AttentionShape;
import dev.rheostat.op.SlotLayout;
import java.io.PrintWriter;
import java.io.StringWriter;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class StepBudgetTest {
    private static final DeviceRates H200 = DeviceRates.H200;

    private static StepBudget budget(String shape) {
        KernelShape s = KernelShape.of(shape);
        return StepBudget.of(s.model(), s.slot(), 22);
    }

    private static double floorMicros(String shape, String op) {
        return 1e6
                * budget(shape).items().stream()
                        .map(StepBudget.Item::cost)
                        .filter(cost -> cost.op().equals(op))
                        .mapToDouble(H200::floorSeconds)
                        .findFirst()
                        .orElseThrow();
    }

    /** Each kernel's header works its own time out, by hand and to two digits; micro-batches of 64 x 1024 and 8 x 2048. */
    @ParameterizedTest
    @CsvSource({
        "norm forward, 48, 32",
        "norm backward, 96, 64",
        "qk rotary forward, 99, 65",
        "qk rotary backward, 147, 97",
        "swiglu forward, 192, 128",
        "swiglu backward, 320, 213",
        "embedding forward, 48, 32",
        "embedding backward, 59, 40" // the sort's twelve are launches
    })
    void opsTakeWhatTheirHeadersPredict(String op, double small, double large) {
        assertEquals(1, floorMicros("ado-124m", op) / small, 0.03);
        assertEquals(1, floorMicros("ado-1.3b", op) / large, 0.04);
    }

    @Test
    void lossKernelAndAdamWTakeWhatTheirHeadersPredict() {
        double chunks = 4; // of 16,384 rows
        assertEquals(1, chunks * floorMicros("ado-124m", "loss kernel") / 3100, 0.03);
        assertEquals(1, floorMicros("ado-124m", "adamw") / 1010, 0.03);
        assertEquals(1, floorMicros("ado-1.3b", "adamw") / 10_650, 0.03);
    }

    /** 64 sequences of 12 heads fill 132 multiprocessors to 97 %, 8 of them to 73 %. */
    @ParameterizedTest
    @CsvSource({"64, ATTENTION_BACKWARD_BY_HEADS, 862", "8, ATTENTION_BACKWARD_BY_TILES, 151"})
    void attentionsBackwardPassIsTheOneThatIsTaken(int sequences, OpCost.Limit limit, double micros) {
        OpCost cost = OpCost.attentionBackward(new AttentionShape(sequences, 1024, 12, 12, 64), H200.multiprocessors());
        assertEquals(limit, cost.limit());
        assertEquals(micros, 1e6 * H200.predictedSeconds(cost), 1);
    }

    /**
     * 6 N and 6 T C a layer, by the token: 798 and 8,470 MFLOP, as the design has them. They do not count, as attention's own
     * convention does, that its backward pass makes the scores again: a fifth of that pass.
     */
    @ParameterizedTest
    @CsvSource({"ado-124m, 798e6", "ado-1.3b, 8470e6"})
    void theStepsFlopsAreTheCausalCount(String shape, double flopsPerToken) {
        StepBudget budget = budget(shape);
        double flops = budget.items().stream()
                .mapToDouble(item ->
                        item.count() * item.cost().flops() * (item.cost().op().equals("attention backward") ? 0.8 : 1))
                .sum();
        assertEquals(1, flops / budget.slot().tokensPerStep() / flopsPerToken, 0.002);
    }

    @Test
    void microBatchesRepeatAllButTheOptimizer() {
        KernelShape s = KernelShape.of("ado-124m");
        StepBudget one = budget("ado-124m"),
                two =
                        StepBudget.of(
                                s.model(),
                                new SlotLayout(2 * s.sequences(), 2, s.model().context()),
                                22);
        long once = 3 + 3 + 1; // begin, two fills; AdamW's three; publish
        assertEquals(2 * (one.launches() - once), two.launches() - once);
    }

    @Test
    void predictionsAreAtLeastTheFloor() {
        for (StepBudget.Item item : budget("ado-1.3b").items())
            assertTrue(
                    item.predictedSeconds(H200) > item.floorSeconds(H200),
                    () -> item.cost().toString());
    }

    @Test
    void aBlockThatIsNotCountedIsRefused() {
        StringWriter out = new StringWriter(), err = new StringWriter();
        int code = BenchMain.execute(new PrintWriter(out), new PrintWriter(err), "budget", "--set", "model.bias=true");
        assertEquals(2, code, err.toString());
        assertEquals(1, err.toString().lines().count());
    }
}
