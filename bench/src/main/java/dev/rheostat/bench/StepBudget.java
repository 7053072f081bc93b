package dev.rheostat.bench;

import dev.rheostat.config.ModelConfig;
import dev.rheostat.config.ModelConfig.Mlp;
import dev.rheostat.config.ModelConfig.Positions;
import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RheostatException.Kind;
import dev.rheostat.model.ParameterLayout;
import dev.rheostat.op.AttentionShape;
import dev.rheostat.op.LossHead;
import dev.rheostat.op.SlotLayout;
import dev.rheostat.op.cuda.CudaLossHead;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;

/** Every op of one training step on a GPU, in the order of its first run, and how often it runs. */
record StepBudget(ModelConfig model, SlotLayout slot, List<Item> items) {
    /** @param count times a step */
    record Item(int count, OpCost cost) {
        double floorSeconds(DeviceRates rates) {
            return count * rates.floorSeconds(cost);
        }

        double predictedSeconds(DeviceRates rates) {
            return count * rates.predictedSeconds(cost);
        }
    }

    private static final int F32 = 4, BF16 = 2;

    /**
     * @param model resolved
     * @param domains K
     * @throws RheostatException BAD_REQUEST for a block with biases, gains of norms or learned positions: their kernels are not
     *     counted here
     */
    static StepBudget of(ModelConfig model, SlotLayout slot, int domains) {
        if (!knows(model))
            throw new RheostatException(
                    Kind.BAD_REQUEST,
                    "the budget knows the block of the presets: model.bias and model.normGain false, model.qkNorm true,"
                            + " model.positions rotary");
        List<Item> items = new ArrayList<>();
        ParameterLayout layout = ParameterLayout.of(model);
        long parameters = layout.size();
        int micro = slot.microBatches(), layers = micro * model.layers();
        items.add(new Item(1, OpCost.stepBegin(slot)));
        items.add(new Item(1, OpCost.fill("clear sums", 16.0 * domains + 16)));
        items.add(new Item(1, OpCost.fill("zero gradients", (double) F32 * (parameters - layout.products()))));
        items.add(new Item(micro, OpCost.stepLoad(slot)));
        forward(items, model, slot, micro, layers);
        lossHead(items, model, slot, micro);
        backward(items, model, slot, micro, layers);
        items.add(new Item(1, OpCost.adamW(parameters)));
        items.add(new Item(1, OpCost.stepPublish(domains)));
        return new StepBudget(model, slot, merged(items));
    }

    /** Whether the model's block is the one whose kernels are counted here. */
    static boolean knows(ModelConfig model) {
        return !model.bias() && !model.normGain() && model.positions() == Positions.ROTARY && model.qkNorm();
    }

    /** Equal ops once, where the first of them is. */
    private static List<Item> merged(List<Item> items) {
        Map<OpCost, Integer> counts = new LinkedHashMap<>();
        for (Item item : items) counts.merge(item.cost, item.count, Integer::sum);
        return counts.entrySet().stream()
                .map(entry -> new Item(entry.getValue(), entry.getKey()))
                .toList();
    }

    static AttentionShape attention(ModelConfig m, SlotLayout slot) {
        return new AttentionShape(
                slot.sequences() / slot.microBatches(), slot.tokens(), m.heads(), m.kvHeads(), m.headWidth());
    }

    /** Rows of logits that exist at a time. */
    static long chunkRows(ModelConfig m, long rows) {
        return CudaLossHead.chunkRows(new LossHead.Shape(rows, m.width(), m.vocabulary(), m.paddedVocabulary(), 1, 1));
    }

    private static void forward(List<Item> items, ModelConfig m, SlotLayout slot, int micro, int layers) {
        long R = slot.rows(), C = m.width(), F = m.mlpWidth();
        AttentionShape s = attention(m, slot);
        items.add(new Item(micro, OpCost.embeddingForward(R, C)));
        items.add(new Item(micro + 2 * layers, OpCost.normForward(R, C)));
        items.add(new Item(layers, OpCost.product("qkv", R, m.qkvWidth(), C, BF16, 0)));
        items.add(new Item(layers, OpCost.rotaryForward(s)));
        items.add(new Item(layers, OpCost.attentionForward(s)));
        items.add(new Item(layers, OpCost.product("attention out", R, C, C, BF16, 1)));
        items.add(new Item(layers, OpCost.product("mlp up", R, m.mlpInWidth(), C, BF16, 0)));
        items.add(new Item(layers, m.mlp() == Mlp.SWIGLU ? OpCost.swigluForward(R, F) : OpCost.geluForward(R, F)));
        items.add(new Item(layers, OpCost.product("mlp down", R, C, F, BF16, 1)));
    }

    private static void lossHead(List<Item> items, ModelConfig m, SlotLayout slot, int micro) {
        for (OpCost cost : lossHead(m, slot.rows(), micro)) items.add(new Item(micro, cost));
    }

    /** Loss and gradient of so many rows, chunk by chunk. @param micro batches a step, of which the first writes the table's gradient */
    static List<OpCost> lossHead(ModelConfig m, long rows, int micro) {
        long C = m.width(), Vp = m.paddedVocabulary(), chunk = chunkRows(m, rows), chunks = (rows + chunk - 1) / chunk;
        List<OpCost> costs = new ArrayList<>();
        for (long first = 0; first < rows; first += chunk) {
            long count = Math.min(chunk, rows - first);
            costs.add(OpCost.product("logits", count, Vp, C, BF16, 0));
            costs.add(OpCost.lossKernel("loss kernel", count, Vp));
            costs.add(OpCost.product("logits dx", count, C, Vp, BF16, 0));
            costs.add(OpCost.product("logits dW", Vp, C, count, F32, allButOne(micro * chunks)));
        }
        return costs;
    }

    private static void backward(List<Item> items, ModelConfig m, SlotLayout slot, int micro, int layers) {
        long R = slot.rows(), C = m.width(), F = m.mlpWidth();
        AttentionShape s = attention(m, slot);
        items.add(new Item(micro, OpCost.fill("zero dx", (double) BF16 * R * C)));
        items.add(new Item(micro + 2 * layers, OpCost.normBackward(R, C)));
        linearBackward(items, "mlp down", R, C, F, micro, layers);
        items.add(new Item(layers, m.mlp() == Mlp.SWIGLU ? OpCost.swigluBackward(R, F) : OpCost.geluBackward(R, F)));
        linearBackward(items, "mlp up", R, m.mlpInWidth(), C, micro, layers);
        linearBackward(items, "attention out", R, C, C, micro, layers);
        items.add(new Item(layers, OpCost.attentionBackward(s, DeviceRates.H200.multiprocessors())));
        items.add(new Item(layers, OpCost.rotaryBackward(s)));
        linearBackward(items, "qkv", R, m.qkvWidth(), C, micro, layers);
        items.add(new Item(micro, OpCost.embeddingBackward(R, C, m.paddedVocabulary())));
    }

    /** Of runs that add up, the share that reads what was there. */
    private static double allButOne(long runs) {
        return (runs - 1.0) / runs;
    }

    private static void linearBackward(List<Item> items, String name, long R, long out, long in, int micro, int count) {
        items.add(new Item(count, OpCost.product(name + " dW", out, in, R, F32, allButOne(micro))));
        items.add(new Item(count, OpCost.product(name + " dx", R, in, out, BF16, 0)));
    }

    /** Kernels, copies and fills: the nodes of the step's graph, where a product is one kernel. */
    long launches() {
        return items.stream()
                .mapToLong(item -> (long) item.count * item.cost.launches())
                .sum();
    }

    double floorSeconds(DeviceRates rates) {
        return items.stream().mapToDouble(item -> item.floorSeconds(rates)).sum();
    }

    double predictedSeconds(DeviceRates rates) {
        return predictedSeconds(rates, limit -> true);
    }

    /** Of the ops that are bound by these. */
    double predictedSeconds(DeviceRates rates, Predicate<OpCost.Limit> limits) {
        return items.stream()
                .filter(item -> limits.test(item.cost.limit()))
                .mapToDouble(item -> item.predictedSeconds(rates))
                .sum();
    }
}
