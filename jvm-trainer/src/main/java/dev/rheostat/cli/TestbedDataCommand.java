package dev.rheostat.cli;

import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RheostatException.Kind;
import dev.rheostat.testbed.DataBed;
import dev.rheostat.testbed.RegretTable;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
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
            "Regret of policies on key-value text whose loss is known exactly.",
            "",
            "The text goes through prepare, sampler, rings and policy as any other; a table of counts takes the place of the"
                    + " model, so that a run takes seconds. What the settings are: docs/testbed.md, Level D."
        })
final class TestbedDataCommand implements Callable<Integer> {
    @Option(
            names = "--policy",
            split = ",",
            paramLabel = "NAME[/MODE][:SETTING=VALUE]...",
            defaultValue = "natural,uniform,odm,ado/reference,ado/robust",
            description = "Which, by comma; default: ${DEFAULT-VALUE}.")
    private List<String> policies;

    @Option(names = "--setting", split = ",", paramLabel = "NAME", description = "Which; default: all.")
    private List<String> settings = DataBed.settings();

    @Option(
            names = "--seeds",
            paramLabel = "N",
            defaultValue = "5",
            description = "Corpora and runs of each; default: ${DEFAULT-VALUE}.")
    private int seeds;

    @Option(
            names = "--out",
            paramLabel = "DIR",
            defaultValue = "testbed",
            description = "Folder for corpora, which are used again, and for data.md; default: ${DEFAULT-VALUE}.")
    private Path out;

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() throws IOException {
        PrintWriter screen = spec.commandLine().getOut();
        for (String setting : settings)
            if (!DataBed.settings().contains(setting))
                throw new RheostatException(
                        Kind.BAD_REQUEST, "--setting: " + setting + " is none of " + DataBed.settings());
        if (seeds < 1) throw new RheostatException(Kind.BAD_REQUEST, "--seeds: " + seeds + " is not above 0");
        DataBed bed = DataBed.counting(out);
        List<DataBed.Regret> all = new ArrayList<>();
        for (String setting : settings)
            all.addAll(bed.run(setting, policies, seeds, one -> {
                screen.println(String.format(
                        Locale.ROOT,
                        "%-12s %-16s seed %d  regret %.6f nats  shares %s",
                        one.setting(),
                        one.policy(),
                        one.seed(),
                        one.regretNats(),
                        Arrays.toString(Arrays.stream(one.share_K())
                                .map(share -> Math.round(share * 1e3) / 1e3)
                                .toArray())));
                screen.flush();
            }));
        String table = RegretTable.of(all);
        Files.createDirectories(out);
        Files.writeString(out.resolve("data.md"), table);
        screen.println();
        screen.print(table);
        return 0;
    }
}
