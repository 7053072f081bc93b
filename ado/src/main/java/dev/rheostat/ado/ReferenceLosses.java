package dev.rheostat.ado;

import dev.rheostat.ado.fit.LossSeries;
import dev.rheostat.ado.fit.PowerLaw;
import dev.rheostat.ado.fit.ReferenceFit;
import dev.rheostat.ado.fit.SavitzkyGolay;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * What the published code fits to (yidingjiang/ado, data_selectors/ado.py): the whole loss series, absent domains imputed,
 * filtered to its noisy edges, every tenth row after the ignored ones. A series shorter than the filter is not fitted.
 */
record ReferenceLosses(AdoSettings settings, LossSeries series) implements LossMemory {
    private static final SavitzkyGolay FILTER = new SavitzkyGolay(101, 3);
    private static final int STRIDE = 10;
    private static final int SHOWN_POINTS = 128; // of a fit, in diagnostics: a report needs no more

    @Override
    public LossMemory with(long n, Observation observation) {
        return new ReferenceLosses(settings, series.add(n, observation.sequences_K(), observation.lossNats_K()));
    }

    @Override
    public double[] place_K(long n) {
        double[] place_K = new double[series.domains()];
        Arrays.fill(place_K, n);
        return place_K;
    }

    @Override
    public boolean canFit() {
        return series.length() >= FILTER.window() && series.length() > settings.ignoreSteps();
    }

    @Override
    public List<DomainFit> fit() {
        int first = (int) settings.ignoreSteps(), rows = (series.length() - first + STRIDE - 1) / STRIDE;
        long[] totals = series.totals();
        double[] n = new double[rows];
        for (int i = 0; i < rows; i++) n[i] = totals[first + i * STRIDE];
        List<DomainFit> fits = new ArrayList<>();
        for (double[] loss_T : series.losses()) {
            double[] smooth_T = FILTER.smooth(loss_T);
            double[] lossNats = new double[rows];
            for (int i = 0; i < rows; i++) lossNats[i] = smooth_T[first + i * STRIDE];
            fits.add(domainFit(ReferenceFit.fit(n, lossNats).law(), n, lossNats));
        }
        return fits;
    }

    private static DomainFit domainFit(PowerLaw law, double[] n, double[] lossNats) {
        double[] shownN = thinned(n), shownLoss = thinned(lossNats);
        return law.isFinite()
                ? new DomainFit(Optional.of(law), true, "fitted", Double.POSITIVE_INFINITY, shownN, shownLoss)
                : new DomainFit(
                        Optional.empty(), false, "fit is not finite", Double.POSITIVE_INFINITY, shownN, shownLoss);
    }

    /** At most {@link #SHOWN_POINTS} of the points, evenly, the newest among them. */
    private static double[] thinned(double[] x) {
        int stride = (x.length + SHOWN_POINTS - 1) / SHOWN_POINTS;
        int shown = (x.length + stride - 1) / stride;
        double[] some = new double[shown];
        for (int i = 0; i < shown; i++) some[shown - 1 - i] = x[x.length - 1 - i * stride];
        return some;
    }

    @Override
    public Map<String, Object> save() {
        Map<String, Object> values = new LinkedHashMap<>();
        values.put("totals", series.totals());
        values.put("lossNats", List.of(series.losses()));
        return values;
    }
}
