package dev.rheostat.train;

import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RheostatException.Kind;
import dev.rheostat.config.RunConfig;
import dev.rheostat.config.RunFile;
import dev.rheostat.data.Tokenizer;
import dev.rheostat.data.Tokenizers;
import dev.rheostat.model.Parameters;
import dev.rheostat.op.Backend;
import dev.rheostat.op.Tensor;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;

/** A trained model to be used: a run's config and one of its checkpoints. */
public record SavedModel(RunConfig config, Checkpoints.Loaded checkpoint) {
    public static final String DEVICE = "cpu, cuda, cuda:N or auto, whatever the run was trained on; default: auto.";
    public static final String WHICH = "newest, best (least validation loss), or a number of steps; default: newest.";

    /**
     * @param which "newest", "best", or the steps of a checkpoint
     * @param device that it is to be used on
     * @param note is told of newer checkpoints that are damaged
     * @throws RheostatException BAD_REQUEST if there is no such run or checkpoint; DAMAGED if it is not as it was written
     */
    public static SavedModel open(Path run, String which, String device, Consumer<String> note) {
        RunConfig config = config(run, Map.of("device", device, "precision", "auto"));
        Checkpoints checkpoints =
                new Checkpoints(run.resolve("checkpoints"), config.checkpoint().keepNewest());
        Optional<Checkpoints.Loaded> found = switch (which) {
            case "newest" -> checkpoints.newestGood(note);
            case "best" -> checkpoints.best().map(Checkpoints::load);
            default ->
                checkpoints.all().stream()
                        .filter(path -> path.getFileName().toString().matches("step-0*" + which))
                        .findFirst()
                        .map(Checkpoints::load);
        };
        return new SavedModel(
                config,
                found.orElseThrow(() -> new RheostatException(
                        Kind.BAD_REQUEST,
                        run + " has no checkpoint " + which + "; it has "
                                + (checkpoints.all().isEmpty()
                                        ? "none yet"
                                        : checkpoints.all().stream()
                                                .map(path -> path.getFileName().toString())
                                                .toList()))));
    }

    /** What a run was started with, but for the overrides. @throws RheostatException BAD_REQUEST if there is no such run */
    static RunConfig config(Path run, Map<String, String> overrides) {
        Path file = run.resolve("run.yaml");
        if (!Files.exists(file))
            throw new RheostatException(Kind.BAD_REQUEST, run + " is no run folder: it has no run.yaml");
        return RunFile.load(file, overrides);
    }

    public Tokenizer tokenizer() {
        return Tokenizers.byName((String) checkpoint.state().get("tokenizer"));
    }

    public <X extends Tensor> Parameters<X> parameters(Backend<X> backend) {
        Parameters<X> parameters = Parameters.weights(backend, config.model());
        Checkpoints.readTensors(checkpoint, backend, parameters.named(""));
        return parameters;
    }
}
