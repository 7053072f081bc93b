package dev.rheostat.cli;

import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RheostatException.Kind;
import dev.rheostat.testbed.DataBed;
import dev.rheostat.testbed.ModelBed;
import dev.rheostat.testbed.OutcomeTable;
import dev.rheostat.testbed.RegretTable;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** testbed data: key-value text of known entropy through prepare, sampler, rings and policy. */
@Command(
        name = "data",
        mixinStandardHelpOptions = true,
        description = {
            "Run policies on key-value text whose entropy is known exactly, and print what each lost.",
            "",
            "The text goes through prepare, sampler, rings and policy as any other. With learner counting a table of counts takes"
                    + " the place of the model: a run takes seconds, and the best mixture is known. With ado-nano it is that"
                    + " model, trained as by train, a minute or two a run; policies are held against natural by held-out values."
                    + " What the settings are: docs/testbed.md, Level D."
        })
final class TestbedDataCommand implements Callable<Integer> {
    private static final String COUNTING = "counting", NANO = "ado-nano";

    @Option(
            names = "--learner",
            paramLabel = "NAME",
            defaultValue = COUNTING,
            description = COUNTING + " or " + NANO + "; default: ${DEFAULT-VALUE}.")
    private String learner;

    @Option(
            names = "--policy",
            split = ",",
            paramLabel = "NAME[/MODE][:KEY=VALUE]...",
            defaultValue = "natural,uniform,odm,ado/reference,ado/robust",
            description =
                    "Which, by comma; a KEY is a setting of the policy, or of static a domain whose share follows; default:"
                            + " ${DEFAULT-VALUE}.")
    private List<String> policies;

    @Option(names = "--setting", split = ",", paramLabel = "NAME", description = "Which; default: all.")
    private List<String> settings = List.of();

    @Option(
            names = "--seeds",
            paramLabel = "N",
            defaultValue = "5",
            description = "Corpora and runs of each; default: ${DEFAULT-VALUE}.")
    private int seeds;

    @Option(
            names = "--first-seed",
            paramLabel = "N",
            defaultValue = "1",
            description = "The first of them, so that what was chosen by some is measured by others; default:"
                    + " ${DEFAULT-VALUE}.")
    private long firstSeed;

    @Option(
            names = "--out",
            paramLabel = "DIR",
            defaultValue = "testbed",
            description = "Folder for corpora, which are used again, for data.md, and for the model's runs; default:"
                    + " ${DEFAULT-VALUE}.")
    private Path out;

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() {
        if (!List.of(COUNTING, NANO).contains(learner))
            throw new RheostatException(
                    Kind.BAD_REQUEST, "--learner: " + learner + " is none of " + COUNTING + ", " + NANO);
        for (String setting : settings)
            if (!DataBed.settings().contains(setting))
                throw new RheostatException(
                        Kind.BAD_REQUEST, "--setting: " + setting + " is none of " + DataBed.settings());
        if (seeds < 1) throw new RheostatException(Kind.BAD_REQUEST, "--seeds: " + seeds + " is not above 0");
        for (String policy : policies) DataBed.check(policy);
        TestbedCommand.makeFolder(out);
        String table = learner.equals(COUNTING) ? counted() : modelled();
        PrintWriter screen = spec.commandLine().getOut();
        screen.println();
        screen.print(table);
        screen.flush();
        TestbedCommand.write(out.resolve("data.md"), table);
        return 0;
    }

    private List<String> chosen() {
        return settings.isEmpty() ? DataBed.settings() : settings;
    }

    private String counted() {
        DataBed bed = DataBed.counting(out);
        List<DataBed.Regret> all = new ArrayList<>();
        for (String setting : chosen())
            all.addAll(bed.run(setting, policies, firstSeed, seeds, one -> {
                String figure = String.format(Locale.ROOT, "regret %.6f nats", one.regretNats());
                say(one.setting(), one.policy(), one.seed(), figure, one.share_K());
            }));
        return RegretTable.of(all);
    }

    private String modelled() {
        ModelBed bed = ModelBed.nano(out);
        List<ModelBed.Outcome> all = new ArrayList<>();
        for (String setting : chosen())
            all.addAll(bed.run(setting, policies, firstSeed, seeds, one -> {
                String figure = String.format(Locale.ROOT, "J %.5f nats, left %.4f", one.objectiveNats(), one.left());
                say(one.setting(), one.policy(), one.seed(), figure, one.share_K());
            }));
        return OutcomeTable.of(all);
    }

    private void say(String setting, String policy, long seed, String figure, double[] share_K) {
        PrintWriter screen = spec.commandLine().getOut();
        screen.println(String.format(
                Locale.ROOT,
                "%-12s %-16s seed %d  %s  shares %s",
                setting,
                policy,
                seed,
                figure,
                Arrays.toString(Arrays.stream(share_K)
                        .map(share -> Math.round(share * 1e3) / 1e3)
                        .toArray())));
        screen.flush();
    }
}
