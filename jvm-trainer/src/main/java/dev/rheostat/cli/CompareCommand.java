package dev.rheostat.cli;

import dev.rheostat.compare.CompareReport;
import dev.rheostat.compare.Grid;
import dev.rheostat.compare.Plan;
import dev.rheostat.data.DatasetFolder;
import dev.rheostat.train.StopRequest;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** compare PLAN.yaml: policies x seeds on one dataset under one budget. */
@Command(
        name = "compare",
        mixinStandardHelpOptions = true,
        description = {
            "Train policies x seeds on one dataset under one budget, and say what differs.",
            "",
            "The keys of a plan are explained in docs/compare.md. Started again, it goes on with what is not done."
        })
final class CompareCommand implements Callable<Integer> {
    @Parameters(paramLabel = "PLAN.yaml", description = "A run file, policies laid over it, seeds.")
    private Path planFile;

    @Option(names = "--report", description = "Train nothing; report on the runs that are done.")
    private boolean reportOnly;

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() {
        PrintWriter console = spec.commandLine().getOut();
        Plan plan = Plan.read(planFile);
        if (reportOnly) {
            report(plan, console);
            return 0;
        }
        // Closed last of all: a signal's exit waits until everything is written.
        try (StopRequest stop = StopRequest.onShutdown();
                DatasetFolder dataset = Datasets.open(plan.dataset(), console::println)) {
            boolean done = new Grid(plan, dataset.tokens(), console::println).run(stop);
            if (done) report(plan, console);
            else console.println("stopped; go on with: rheostat compare " + planFile);
        }
        return 0;
    }

    private static void report(Plan plan, PrintWriter console) {
        console.println();
        console.print(CompareReport.write(plan));
        console.println();
        console.println("report: " + CompareReport.page(plan));
    }
}
