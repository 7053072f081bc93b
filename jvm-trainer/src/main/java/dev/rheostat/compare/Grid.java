package dev.rheostat.compare;

import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RheostatException.Kind;
import dev.rheostat.config.RunConfig;
import dev.rheostat.config.RunConfigs;
import dev.rheostat.config.RunFile;
import dev.rheostat.data.TokenDataset;
import dev.rheostat.op.Backend;
import dev.rheostat.report.Figures;
import dev.rheostat.report.Report;
import dev.rheostat.train.Backends;
import dev.rheostat.train.RunFolder;
import dev.rheostat.train.RunMixture;
import dev.rheostat.train.RunSummary;
import dev.rheostat.train.StopRequest;
import dev.rheostat.train.TrainListener;
import dev.rheostat.train.Trainer;
import dev.rheostat.train.Validation;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.function.Consumer;

/**
 * The runs of a plan, one a device at a time. Each lives in an ordinary run folder, so that what is there already is skipped
 * when it is done and gone on with when it is not.
 */
public final class Grid {
    private final Plan plan;
    private final TokenDataset dataset;
    private final Consumer<String> tell;

    /** @param tell is told in a line what is done; lines come from several threads */
    public Grid(Plan plan, TokenDataset dataset, Consumer<String> tell) {
        this.plan = plan;
        this.dataset = dataset;
        this.tell = tell;
    }

    /** One run that is still to do. @param config_D by device, resolved for it @param begun on this device, in its folder */
    private record Job(String name, Path folder, Map<String, RunConfig> config_D, Optional<String> begun) {}

    /**
     * Does every run that is not done, or stops between two steps, saved, when it is asked to.
     * @return whether all are done
     * @throws RheostatException BAD_REQUEST for a run that cannot be meant and for a folder that holds another run than the
     *     plan's, before any is started; what a run throws, when the others have stopped and saved
     */
    public boolean run(StopRequest stop) {
        List<Job> jobs = new ArrayList<>();
        int done = 0;
        for (long seed : plan.seeds()) // by seed first: half a grid then still has pairs
        for (String policy : plan.policies().keySet()) {
                Optional<Job> job = job(policy, seed);
                if (job.isEmpty()) done++;
                job.ifPresent(jobs::add);
            }
        int all = done + jobs.size();
        tell.accept(all + " runs: " + plan.policies().size() + " policies, "
                + plan.seeds().size() + " seeds; " + done + " done before");
        return DeviceQueue.run(devices(), jobs, Job::begun, (device, job) -> train(device, job, stop), stop);
    }

    private List<String> devices() {
        return plan.devices().isEmpty()
                ? List.of(plan.run(plan.baseline(), plan.seeds().getFirst(), Map.of())
                        .config()
                        .device())
                : plan.devices();
    }

    /** The run if it is not done. */
    private Optional<Job> job(String policy, long seed) {
        Path folder = plan.folder(policy, seed);
        Map<String, RunConfig> config_D = new LinkedHashMap<>();
        for (String device : devices()) config_D.put(device, resolve(policy, seed, device));
        Path held = folder.resolve("run.yaml");
        if (!Files.exists(held))
            return Optional.of(new Job(folder.getFileName().toString(), folder, config_D, Optional.empty()));
        // Resolved anew: a setting that came after the run was made has its default in it.
        RunConfig there = RunConfigs.resolve(
                RunFile.load(held, Map.of()), dataset.tokenizer().vocabulary());
        String device = config_D.entrySet().stream()
                .filter(entry -> entry.getValue().device().equals(there.device()))
                .findFirst()
                .map(Map.Entry::getKey)
                .orElseThrow(() -> new RheostatException(
                        Kind.BAD_REQUEST,
                        folder + " holds a run on device " + there.device()
                                + ", and the plan has none such: name it in devices, or remove the folder"));
        refuseAnother(folder, there, config_D.get(device));
        return isDone(folder, there)
                ? Optional.empty()
                : Optional.of(new Job(folder.getFileName().toString(), folder, config_D, Optional.of(device)));
    }

    private RunConfig resolve(String policy, long seed, String device) {
        RunFile file = plan.run(policy, seed, Map.of("device", device));
        file.checkDomains(dataset.names());
        RunConfig config = Backends.resolve(
                RunConfigs.resolve(file.config(), dataset.tokenizer().vocabulary()));
        RunMixture.create(config.mixture(), RunMixture.Run.of(config, dataset)); // refuses what the policy lacks
        return config;
    }

    /** Where its folder lies does not make another run. */
    private static void refuseAnother(Path folder, RunConfig there, RunConfig planned) {
        Map<String, String> held = RunFile.flat(there), asked = RunFile.flat(planned);
        for (Map<String, String> keys : List.of(asked, held))
            for (String key : keys.keySet())
                if (!key.equals("out") && !Objects.equals(held.get(key), asked.get(key)))
                    throw new RheostatException(
                            Kind.BAD_REQUEST,
                            folder + " holds another run than the plan's: " + key + " is "
                                    + held.getOrDefault(key, "not set") + " there and "
                                    + asked.getOrDefault(key, "not set")
                                    + " in the plan; give the plan another out, or remove the folder");
    }

    /** The checkpoint of the last step is the last thing that a run writes. */
    private static boolean isDone(Path folder, RunConfig config) {
        return Files.exists(folder.resolve("checkpoints")
                .resolve("step-" + String.format("%08d", config.schedule().steps())));
    }

    private void train(String device, Job job, StopRequest stop) {
        RunConfig config = job.config_D().get(device);
        tell.accept(job.name() + ": " + (job.begun().isPresent() ? "goes on" : "starts") + " on " + config.device()
                + ", mixture " + config.mixture().spelled());
        try (Backend<?> backend = Backends.open(config);
                RunFolder folder = job.begun().isPresent()
                        ? RunFolder.open(job.folder())
                        : RunFolder.create(job.folder(), RunFile.write(config))) {
            RunSummary summary;
            try {
                summary = new Trainer<>(config, dataset, backend, folder, new Told(job.name()))
                        .stoppedBy(stop)
                        .run();
            } finally {
                folder.abandonIfUnused();
            }
            if (summary.steps() > 0) Report.write(List.of(folder.path()), folder.report());
            tell.accept(job.name() + (summary.stopped() ? ": stopped" : ": done") + " after " + summary.steps() + " of "
                    + config.schedule().steps() + " steps, "
                    + String.format(Locale.ROOT, "%,.0f", summary.tokensPerSecond()) + " tokens/s");
        }
    }

    /** A line an evaluation: of many runs, nobody reads every step. */
    private final class Told implements TrainListener {
        private final String name;

        Told(String name) {
            this.name = name;
        }

        @Override
        public void validated(Validation v) {
            tell.accept(name + ": validation after " + v.step() + " steps: mean over domains "
                    + Figures.nats(v.unweightedMeanNats()) + " nats a token, over tokens "
                    + Figures.nats(v.tokenMeanNats()));
        }

        @Override
        public void note(String sentence) {
            tell.accept(name + ": note: " + sentence);
        }
    }
}
