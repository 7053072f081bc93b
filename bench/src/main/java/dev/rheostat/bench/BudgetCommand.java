package dev.rheostat.bench;

import dev.rheostat.config.ModelConfig;
import dev.rheostat.config.RunConfig;
import dev.rheostat.train.Trainer;
import java.io.PrintWriter;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** bench budget: the time that each op of a step should take on an H200, before anyone has measured it. Needs no GPU. */
@Command(
        name = "budget",
        mixinStandardHelpOptions = true,
        description = "Predict each op of a training step on one H200 from its bytes and FLOPs; needs no GPU.")
final class BudgetCommand implements Callable<Integer> {
    @Mixin
    private StepOptions options;

    @Mixin
    private JsonFile json;

    @Mixin
    private DomainsOption domains;

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() {
        RunConfig config = options.planned(Map.of());
        ModelConfig model = config.model();
        StepBudget budget = StepBudget.of(model, Trainer.slotLayout(config), domains.count());
        DeviceRates rates = DeviceRates.H200;
        double tokens = budget.slot().tokensPerStep(), predicted = budget.predictedSeconds(rates);
        PrintWriter out = spec.commandLine().getOut();
        TextTable table =
                new TextTable("op", "a step", "each us", "GB/s", "TFLOP/s", "floor ms", "predicted ms", "share");
        for (StepBudget.Item item : budget.items()) {
            OpCost cost = item.cost();
            double each = rates.predictedSeconds(cost);
            table.row(
                    cost.op(),
                    Integer.toString(item.count()),
                    number(each * 1e6, 1),
                    cost.limit().ofMemory() ? number(cost.rate(each) * 1e-9, 0) : "",
                    cost.limit().ofMemory() ? "" : number(cost.rate(each) * 1e-12, 0),
                    number(item.floorSeconds(rates) * 1e3, 2),
                    number(item.predictedSeconds(rates) * 1e3, 2),
                    number(100 * item.predictedSeconds(rates) / predicted, 1) + " %");
        }
        table.row(
                "step",
                budget.launches() + " nodes",
                "",
                "",
                "",
                number(budget.floorSeconds(rates) * 1e3, 2),
                number(predicted * 1e3, 2),
                "");
        out.println(StepBench.name(model) + ", " + config.batch().sequences() + " x " + model.context()
                + " tokens a step in " + config.batch().microBatches() + " micro-batch(es)," + " on one "
                + rates.device() + ", predicted");
        out.print(table);
        double products = budget.predictedSeconds(rates, limit -> limit == OpCost.Limit.PRODUCT),
                memory = budget.predictedSeconds(rates, OpCost.Limit::ofMemory);
        out.printf(
                Locale.ROOT,
                "products %.1f ms, attention %.1f ms, bound by memory %.1f ms%n",
                products * 1e3,
                (predicted - products - memory) * 1e3,
                memory * 1e3);
        out.printf(
                Locale.ROOT,
                "%,.0f tokens/s predicted, %,.0f at the floor%n",
                tokens / predicted,
                tokens / budget.floorSeconds(rates));
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("bench", "budget");
        line.put("model", StepBench.name(model));
        line.put("batch", config.batch().sequences());
        line.put("seq", model.context());
        line.put("device", rates.device());
        line.put("nodes", budget.launches());
        line.put("predicted_seconds", Machine.round(predicted));
        line.put("predicted_tokens_per_second", Machine.round(tokens / predicted));
        line.put("floor_tokens_per_second", Machine.round(tokens / budget.floorSeconds(rates)));
        json.write(new Machine().line(line));
        return 0;
    }

    private static String number(double value, int digits) {
        return String.format(Locale.ROOT, "%,." + digits + "f", value);
    }
}
