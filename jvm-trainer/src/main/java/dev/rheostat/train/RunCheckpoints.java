package dev.rheostat.train;

import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RheostatException.Kind;
import dev.rheostat.config.RunConfig;
import dev.rheostat.data.TokenDataset;
import dev.rheostat.model.NamedTensor;
import dev.rheostat.op.Backend;
import dev.rheostat.op.Tensor;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.function.Consumer;

/** A run's checkpoints: what they hold beside tensors, and what a run has to share with the one that it goes on from. */
final class RunCheckpoints<X extends Tensor> {
    private final Checkpoints checkpoints;
    private final TokenDataset dataset;
    private final Backend<X> backend;
    private final Consumer<String> notes;
    private Map<?, ?> algorithmsBefore = Map.of();
    private String reference = "";

    /** @param notes hears of checkpoints that are passed over, and of what may change a run's last bits */
    RunCheckpoints(
            RunConfig config, RunFolder folder, TokenDataset dataset, Backend<X> backend, Consumer<String> notes) {
        checkpoints = new Checkpoints(folder.checkpoints(), config.checkpoint().keepNewest());
        this.dataset = dataset;
        this.backend = backend;
        this.notes = notes;
    }

    /**
     * What the run goes on from; empty for a run that begins.
     * @throws RheostatException DAMAGED if there are checkpoints and none is good, or if it is of other data
     */
    Optional<Checkpoints.Loaded> newestGood() {
        Optional<Checkpoints.Loaded> newest = checkpoints.newestGood(notes);
        newest.ifPresent(this::checkFits);
        return newest;
    }

    private void checkFits(Checkpoints.Loaded checkpoint) {
        Object fingerprint = checkpoint.state().get("dataset"),
                names = checkpoint.state().get("domains");
        if (!dataset.names().equals(names))
            throw new RheostatException(
                    Kind.DAMAGED,
                    "checkpoint " + checkpoint.path() + " was trained on the domains " + names + ", the dataset has "
                            + dataset.names() + ": bring that dataset back, or start a new run");
        if (!dataset.fingerprint().equals(fingerprint))
            throw new RheostatException(
                    Kind.DAMAGED,
                    "checkpoint " + checkpoint.path() + " was trained on other tokens of the dataset " + dataset.name()
                            + ": bring that dataset back, or start a new run");
        if (checkpoint.state().get("algorithms") instanceof Map<?, ?> before) algorithmsBefore = before;
        if (!backend.describe().equals(checkpoint.state().get("backend")))
            notes.accept("the checkpoint was computed by: " + checkpoint.state().get("backend") + "; goes on with: "
                    + backend.describe() + "; the last bits may differ");
    }

    /**
     * Checkpoints from now on are of a run that is held against this model.
     * @param run whose newest model it is
     * @throws RheostatException DAMAGED if what the run goes on from was held against another one
     */
    void heldAgainst(String identity, Path run, Optional<Checkpoints.Loaded> from) {
        reference = identity;
        if (from.isEmpty() || identity.equals(from.get().state().get("reference"))) return;
        throw new RheostatException(
                Kind.DAMAGED,
                "mixture.referenceRun: the newest model of " + run + " is of " + identity + ", and checkpoint "
                        + from.get().path() + " was held against that of "
                        + from.get().state().get("reference") + ": bring that back, or start a new run");
    }

    /**
     * @param loop what the way from losses to batches remembers
     * @param unweightedMeanNats of a validation after exactly these steps, if there was one
     * @throws RheostatException MACHINE if it cannot be written
     */
    Path save(long steps, List<NamedTensor<X>> tensors, Map<String, Object> loop, OptionalDouble unweightedMeanNats) {
        Map<String, Object> state = new LinkedHashMap<>();
        state.put("dataset", dataset.fingerprint());
        state.put("domains", dataset.names());
        state.put("tokenizer", dataset.tokenizer().name());
        state.put("backend", backend.describe());
        state.put("algorithms", backend.algorithms());
        if (!reference.isEmpty()) state.put("reference", reference);
        noteOtherAlgorithms();
        state.put("loop", loop);
        return checkpoints.save(steps, backend, tensors, state, unweightedMeanNats);
    }

    /** Once, when this process has chosen its own: a library that chooses otherwise than before gives other last bits. */
    private void noteOtherAlgorithms() {
        List<String> changed = new ArrayList<>();
        backend.algorithms().forEach((product, algorithm) -> {
            Object before = algorithmsBefore.get(product);
            if (before != null && !before.equals(algorithm))
                changed.add(product + ": " + before + ", now " + algorithm);
        });
        algorithmsBefore = Map.of();
        if (!changed.isEmpty())
            notes.accept("the last bits may differ from a run without this stop: " + changed.size()
                    + " products are computed by other algorithms, such as " + changed.getFirst());
    }

    /** For the end of a sentence about a failure. */
    String lastGood() {
        List<Path> all = checkpoints.all();
        return all.isEmpty() ? "there is no checkpoint yet" : "the last good checkpoint is " + all.getLast();
    }
}
