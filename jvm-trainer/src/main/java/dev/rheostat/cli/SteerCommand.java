package dev.rheostat.cli;

import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RheostatException.Kind;
import dev.rheostat.config.RunConfig;
import dev.rheostat.config.RunConfigs;
import dev.rheostat.config.RunFile;
import dev.rheostat.data.DatasetFolder;
import dev.rheostat.train.Checkpoints;
import dev.rheostat.train.RunFolder;
import dev.rheostat.train.RunMixture;
import dev.rheostat.train.Steering;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** steer RUNDIR --set KEY=VALUE: changes the mixture of a run while it goes. */
@Command(
        name = "steer",
        mixinStandardHelpOptions = true,
        description = {
            "Change policy, target or bounds of the mixture of a run while it goes.",
            "",
            "The run takes the change between two steps and writes it into steering.jsonl; a resumed run does the same again"
                    + " at the same step. Without --set the changes so far are listed."
        })
final class SteerCommand implements Callable<Integer> {
    private static final long WAIT_MILLIS = 30_000, LOOK_MILLIS = 100;

    @Parameters(paramLabel = "RUNDIR", description = "The folder that train printed as its run.")
    private Path run;

    @Option(
            names = "--set",
            paramLabel = "KEY=VALUE",
            description = "A mixture key of the run file, such as mixture.maxShare.code=0.4 or mixture.policy=odm.")
    private Map<String, String> set = new LinkedHashMap<>();

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() throws InterruptedException {
        Path file = run.resolve("run.yaml");
        if (!Files.exists(file))
            throw new RheostatException(Kind.BAD_REQUEST, run + " is no run folder: it has no run.yaml");
        PrintWriter out = spec.commandLine().getOut();
        RunConfig config = Steering.before(Long.MAX_VALUE, RunFile.load(file, Map.of()), Steering.changes(run));
        if (set.isEmpty()) {
            list(out, config);
            return 0;
        }
        check(config, out);
        if (isDone(config))
            throw new RheostatException(
                    Kind.BAD_REQUEST,
                    "all " + config.schedule().steps() + " steps are done: " + run + " takes no change");
        String id = Steering.request(
                run, set, System.getProperty("user.name"), Instant.now().toString());
        if (!RunFolder.isHeld(run)) {
            out.println("nobody trains " + run + " now: the change counts when it is resumed");
            return 0;
        }
        boolean trained = true, waits = true;
        for (long waited = 0; waits && trained && waited < WAIT_MILLIS; waited += LOOK_MILLIS) {
            Thread.sleep(LOOK_MILLIS);
            trained = RunFolder.isHeld(run);
            waits = Steering.waits(run, id); // looked at last: a run that has ended takes nothing more
        }
        if (waits && trained) {
            out.println("the run has not come to its next step yet: the change counts from there");
            return 0;
        }
        if (waits && isDone(config)) {
            Steering.withdraw(run, id);
            throw new RheostatException(Kind.BAD_REQUEST, run + " did its last step before it took the change");
        }
        if (waits) {
            out.println("the run has stopped before it took the change: the change counts when it is resumed");
            return 0;
        }
        Steering.Change taken = Steering.changes(run).stream()
                .filter(change -> change.id().equals(id))
                .findFirst()
                .orElseThrow(() ->
                        new RheostatException(Kind.BAD_REQUEST, "the run refused the change; its output says why"));
        out.println("taken before step " + taken.step() + ", logged in " + run.resolve("steering.jsonl"));
        return 0;
    }

    /** The checkpoint of the last step is the last thing that a run writes. */
    private boolean isDone(RunConfig config) {
        return new Checkpoints(run.resolve("checkpoints"), config.checkpoint().keepNewest())
                .newestGood(damage -> {}) // the run that is resumed says it
                .filter(checkpoint -> checkpoint.steps() >= config.schedule().steps())
                .isPresent();
    }

    /** All that can be refused is refused here, not by the run. */
    private void check(RunConfig config, PrintWriter out) {
        RunConfig changed = Steering.changed(config, set);
        try (DatasetFolder dataset = Datasets.open(config.data().dataset(), out::println)) {
            RunConfigs.overlay(config, "the run", set)
                    .checkDomains(dataset.tokens().names());
            RunMixture.create(changed.mixture(), RunMixture.Run.of(changed, dataset.tokens()));
        }
    }

    private void list(PrintWriter out, RunConfig config) {
        List<Steering.Change> changes = Steering.changes(run);
        for (Steering.Change change : changes)
            out.println(
                    "step " + change.step() + "  " + change.set() + "  by " + change.by() + ", " + change.requested());
        if (changes.isEmpty()) out.println("nothing was changed in " + run);
        out.println("mixture  " + config.mixture().spelled());
    }
}
