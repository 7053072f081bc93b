package dev.rheostat.cli;

import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RheostatException.Kind;
import dev.rheostat.data.Tokenizer;
import dev.rheostat.op.Backend;
import dev.rheostat.op.Tensor;
import dev.rheostat.train.Backends;
import dev.rheostat.train.Generator;
import dev.rheostat.train.Generator.Sampling;
import dev.rheostat.train.SavedModel;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** generate RUNDIR --prompt TEXT: what the model would write next. */
@Command(name = "generate", mixinStandardHelpOptions = true, description = "Let a trained model continue a text.")
final class GenerateCommand implements Callable<Integer> {
    /** Windows are multiples of it: a GPU's attention takes no others. */
    private static final int WINDOW_STEP = 8;

    @Parameters(paramLabel = "RUNDIR", description = "The run whose model is asked.")
    private Path run;

    @Option(names = "--prompt", required = true, paramLabel = "TEXT", description = "The text to continue.")
    private String prompt;

    @Option(
            names = "--tokens",
            defaultValue = "100",
            paramLabel = "N",
            description = "Most tokens to add; default: ${DEFAULT-VALUE}.")
    private int tokens;

    @Option(
            names = "--temperature",
            defaultValue = "0.8",
            paramLabel = "X",
            description = "Above 1 bolder, below 1 safer, 0 always the likeliest; default: ${DEFAULT-VALUE}.")
    private double temperature;

    @Option(
            names = "--top-k",
            defaultValue = "0",
            paramLabel = "K",
            description = "Draw from the K likeliest tokens alone; 0 for all, the default.")
    private int topK;

    @Option(names = "--seed", defaultValue = "1", paramLabel = "N", description = "Same seed, same text.")
    private long seed;

    @Option(names = "--device", defaultValue = "auto", paramLabel = "DEVICE", description = SavedModel.DEVICE)
    private String device;

    @Option(names = "--checkpoint", defaultValue = "newest", paramLabel = "WHICH", description = SavedModel.WHICH)
    private String checkpoint;

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() {
        SavedModel model =
                SavedModel.open(run, checkpoint, device, spec.commandLine().getErr()::println);
        Tokenizer tokenizer = model.tokenizer();
        int[] ids = tokenizer.encode(prompt);
        if (ids.length == 0) throw new RheostatException(Kind.BAD_REQUEST, "--prompt: empty; give a text to continue");
        if (tokens < 1) throw new RheostatException(Kind.BAD_REQUEST, "--tokens: " + tokens + " is not above 0");
        Sampling sampling = sampling();
        try (Backend<?> backend = Backends.open(model.config())) {
            int[] more = generator(model, ids.length, backend).generate(ids, tokens, tokenizer.endOfText(), sampling);
            spec.commandLine().getOut().println(prompt + tokenizer.decode(more));
        }
        return 0;
    }

    private <X extends Tensor> Generator<X> generator(SavedModel model, int prompted, Backend<X> backend) {
        int whole = (prompted + tokens + WINDOW_STEP - 1) / WINDOW_STEP * WINDOW_STEP;
        int window = Math.min(model.config().model().context(), whole);
        return new Generator<>(backend, model.config().model(), model.parameters(backend), window);
    }

    private Sampling sampling() {
        try {
            return new Sampling(temperature, topK, seed);
        } catch (IllegalArgumentException e) {
            throw new RheostatException(Kind.BAD_REQUEST, "--temperature, --top-k: " + e.getMessage(), e);
        }
    }
}
