package dev.rheostat.ado;

import dev.rheostat.ado.fit.PowerLaw;
import dev.rheostat.ado.fit.RobustFit.Interval;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * What the last refit said of one domain.
 *
 * @param law empty when nothing could be fitted
 * @param shareGain what a larger share gains at once beyond the law, nats a unit of its logarithm; 0 where shares do not count
 * @param ready the law steers the mixture
 * @param reason why it is not ready, or a word on what steers; for people
 * @param spread standard deviation of ln potential, or infinity where the fit does not tell
 * @param shown what else a reader of the run sees
 */
record DomainFit(Optional<PowerLaw> law, double shareGain, boolean ready, String reason, double spread, Shown shown) {
    private static final List<String> INTERVALS = List.of("potential", "epsilon", "shareGain");

    /**
     * For a report of the step at which the fit was adopted.
     *
     * @param n the points it was fitted to: sequences of all domains, or S1
     * @param lossNats their losses at the prior's share, what annealing took off added again
     * @param intervals by name, 90 %; empty where the fit tells none
     * @param anneal C of the law, nats a unit of S2; 0 where the learning rate does not count
     */
    record Shown(double[] n, double[] lossNats, Map<String, Interval> intervals, double anneal) {
        static final Shown NOTHING = new Shown(new double[0], new double[0]);

        Shown(double[] n, double[] lossNats) {
            this(n, lossNats, Map.of(), 0);
        }
    }

    /** With points alone to show. */
    DomainFit(Optional<PowerLaw> law, boolean ready, String reason, double spread, double[] n, double[] lossNats) {
        this(law, 0, ready, reason, spread, new Shown(n, lossNats));
    }

    static DomainFit notReady(String reason) {
        return new DomainFit(Optional.empty(), 0, false, reason, Double.POSITIVE_INFINITY, Shown.NOTHING);
    }

    DomainFit notSharp(String why) {
        return new DomainFit(law, shareGain, false, why, spread, shown);
    }

    /**
     * What the loss falls by a unit of ln of the domain's share, nats: the potential, which is what its data earn, and the gain of the
     * share itself. At least 0. Of a ready fit.
     *
     * @param place where the law stands
     */
    double elasticity(double place) {
        return Math.max(0, law.orElseThrow().potential(place) + shareGain);
    }

    /** The same at the newest point that the law was fitted to. */
    double newestElasticity() {
        return elasticity(newest());
    }

    /** Of the law, at the newest point that it was fitted to, nats. Of a ready fit. */
    double newestPotential() {
        return law.orElseThrow().potential(newest());
    }

    private double newest() {
        return shown.n[shown.n.length - 1];
    }

    DomainFit because(String other) {
        return new DomainFit(law, shareGain, ready, other, spread, shown);
    }

    /** All of it, for a reader of the run and for a run that goes on: a law that is kept shows the same points after a resume. */
    Map<String, Object> save() {
        Map<String, Object> values = new LinkedHashMap<>();
        values.put("ready", ready);
        values.put("reason", reason);
        law.ifPresent(fit -> {
            values.put("epsilon", fit.epsilon());
            values.put("beta", fit.beta());
            values.put("alpha", fit.alpha());
        });
        if (shareGain != 0) values.put("shareGain", shareGain);
        if (Double.isFinite(spread)) values.put("spread", spread); // JSON has no infinity
        shown.intervals.forEach((name, interval) -> {
            values.put(name + "Low", interval.low());
            values.put(name + "High", interval.high());
        });
        if (shown.anneal > 0) values.put("anneal", shown.anneal);
        values.put("n", shown.n.clone());
        values.put("lossNats", shown.lossNats.clone());
        return values;
    }

    static DomainFit restore(Saved saved) {
        Optional<PowerLaw> law = saved.has("alpha")
                ? Optional.of(new PowerLaw(saved.real("epsilon"), saved.real("beta"), saved.real("alpha")))
                : Optional.empty();
        double spread = saved.has("spread") ? saved.real("spread") : Double.POSITIVE_INFINITY;
        Map<String, Interval> intervals = new LinkedHashMap<>();
        for (String name : INTERVALS)
            if (saved.has(name + "Low"))
                intervals.put(name, new Interval(saved.real(name + "Low"), saved.real(name + "High")));
        Shown shown = new Shown(
                saved.reals("n"), saved.reals("lossNats"), intervals, saved.has("anneal") ? saved.real("anneal") : 0);
        double shareGain = saved.has("shareGain") ? saved.real("shareGain") : 0;
        return new DomainFit(law, shareGain, saved.flag("ready"), saved.text("reason"), spread, shown);
    }
}
