package dev.rheostat.ado;

import dev.rheostat.ado.fit.PowerLaw;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;

/**
 * What the last refit said of one domain.
 *
 * @param law empty when nothing could be fitted
 * @param ready the law steers the mixture
 * @param reason why it is not ready, or a word on what steers; for people
 * @param spread standard deviation of ln potential, or infinity where the fit does not tell
 * @param n the points it was fitted to: sequences of all domains; empty in a restored state
 * @param lossNats their losses
 */
record DomainFit(Optional<PowerLaw> law, boolean ready, String reason, double spread, double[] n, double[] lossNats) {
    private static final double[] NONE = {};

    static DomainFit notReady(String reason) {
        return new DomainFit(Optional.empty(), false, reason, Double.POSITIVE_INFINITY, NONE, NONE);
    }

    DomainFit because(String other) {
        return new DomainFit(law, ready, other, spread, n, lossNats);
    }

    Map<String, Object> diagnostics() {
        Map<String, Object> values = save();
        values.put("n", n.clone());
        values.put("lossNats", lossNats.clone());
        return values;
    }

    /** Without the points: they are for a report of the step at which the fit was adopted, not for what comes after. */
    Map<String, Object> save() {
        Map<String, Object> values = new LinkedHashMap<>();
        values.put("ready", ready);
        values.put("reason", reason);
        law.ifPresent(fit -> {
            values.put("epsilon", fit.epsilon());
            values.put("beta", fit.beta());
            values.put("alpha", fit.alpha());
        });
        if (Double.isFinite(spread)) values.put("spread", spread); // JSON has no infinity
        return values;
    }

    static DomainFit restore(Saved saved) {
        Optional<PowerLaw> law = saved.has("alpha")
                ? Optional.of(new PowerLaw(saved.real("epsilon"), saved.real("beta"), saved.real("alpha")))
                : Optional.empty();
        double spread = saved.has("spread") ? saved.real("spread") : Double.POSITIVE_INFINITY;
        return new DomainFit(law, saved.flag("ready"), saved.text("reason"), spread, NONE, NONE);
    }
}
