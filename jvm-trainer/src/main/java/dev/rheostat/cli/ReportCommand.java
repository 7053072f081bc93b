package dev.rheostat.cli;

import dev.rheostat.report.Report;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** report RUNDIR...: one page about a run, or about several side by side. */
@Command(
        name = "report",
        mixinStandardHelpOptions = true,
        description = "Write a page about a run, or about several side by side, that opens in any browser.")
final class ReportCommand implements Callable<Integer> {
    @Parameters(arity = "1..*", paramLabel = "RUNDIR", description = "Run folders, the first named first.")
    private List<Path> runs;

    @Option(
            names = "--out",
            paramLabel = "FILE",
            description = "Where to write; default: report.html in the run folder, or here if there are several.")
    private Path out;

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() {
        Path page =
                out != null ? out : runs.size() == 1 ? runs.getFirst().resolve("report.html") : Path.of("report.html");
        Report.write(runs, page);
        spec.commandLine().getOut().println("report: " + page);
        return 0;
    }
}
