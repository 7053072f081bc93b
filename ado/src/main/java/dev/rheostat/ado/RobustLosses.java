package dev.rheostat.ado;

import dev.rheostat.ado.fit.AnnealedFit;
import dev.rheostat.ado.fit.FitPoints;
import dev.rheostat.ado.fit.LogBins;
import dev.rheostat.ado.fit.PowerLaw;
import dev.rheostat.ado.fit.RateHistory;
import dev.rheostat.ado.fit.RobustFit;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/**
 * What mode robust fits to: count-weighted bins in ln n after the ignored steps, if a domain has enough of them. With
 * {@link AdoSettings#annealMemory} above 0 the bins are in ln S1 and the fits count the learning rate.
 *
 * <p>With {@link AdoSettings#ownCount} each law is in what its own domain has drawn, else in what all have.
 *
 * <p>With {@link AdoSettings#shareMemory} above 0 a bin holds how large each domain's share was of late, and a law says what that gave.
 *
 * @param prior_K share of each domain when nothing steers
 * @param rates from the first step on, ignored ones included
 * @param own_K sequences of each domain from the first step on; times the learning rate of their step where it counts
 * @param recent_K sequences of each domain of late: a part 1 / shareMemory of them is forgotten a step; all 0 where that is 0
 */
record RobustLosses(
        AdoSettings settings, double[] prior_K, LogBins bins, RateHistory rates, double[] own_K, double[] recent_K)
        implements LossMemory {
    static RobustLosses nothing(AdoSettings settings, double[] prior_K) {
        int K = prior_K.length;
        LogBins bins = LogBins.empty(K, settings.binWidth());
        return new RobustLosses(settings, prior_K, bins, RateHistory.NONE, new double[K], new double[K]);
    }

    private boolean annealed() {
        return settings.annealMemory() > 0;
    }

    @Override
    public LossMemory with(long n, Observation observation) {
        RateHistory after = rates;
        if (annealed()) {
            long drawn = observation.drawn(bins.domains());
            after = rates.with(observation.learningRate(), drawn, settings.annealMemory());
        }
        double[] after_K = own_K.clone();
        for (int k = 0; k < after_K.length; k++)
            after_K[k] += observation.sequences_K()[k] * (annealed() ? observation.learningRate() : 1);
        double[] recent_K = recent_K(observation.sequences_K());
        // A rate of 0, as at the start of a warm-up, has trained nothing: such a step has no place in ln S1.
        boolean counts = observation.step() >= settings.ignoreSteps() && (!annealed() || after.travelled() > 0);
        if (!counts) return new RobustLosses(settings, prior_K, bins, after, after_K, recent_K);
        double place = annealed() ? after.travelled() : n;
        double[] place_K = settings.ownCount() ? after_K : everywhere(place);
        LogBins more = bins.add(new LogBins.Step(
                place, place_K, after.area(), share_K(), observation.sequences_K(), observation.lossNats_K()));
        return new RobustLosses(settings, prior_K, more, after, after_K, recent_K);
    }

    private double[] recent_K(long[] sequences_K) {
        double[] after_K = recent_K.clone();
        if (!settings.countsShares()) return after_K;
        for (int k = 0; k < after_K.length; k++) after_K[k] += sequences_K[k] - after_K[k] / settings.shareMemory();
        return after_K;
    }

    /**
     * ln(recent share / share of the prior) of each domain before a step: what its loss in that step is the loss of. One sequence is
     * added to what was drawn and to what the prior would have drawn, so that a domain too rare to tell counts as drawn by the prior.
     */
    private double[] share_K() {
        double drawn = Simplex.sum(recent_K);
        double[] share_K = new double[recent_K.length];
        for (int k = 0; k < share_K.length; k++) share_K[k] = Math.log((recent_K[k] + 1) / (prior_K[k] * drawn + 1));
        return share_K;
    }

    @Override
    public double[] place_K(long n) {
        if (!settings.ownCount()) return everywhere(annealed() ? rates.place() : n);
        double[] place_K = own_K.clone();
        if (annealed()) for (int k = 0; k < place_K.length; k++) place_K[k] /= rates.peak();
        return place_K;
    }

    private double[] everywhere(double place) {
        double[] place_K = new double[bins.domains()];
        Arrays.fill(place_K, place);
        return place_K;
    }

    @Override
    public boolean canFit() {
        return bins.size() >= settings.gateBins();
    }

    @Override
    public List<DomainFit> fit() {
        List<FitPoints> points_K = new ArrayList<>();
        for (int k = 0; k < bins.domains(); k++)
            points_K.add(bins.points(k, annealed() ? rates.peak() : 0, settings.countsShares()));
        List<RobustFit.Result> result_K = annealed()
                ? AnnealedFit.fit(points_K, settings.fitSettings(), settings.annealMemory())
                : points_K.stream()
                        .map(points -> RobustFit.fit(points, settings.fitSettings()))
                        .toList();
        List<DomainFit> fits = new ArrayList<>();
        for (int k = 0; k < bins.domains(); k++) fits.add(gated(points_K.get(k), result_K.get(k)));
        return fits;
    }

    /** One domain's fit, ready if it has data enough; whether it is sharp is for {@link RobustRule} to say, who sees all domains. */
    private DomainFit gated(FitPoints points, RobustFit.Result result) {
        int size = points.size();
        double[] n = new double[size], lossNats = points.lossNats().clone();
        for (int i = 0; i < size; i++) n[i] = Math.exp(points.lnN()[i]);
        Optional<PowerLaw> law = Optional.of(result.law()).filter(PowerLaw::isFinite);
        double gain = law.isPresent() ? result.shareGain() : 0;
        for (int i = 0; i < points.share().length; i++) lossNats[i] += gain * points.share()[i];
        if (Double.isFinite(result.anneal()))
            for (int i = 0; i < points.anneal().length; i++) lossNats[i] += result.anneal() * points.anneal()[i];
        double range = size == 0 ? 1 : n[size - 1] / n[0];
        String reason = "";
        if (size < settings.gateBins()) reason = size + " bins of the " + settings.gateBins() + " of gateBins";
        else if (range < settings.gateRange())
            reason = format("n spans %.3g times, gateRange asks for %.3g", range, settings.gateRange());
        else if (!Double.isFinite(result.spread())) reason = "the fit tells nothing of the potential";
        boolean ready = reason.isEmpty();
        double spread = Double.isNaN(result.spread()) ? Double.POSITIVE_INFINITY : result.spread();
        Map<String, RobustFit.Interval> intervals = new LinkedHashMap<>();
        if (law.isPresent()) {
            intervals.put("potential", result.potentials());
            intervals.put("epsilon", result.epsilons());
            if (settings.countsShares()) intervals.put("shareGain", result.shareGains());
        }
        DomainFit.Shown shown = new DomainFit.Shown(n, lossNats, intervals, result.anneal());
        return new DomainFit(law, gain, ready, ready ? "fitted" : reason, spread, shown);
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
        values.put("own", own_K.clone());
        values.put("ownCount", settings.ownCount());
        values.put("shareMemory", settings.shareMemory());
        if (settings.countsShares()) {
            values.put("share", flat.shareSum());
            values.put("recent", recent_K.clone());
        }
        if (!annealed()) return values;
        values.put("annealMemory", settings.annealMemory());
        values.put("area", flat.areaSum());
        values.put(
                "rates",
                new double[] {rates.peak(), rates.newest(), rates.travelled(), rates.momentum(), rates.area()});
        return values;
    }

    /** The inverse of {@link #save}. @throws IllegalArgumentException naming the key that is missing, wrong or of another setting */
    static RobustLosses restore(AdoSettings settings, double[] prior_K, Saved saved) {
        same("binWidth", settings.binWidth(), saved.real("binWidth"));
        boolean annealed = settings.annealMemory() > 0;
        same("annealMemory", settings.annealMemory(), saved.has("annealMemory") ? saved.real("annealMemory") : 0);
        if (saved.flag("ownCount") != settings.ownCount())
            throw new IllegalArgumentException("saved state has ownCount " + saved.flag("ownCount") + " where "
                    + settings.ownCount() + " belongs");
        same("shareMemory", settings.shareMemory(), saved.has("shareMemory") ? saved.real("shareMemory") : 0);
        boolean shares = settings.countsShares();
        int K = prior_K.length;
        double[] loss = saved.reals("lossNats");
        LogBins.Flat flat = new LogBins.Flat(
                saved.real("firstN"),
                saved.numbers("index"),
                saved.numbers("weight"),
                saved.reals("lnN"),
                loss,
                annealed ? saved.reals("area") : new double[loss.length],
                shares ? saved.reals("share") : new double[loss.length]);
        RateHistory rates = RateHistory.NONE;
        if (annealed) {
            double[] r = saved.reals("rates", 5);
            rates = new RateHistory(r[0], r[1], r[2], r[3], r[4]);
        }
        return new RobustLosses(
                settings,
                prior_K,
                LogBins.of(K, settings.binWidth(), flat),
                rates,
                saved.reals("own", K),
                shares ? saved.reals("recent", K) : new double[K]);
    }

    private static void same(String key, double set, double saved) {
        if (saved != set)
            throw new IllegalArgumentException("saved state has " + key + " " + saved + " where " + set + " belongs");
    }
}
