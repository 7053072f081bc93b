package dev.rheostat.cli;

import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RheostatException.Kind;
import dev.rheostat.config.RunConfig;
import dev.rheostat.config.RunConfigs;
import dev.rheostat.config.RunFile;
import dev.rheostat.data.DatasetFolder;
import dev.rheostat.data.TokenDataset;
import dev.rheostat.train.Backends;
import dev.rheostat.train.CaptureRange;
import dev.rheostat.train.Checkpoints;
import dev.rheostat.train.ProxyWeights;
import dev.rheostat.train.RunFolder;
import dev.rheostat.train.RunMixture;
import dev.rheostat.train.StopRequest;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** doremi RUN.yaml: a reference run, a proxy run against it, then the run itself with the mixture that the proxy found. */
@Command(
        name = "doremi",
        mixinStandardHelpOptions = true,
        description = {
            "Train a reference and a proxy, then the model itself with the mixture that the proxy found (DoReMi).",
            "",
            "Three runs in OUT/reference, OUT/proxy and OUT/main, each with a folder as train leaves it. The same command"
                    + " again goes on where it was stopped or killed. What the run file says of its own policy counts for none"
                    + " of them. docs/policies/doremi.md says more."
        })
final class DoremiCommand implements Callable<Integer> {
    /** What a run file says of its policy alone. */
    private static final List<String> OF_A_POLICY = List.of(
            "mixture.policy",
            "mixture.mode",
            "mixture.settings",
            "mixture.shares",
            "mixture.stages",
            "mixture.graph",
            "mixture.shadow",
            "mixture.referenceRun");

    /** One of the three runs, in their order. */
    private enum Stage {
        REFERENCE("natural"),
        PROXY("doremi"),
        MAIN("static");

        final String policy;

        Stage(String policy) {
            this.policy = policy;
        }

        Path in(Path folder) {
            return folder.resolve(name().toLowerCase(Locale.ROOT));
        }
    }

    @Parameters(paramLabel = "RUN.yaml", description = "The run of the model itself, but for its policy.")
    private Path runFile;

    @Option(
            names = "--set",
            paramLabel = "KEY=VALUE",
            description = "Override one key of the run file in all three runs.")
    private Map<String, String> inAll = new LinkedHashMap<>();

    @Option(
            names = "--small-set",
            paramLabel = "KEY=VALUE",
            description = "Override one key in the reference and the proxy, such as model.preset=ado-nano.")
    private Map<String, String> inSmall = new LinkedHashMap<>();

    @Option(names = "--reference-set", paramLabel = "KEY=VALUE", description = "Override one key in the reference.")
    private Map<String, String> inReference = new LinkedHashMap<>();

    @Option(
            names = "--proxy-set",
            paramLabel = "KEY=VALUE",
            description = "Override one key in the proxy, such as mixture.settings.rate=0.5.")
    private Map<String, String> inProxy = new LinkedHashMap<>();

    @Option(
            names = "--main-set",
            paramLabel = "KEY=VALUE",
            description = "Override one key in the run of the model itself.")
    private Map<String, String> inMain = new LinkedHashMap<>();

    @Option(
            names = "--out",
            paramLabel = "OUT",
            description = "Where the three runs are kept; default: the file's out, else runs/ and the file's name.")
    private Path out;

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() {
        PrintWriter console = spec.commandLine().getOut();
        RunConfig first = file(Stage.REFERENCE, Map.of()).config();
        Path folder = folder(first);
        try (DatasetFolder opened = Datasets.open(first.data().dataset(), console::println);
                StopRequest stop = StopRequest.onShutdown()) {
            TokenDataset dataset = opened.tokens();
            Map<String, String> comparing = Map.of(
                    "mixture.referenceRun",
                    Stage.REFERENCE.in(folder).toAbsolutePath().toString());
            // All three, before the first of them takes hours. The last one's shares are not known yet, so any will do.
            RunFile reference = checked(file(Stage.REFERENCE, Map.of()), dataset);
            RunFile proxy = checked(file(Stage.PROXY, comparing), dataset);
            checked(file(Stage.MAIN, shares(dataset, dataset.shares())), dataset);
            if (!train(Stage.REFERENCE, reference, folder, dataset, stop)) return 0;
            if (!train(Stage.PROXY, proxy, folder, dataset, stop)) return 0;
            double[] weight_K = ProxyWeights.of(Stage.PROXY.in(folder), dataset, console::println);
            if (!train(Stage.MAIN, file(Stage.MAIN, shares(dataset, weight_K)), folder, dataset, stop)) return 0;
            console.println();
            console.print(DoremiTable.of(
                    dataset, weight_K, Stage.REFERENCE.in(folder), Stage.PROXY.in(folder), Stage.MAIN.in(folder)));
        }
        return 0;
    }

    private Path folder(RunConfig config) {
        if (out != null) return out;
        if (!config.out().isEmpty()) return Path.of(config.out());
        return Path.of("runs", runFile.getFileName().toString().replaceFirst("\\.ya?ml$", ""));
    }

    /** The file of one run: all but the policy is RUN.yaml's. */
    private RunFile file(Stage stage, Map<String, String> mixture) {
        Map<String, String> set = new LinkedHashMap<>(inAll);
        set.keySet()
                .removeIf(key -> OF_A_POLICY.stream().anyMatch(own -> key.equals(own) || key.startsWith(own + ".")));
        for (String key : OF_A_POLICY) set.put(key, "");
        for (String map : List.of("mixture.settings", "mixture.shares", "mixture.stages", "mixture.graph"))
            set.put(map, "{}");
        set.put("mixture.policy", stage.policy);
        set.putAll(mixture);
        if (stage != Stage.MAIN) set.putAll(inSmall);
        set.putAll(
                switch (stage) {
                    case REFERENCE -> inReference;
                    case PROXY -> inProxy;
                    case MAIN -> inMain;
                });
        return RunFile.read(runFile, set);
    }

    private static Map<String, String> shares(TokenDataset dataset, double[] share_K) {
        Map<String, String> shares = new LinkedHashMap<>();
        for (int k = 0; k < share_K.length; k++)
            shares.put("mixture.shares." + dataset.names().get(k), Double.toString(share_K[k]));
        return shares;
    }

    /** The same file, once it is known that its mixture can be made. */
    private static RunFile checked(RunFile file, TokenDataset dataset) {
        file.checkDomains(dataset.names());
        RunConfig config = RunConfigs.resolve(file.config(), dataset.tokenizer().vocabulary());
        // On any device: a GPU would ask for the reference run, which is not there yet.
        RunConfig anywhere = config.onDevice("cpu", RunConfig.Precision.FP32, 1);
        RunMixture.create(anywhere.mixture(), RunMixture.Run.of(anywhere, dataset));
        return file;
    }

    /**
     * Begins a run, goes on with it, or passes over it when it is done.
     * @return whether it is done and nobody has asked to stop
     * @throws RheostatException BAD_REQUEST if its folder holds a run that was begun otherwise
     */
    private boolean train(Stage stage, RunFile file, Path folder, TokenDataset dataset, StopRequest stop) {
        PrintWriter console = spec.commandLine().getOut();
        RunConfig asked = RunConfigs.resolve(file.config(), dataset.tokenizer().vocabulary());
        Backends.Choice choice = Backends.choose(asked);
        RunConfig config = choice.resolve(asked);
        Path run = stage.in(folder), begun = run.resolve("run.yaml");
        boolean exists = Files.exists(begun);
        if (exists && !RunFile.load(begun, Map.of()).equals(config))
            throw new RheostatException(
                    Kind.BAD_REQUEST,
                    run + " was begun with other settings (" + begun
                            + "): give the command as it was, or another --out");
        console.println();
        console.println(
                "stage    " + (stage.ordinal() + 1) + " of 3, " + stage.name().toLowerCase(Locale.ROOT));
        if (exists && done(run, config)) {
            console.println("done     all " + config.schedule().steps() + " steps were done before: " + run);
            return !stop.requested();
        }
        Training.run(
                config,
                choice.reason(),
                dataset,
                () -> exists ? RunFolder.open(run) : RunFolder.create(run, RunFile.write(config)),
                console,
                CaptureRange.NONE,
                stop);
        if (stop.requested()) console.println("recipe   stopped; the same command goes on with it");
        return !stop.requested();
    }

    private static boolean done(Path run, RunConfig config) {
        return new Checkpoints(run.resolve("checkpoints"), config.checkpoint().keepNewest())
                .newestGood(damage -> {}) // the run that goes on says it
                .filter(checkpoint -> checkpoint.steps() >= config.schedule().steps())
                .isPresent();
    }
}
