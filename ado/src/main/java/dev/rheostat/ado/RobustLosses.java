package dev.rheostat.ado;

import dev.rheostat.ado.fit.FitPoints;
import dev.rheostat.ado.fit.LogBins;
import dev.rheostat.ado.fit.PowerLaw;
import dev.rheostat.ado.fit.RobustFit;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/** What mode robust fits to: count-weighted bins in ln n after the ignored steps, and the gate a fit must pass. */
record RobustLosses(AdoSettings settings, LogBins bins) implements LossMemory {
    @Override
    public LossMemory with(long n, Observation observation) {
        if (observation.step() < settings.ignoreSteps()) return this;
        return new RobustLosses(settings, bins.add(n, observation.sequences_K(), observation.lossNats_K()));
    }

    @Override
    public boolean canFit() {
        return bins.size() >= settings.gateBins();
    }

    @Override
    public List<DomainFit> fit() {
        List<DomainFit> fits = new ArrayList<>();
        for (int k = 0; k < bins.domains(); k++) fits.add(fit(bins.points(k)));
        return fits;
    }

    /** The fit and the gate of one domain. */
    private DomainFit fit(FitPoints points) {
        int size = points.size();
        double[] n = new double[size];
        for (int i = 0; i < size; i++) n[i] = Math.exp(points.lnN()[i]);
        RobustFit.Result result = RobustFit.fit(points, settings.fitSettings());
        double range = size == 0 ? 1 : n[size - 1] / n[0];
        String reason = "";
        if (size < settings.gateBins()) reason = size + " bins of the " + settings.gateBins() + " of gateBins";
        else if (range < settings.gateRange())
            reason = format("n spans %.3g times, gateRange asks for %.3g", range, settings.gateRange());
        else if (!(result.spread() <= settings.gateSpread()))
            reason = format(
                    "ln potential is known to %.3g, gateSpread asks for %.3g", result.spread(), settings.gateSpread());
        boolean ready = reason.isEmpty();
        Optional<PowerLaw> law = Optional.of(result.law()).filter(PowerLaw::isFinite);
        double spread = Double.isNaN(result.spread()) ? Double.POSITIVE_INFINITY : result.spread();
        return new DomainFit(law, ready, ready ? "fitted" : reason, spread, n, points.lossNats());
    }

    private static String format(String text, Object... values) {
        return String.format(Locale.ROOT, text, values);
    }

    @Override
    public Map<String, Object> save() {
        LogBins.Flat flat = bins.flat();
        Map<String, Object> values = new LinkedHashMap<>();
        values.put("binWidth", settings.binWidth());
        values.put("firstN", flat.firstN());
        values.put("index", flat.index());
        values.put("weight", flat.weight());
        values.put("lnN", flat.lnNSum());
        values.put("lossNats", flat.lossSum());
        return values;
    }
}
