package dev.rheostat.cli;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * Says how a run goes: step, loss, tokens a second, share of the machine's peak, time left, and which three domains
 * gained and lost most of their share since the run began. On a terminal one line that redraws; elsewhere a line every
 * few seconds.
 */
final class ProgressLine {
    /** Moves smaller than a hundredth of a share are noise to a reader. */
    private static final double LEAST_MOVE = 0.01;

    private static final int MOST_NAMED = 3;

    /** Weight of the newest step in what is shown of speed and loss: about the last twenty steps. */
    private static final double NEWEST = 0.05;

    private final StatusLine status;
    private final List<String> domains;
    private final long steps;
    private final double flopsPerToken;
    private final double peakFlops;

    private double[] start_K;
    private double lossNats = Double.NaN;
    private double tokensPerSecond = Double.NaN;
    private double secondsPerStep = Double.NaN;

    /**
     * @param steps of the whole run
     * @param peakFlops a second; 0 if nobody knows
     */
    ProgressLine(StatusLine status, List<String> domains, long steps, double flopsPerToken, double peakFlops) {
        this.status = status;
        this.domains = domains;
        this.steps = steps;
        this.flopsPerToken = flopsPerToken;
        this.peakFlops = peakFlops;
    }

    /**
     * After a step.
     * @param step 0-based
     * @param stepNats mean loss a token; NaN if the step was skipped
     * @param seconds that the step took in all
     */
    void step(long step, double stepNats, long tokens, double seconds, double[] mixture_K) {
        if (start_K == null) start_K = mixture_K.clone();
        lossNats = Double.isNaN(stepNats) ? lossNats : blend(lossNats, stepNats);
        secondsPerStep = blend(secondsPerStep, seconds);
        tokensPerSecond = blend(tokensPerSecond, tokens / seconds);
        if (step + 1 == steps || status.isDue()) status.show(line(step, mixture_K));
    }

    /** Makes room for a line of somebody else's; the next step draws again. */
    void clear() {
        status.clear();
    }

    private static double blend(double before, double now) {
        return Double.isNaN(before) ? now : before + NEWEST * (now - before);
    }

    private String line(long step, double[] mixture_K) {
        StringBuilder line = new StringBuilder();
        line.append(String.format(
                Locale.ROOT, "step %d/%d  loss %.3f  %,.0f tokens/s", step + 1, steps, lossNats, tokensPerSecond));
        if (peakFlops > 0)
            line.append(
                    String.format(Locale.ROOT, "  %.0f %% of peak", 100 * tokensPerSecond * flopsPerToken / peakFlops));
        line.append("  ")
                .append(StatusLine.left((steps - step - 1) * secondsPerStep))
                .append(" left");
        movers(mixture_K, line);
        return line.toString();
    }

    private void movers(double[] mixture_K, StringBuilder line) {
        double[] change_K = new double[mixture_K.length];
        List<Integer> order = new ArrayList<>();
        for (int k = 0; k < mixture_K.length; k++) {
            change_K[k] = start_K[k] > 0 ? mixture_K[k] / start_K[k] - 1 : 0;
            if (Math.abs(change_K[k]) >= LEAST_MOVE) order.add(k);
        }
        order.sort((a, b) -> Double.compare(change_K[b], change_K[a]));
        List<String> up = new ArrayList<>(), down = new ArrayList<>();
        for (int k : order) if (change_K[k] > 0 && up.size() < MOST_NAMED) up.add(mover(k, change_K[k]));
        for (int k : order.reversed()) if (change_K[k] < 0 && down.size() < MOST_NAMED) down.add(mover(k, change_K[k]));
        if (!up.isEmpty()) line.append("  up ").append(String.join(" ", up));
        if (!down.isEmpty()) line.append("  down ").append(String.join(" ", down));
    }

    private String mover(int k, double change) {
        return domains.get(k) + String.format(Locale.ROOT, "%+.0f%%", 100 * change);
    }
}
