package dev.rheostat.cli;

import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RheostatException.Kind;
import dev.rheostat.config.RunConfig;
import dev.rheostat.data.DatasetFolder;
import dev.rheostat.data.TokenDataset;
import dev.rheostat.op.Backend;
import dev.rheostat.op.SlotLayout;
import dev.rheostat.op.Tensor;
import dev.rheostat.report.Figures;
import dev.rheostat.report.TextSummary;
import dev.rheostat.train.Backends;
import dev.rheostat.train.EvalStep;
import dev.rheostat.train.SavedModel;
import dev.rheostat.train.Validation;
import dev.rheostat.train.Validator;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** eval RUNDIR: loss by domain of a saved model, on its own dataset or on another of the same tokenizer. */
@Command(
        name = "eval",
        mixinStandardHelpOptions = true,
        description = "Print a saved model's validation loss in every domain of a dataset.")
final class EvalCommand implements Callable<Integer> {
    @Parameters(paramLabel = "RUNDIR", description = "The run whose model is evaluated.")
    private Path run;

    @Option(names = "--data", paramLabel = "DATASET", description = "Another dataset than the run's.")
    private String data;

    @Option(names = "--windows", paramLabel = "N", description = "Windows of each domain, at most; default: the run's.")
    private Integer windows;

    @Option(names = "--device", defaultValue = "auto", paramLabel = "DEVICE", description = SavedModel.DEVICE)
    private String device;

    @Option(names = "--checkpoint", defaultValue = "newest", paramLabel = "WHICH", description = SavedModel.WHICH)
    private String checkpoint;

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() {
        if (windows != null && windows < 1)
            throw new RheostatException(Kind.BAD_REQUEST, "--windows: " + windows + " is not above 0");
        SavedModel model =
                SavedModel.open(run, checkpoint, device, spec.commandLine().getErr()::println);
        RunConfig config = model.config();
        try (DatasetFolder folder = Datasets.open(
                        data == null ? config.data().dataset() : data,
                        spec.commandLine().getErr()::println);
                Backend<?> backend = Backends.open(config)) {
            TokenDataset dataset = folder.tokens();
            String tokenizer = model.tokenizer().name();
            if (!dataset.tokenizer().name().equals(tokenizer))
                throw new RheostatException(
                        Kind.BAD_REQUEST,
                        dataset.name() + " is in tokens of "
                                + dataset.tokenizer().name() + ", the model reads " + tokenizer
                                + ": prepare it with --tokenizer " + tokenizer);
            spec.commandLine().getOut().print(table(validate(model, dataset, backend), dataset.names()));
        }
        return 0;
    }

    private <X extends Tensor> Validation validate(SavedModel model, TokenDataset dataset, Backend<X> backend) {
        RunConfig config = model.config();
        EvalStep<X> step = EvalStep.alone(
                backend,
                config.model(),
                model.parameters(backend),
                new SlotLayout(
                        config.batch().sequences() / config.batch().microBatches(),
                        1,
                        config.model().context()),
                dataset.domains().size(),
                config.data().documentMask());
        int most = windows == null ? config.evaluation().windows() : windows;
        return new Validator<>(step, dataset, most, config.data().documentMask())
                .run(model.checkpoint().steps());
    }

    private static String table(Validation v, List<String> names) {
        List<String[]> rows = new ArrayList<>();
        rows.add(new String[] {"after " + v.step() + " steps", "nats", "bits/byte", "perplexity", "tokens"});
        for (int k = 0; k < names.size(); k++)
            rows.add(new String[] {
                names.get(k),
                Figures.nats(v.lossNats_K()[k]),
                Figures.nats(v.bitsPerByte(k)),
                perplexity(v.lossNats_K()[k]),
                String.format(Locale.ROOT, "%,d", v.tokens_K()[k])
            });
        rows.add(mean("mean over domains", v.unweightedMeanNats()));
        rows.add(mean("mean over tokens", v.tokenMeanNats()));
        return TextSummary.columns(rows);
    }

    private static String[] mean(String name, double nats) {
        return new String[] {name, Figures.nats(nats), "", perplexity(nats), ""};
    }

    private static String perplexity(double nats) {
        return Double.isFinite(nats) ? String.format(Locale.ROOT, "%.2f", Math.exp(nats)) : "–";
    }
}
