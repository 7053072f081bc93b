package dev.rheostat.cli;

import dev.rheostat.config.RunConfig;
import dev.rheostat.report.Figures;
import dev.rheostat.train.StepReport;
import dev.rheostat.train.TrainListener;
import dev.rheostat.train.Validation;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;

/** Tells on a terminal, or into a log, how a run goes. Steps and the rest come from two threads. */
final class Console implements TrainListener {
    private final PrintWriter out;
    private final ProgressLine progress;

    /** @param peakFlops a second of this machine's GEMM; 0 if nobody knows */
    Console(PrintWriter out, RunConfig config, List<String> domains, double flopsPerToken, double peakFlops) {
        this.out = out;
        progress =
                new ProgressLine(StatusLine.on(out), domains, config.schedule().steps(), flopsPerToken, peakFlops);
    }

    @Override
    public synchronized void step(StepReport r) {
        progress.step(r.step(), r.skipped() ? Double.NaN : r.lossNats(), r.tokens(), r.totalSeconds(), r.mixture_K());
    }

    @Override
    public synchronized void validated(Validation v) {
        line("validation after " + v.step() + " steps: mean over domains " + Figures.nats(v.unweightedMeanNats())
                + " nats a token, over tokens " + Figures.nats(v.tokenMeanNats()));
    }

    @Override
    public synchronized void saved(Path checkpoint) {
        line("saved " + checkpoint);
    }

    @Override
    public synchronized void note(String sentence) {
        line("note: " + sentence);
    }

    private void line(String text) {
        progress.clear();
        out.println(text);
    }

    /** The last line stays; what follows begins on a new one. */
    synchronized void end() {
        progress.clear();
    }
}
