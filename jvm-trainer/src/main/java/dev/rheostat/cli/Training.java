package dev.rheostat.cli;

import dev.rheostat.config.RunConfig;
import dev.rheostat.data.TokenDataset;
import dev.rheostat.op.Backend;
import dev.rheostat.report.Figures;
import dev.rheostat.report.Report;
import dev.rheostat.report.TextSummary;
import dev.rheostat.train.Backends;
import dev.rheostat.train.CaptureRange;
import dev.rheostat.train.ModelPlan;
import dev.rheostat.train.RunFolder;
import dev.rheostat.train.RunSummary;
import dev.rheostat.train.StopRequest;
import dev.rheostat.train.Trainer;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.util.List;
import java.util.Locale;
import java.util.function.Supplier;

/** What train and resume have in common: says what is run, runs it, and ends with the table and the report. */
final class Training {
    private Training() {}

    /** {@link #run(RunConfig, String, TokenDataset, Supplier, PrintWriter, CaptureRange, StopRequest)}, until a signal stops it. */
    static void run(
            RunConfig config,
            String reason,
            TokenDataset dataset,
            Supplier<RunFolder> folder,
            PrintWriter out,
            CaptureRange captured) {
        // Closed last of all: a signal's exit waits until everything is written.
        try (StopRequest stop = StopRequest.onShutdown()) {
            run(config, reason, dataset, folder, out, captured, stop);
        }
    }

    /**
     * @param config resolved, for its device too
     * @param reason why that device was chosen: a resolved config asks for it and knows no other
     * @param folder opened only once the device is, so that a run that cannot start leaves none
     */
    static void run(
            RunConfig config,
            String reason,
            TokenDataset dataset,
            Supplier<RunFolder> folder,
            PrintWriter out,
            CaptureRange captured,
            StopRequest stop) {
        int K = dataset.domains().size();
        ModelPlan plan = Backends.plan(config, K);
        Backends.requireFits(config, plan, K);
        double peakFlops = config.runtime().peakGflops().isPresent()
                ? config.runtime().peakGflops().getAsDouble() * 1e9
                : Backends.measurePeakFlops(config);
        Console console = new Console(out, config, dataset.names(), plan.causalFlopsPerToken(), peakFlops);
        try (Backend<?> backend = Backends.open(config);
                RunFolder run = folder.get()) {
            describe(config, dataset, plan, peakFlops, backend, out);
            out.println("because  " + reason);
            out.println("run      " + run.path());
            RunSummary summary;
            try {
                summary = new Trainer<>(config, dataset, backend, run, console)
                        .stoppedBy(stop)
                        .capturing(captured)
                        .run();
            } finally {
                console.end();
                run.abandonIfUnused();
            }
            end(config, summary, run, out);
            for (String note : backend.notes()) out.println("graph    " + note);
        }
    }

    private static void describe(
            RunConfig config,
            TokenDataset dataset,
            ModelPlan plan,
            double peakFlops,
            Backend<?> backend,
            PrintWriter out) {
        long tokens = dataset.domains().stream()
                .mapToLong(domain -> domain.train().tokens())
                .sum();
        out.println("dataset  " + dataset.name() + ": " + dataset.domains().size() + " domains, "
                + Figures.count(tokens) + " training tokens, tokenizer "
                + dataset.tokenizer().name());
        out.println("model    " + config.model().layers() + " layers of width "
                + config.model().width() + ", " + Figures.count(plan.parameters()) + " parameters, "
                + Figures.count(plan.causalFlopsPerToken()) + " FLOPs a token");
        out.println("batch    " + config.batch().sequences() + " x "
                + config.model().context() + " tokens, " + config.schedule().steps() + " steps");
        out.println("mixture  " + config.mixture().spelled());
        out.println("device   " + backend.describe() + "; GEMM peak " + Figures.count(peakFlops) + "FLOP/s");
    }

    private static void end(RunConfig config, RunSummary summary, RunFolder run, PrintWriter out) {
        if (Files.exists(run.metrics()) && summary.steps() > 0) {
            out.println();
            out.print(TextSummary.of(run.path()));
            Report.write(List.of(run.path()), run.report());
        }
        out.println();
        RunSummary.Stalls stalls = summary.stalls();
        if (!stalls.none())
            out.println("stalls   ring empty " + stalls.ringEmpty() + ", record late " + stalls.lateRecords()
                    + ", refit late " + stalls.lateRefits());
        if (summary.skippedSteps() > 0) out.println("skipped  " + summary.skippedSteps() + " steps were not finite");
        if (summary.tokensPerSecond() > 0)
            out.println(String.format(Locale.ROOT, "speed    %,.0f tokens/s", summary.tokensPerSecond()));
        else out.println("done     all " + summary.steps() + " steps were done before");
        if (summary.steps() > 0) out.println("report   " + run.report());
        if (summary.stopped())
            out.println("stopped  after " + summary.steps() + " of "
                    + config.schedule().steps() + " steps, saved; go on with: rheostat resume " + run.path());
    }
}
