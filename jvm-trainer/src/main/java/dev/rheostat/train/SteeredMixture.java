package dev.rheostat.train;

import dev.rheostat.ado.MixturePolicy;
import dev.rheostat.ado.Need;
import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RheostatException.Kind;
import dev.rheostat.config.RunConfig;
import dev.rheostat.data.TokenDataset;
import java.util.Optional;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.function.Consumer;

/** The mixture of a run, with what an operator has changed in it so far, and the thread that its fits run on. */
final class SteeredMixture implements AutoCloseable {
    private final RunConfig config;
    private final TokenDataset dataset;
    private final RunFolder folder;
    private final Consumer<String> notes;
    private final Steering steering;
    private final RunMixture first;
    private final ExecutorService refits;
    private RunConfig steered; // the config with all changes
    private long[] validationTokens_K;

    /**
     * @param firstStep that is to be done: changes of earlier ones are part of the mixture already
     * @param notes hears of changes that are taken or refused
     * @throws RheostatException BAD_REQUEST for a mixture that the run cannot have; DAMAGED if the log of changes is not readable
     */
    SteeredMixture(RunConfig config, TokenDataset dataset, RunFolder folder, long firstStep, Consumer<String> notes) {
        this.config = config;
        this.dataset = dataset;
        this.folder = folder;
        this.notes = notes;
        steering = new Steering(folder.path(), notes);
        steered = Steering.before(firstStep, config, steering.changes());
        first = mixture(steered);
        refits = Executors.newSingleThreadExecutor(
                Thread.ofPlatform().daemon().name("rheostat-refit").factory());
    }

    /** @throws RheostatException BAD_REQUEST also for a policy that needs a reference model where the run began without one */
    private RunMixture mixture(RunConfig changed) {
        RunMixture mixture = RunMixture.create(changed.mixture(), RunMixture.Run.of(changed, dataset));
        if (mixture.needs(Need.REFERENCE_LOSS)
                && config.mixture().referenceRun().isEmpty())
            throw new RheostatException(
                    Kind.BAD_REQUEST,
                    "mixture.referenceRun: policy " + mixture.policy().name()
                            + " needs a run that began with a reference model");
        return mixture;
    }

    double[] prior_K() {
        return first.prior_K();
    }

    /** What the run begins with, or goes on from. */
    Mixer mixer() {
        return new Mixer(first, refits);
    }

    /**
     * What every validation of the run looks at.
     * @param tokens_K validated, by domain
     * @throws RheostatException BAD_REQUEST if a policy goes by validation losses and a domain has no validation text
     */
    void validates(long[] tokens_K, Mixer mixer) {
        validationTokens_K = tokens_K;
        mixer.policies().forEach(this::checkValidated);
    }

    private void checkValidated(MixturePolicy policy) {
        if (!policy.needs().contains(Need.VALIDATION_LOSS)) return;
        for (int k = 0; k < validationTokens_K.length; k++)
            if (validationTokens_K[k] == 0)
                throw new RheostatException(
                        Kind.BAD_REQUEST,
                        "policy " + policy.name() + " goes by validation losses, and domain "
                                + dataset.names().get(k) + " has no validation text of "
                                + config.model().context()
                                + " tokens: bring some, lower model.context, or take another policy");
    }

    /** Before a step: takes what an operator has asked for, and what the log says was taken here before a kill. */
    void steer(MixtureLoop loop, long step) {
        for (Steering.Change change : steering.logged(step)) obey(change, loop, step);
        Optional<Steering.Change> request = steering.poll(step);
        if (request.isEmpty()) return;
        Steering.Change change = request.get();
        try {
            checkValidated(mixture(Steering.changed(steered, change.set())).policy());
        } catch (RheostatException e) {
            steering.refuse(change);
            notes.accept("a change of the mixture was refused: " + e.getMessage());
            return;
        }
        steering.take(change);
        obey(change, loop, step);
        notes.accept("before step " + step + ", by " + change.by() + ": " + change.set());
    }

    private void obey(Steering.Change change, MixtureLoop loop, long step) {
        loop.drain(step);
        RunConfig before = steered;
        steered = Steering.changed(before, change.set());
        Mixer mixer = new Mixer(mixture(steered), refits);
        Mixer old = loop.mixer();
        mixer.follow(old, before.mixture().samePolicy(steered.mixture()), folder, step);
        loop.steer(mixer);
        old.close();
    }

    /** Waits for a fit that is under way. */
    @Override
    public void close() {
        refits.close();
    }
}
