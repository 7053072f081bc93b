package dev.rheostat.optim;

import dev.rheostat.config.RunConfig.Schedule;
import dev.rheostat.config.RunConfig.ScheduleKind;

/** Learning rate of a step: a pure function, clamped to the final rate after the last step. */
public final class Schedules {
    private Schedules() {}

    /**
     * Step t of the warm-up has (t + 1) / warmupSteps of the peak. After it, cosine from the peak to finalRate of it
     * (Loshchilov and Hutter 2017, arXiv:1608.03983, without restarts), or WSD: the peak, then in the last decaySteps a line to
     * finalRate (Hu et al. 2024, arXiv:2404.06395).
     *
     * @param schedule resolved
     * @param step 0-based
     */
    public static double learningRate(Schedule schedule, double peak, long step) {
        long warmup = schedule.warmupSteps().orElseThrow(), last = schedule.steps() - 1;
        if (step < warmup && step <= last) return peak * (step + 1) / warmup;
        if (step >= last) return peak * schedule.finalRate();
        double low = schedule.finalRate();
        if (schedule.kind() == ScheduleKind.COSINE) {
            double progress = (double) (step - warmup) / Math.max(1, last - warmup);
            return peak * (low + (1 - low) * 0.5 * (1 + StrictMath.cos(Math.PI * progress)));
        }
        long decay = schedule.decaySteps().orElseThrow(), start = last - decay;
        if (step <= start) return peak;
        return peak * (1 - (1 - low) * (step - start) / decay);
    }
}
