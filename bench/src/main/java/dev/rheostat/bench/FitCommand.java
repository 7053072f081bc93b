package dev.rheostat.bench;

import java.io.PrintWriter;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.Callable;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import org.openjdk.jmh.runner.options.VerboseMode;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** bench fit: the refit of a run of 22 domains, by JMH. */
@Command(
        name = "fit",
        mixinStandardHelpOptions = true,
        description =
                "Time the scaling-law fit of 22 domains after 6,000 steps, and the published one beside it (JMH).")
final class FitCommand implements Callable<Integer> {
    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() throws RunnerException {
        PrintWriter out = spec.commandLine().getOut();
        Machine machine = new Machine();
        Collection<RunResult> results = new Runner(new OptionsBuilder()
                        .include(FitBenchmark.class.getSimpleName())
                        .verbosity(VerboseMode.SILENT)
                        .build())
                .run();
        for (RunResult result : results) {
            Map<String, Object> line = new LinkedHashMap<>();
            String name = result.getParams().getBenchmark();
            line.put("bench", "fit");
            line.put("what", name.substring(name.lastIndexOf('.') + 1));
            double milliseconds = result.getPrimaryResult().getScore();
            line.put("milliseconds", Machine.round(milliseconds));
            line.put("error", Machine.round(result.getPrimaryResult().getScoreError()));
            if (name.endsWith("ReferenceFit"))
                // Its cost is linear in domains and in points.
                line.put("scaled_to_22_domains_of_6000_points_seconds", Machine.round(milliseconds * 22 * 10 * 1e-3));
            out.println(machine.line(line));
        }
        return 0;
    }
}
