package dev.rheostat.ado;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Favours domains whose fitted loss is still falling. Jiang et al. 2024, arXiv:2410.11820; order of operations as in
 * yidingjiang/ado, data_selectors/ado.py. After step t, with q_K the shares of its batch and n all sequences so far:
 *
 * <pre>
 * h       = (1 - historyRate) h + historyRate q                     history, starts at the prior
 * rho     = rule(laws, where each stands, h)                        once a law is ready and t >= startStep
 * pi      = (1 - smoothing) average + smoothing rho                 the mixture held after step t
 * average = (1 - w) average + w rho,  w = 1 / min(t + 1, averageSteps)
 * </pre>
 *
 * Before, pi is the prior. The mode picks the {@link AdoRule} and its {@link LossMemory}; nothing else differs. A step
 * costs O(K) whatever has been observed; a refit is split off.
 */
public final class AdoPolicy implements MixturePolicy {
    private record AdoRefit(LossMemory losses) implements Refit {
        @Override
        public Result run() {
            return new Found(losses.fit());
        }
    }

    private record Found(List<DomainFit> fits) implements Refit.Result {}

    private static final double[] NO_TARGET = {};

    private final AdoSettings settings;
    private final double[] prior_K;
    private final AdoRule rule;

    /** With the prior as the target. @throws IllegalArgumentException as the other constructor */
    public AdoPolicy(AdoSettings settings, double[] prior_K) {
        this(settings, prior_K, prior_K);
    }

    /**
     * @param prior_K natural share of each domain, from which the mixture starts; need not sum to 1
     * @param target_K weight of each domain's loss in what is to fall; need not sum to 1
     * @throws IllegalArgumentException for a prior or a target that is negative or all 0
     */
    public AdoPolicy(AdoSettings settings, double[] prior_K, double[] target_K) {
        this.settings = settings;
        this.prior_K = Simplex.normalise(prior_K);
        double[] weight_K = Simplex.normalise(target_K);
        this.rule = switch (settings.mode()) {
            case REFERENCE -> new ReferenceRule(settings, this.prior_K, weight_K);
            case ROBUST -> new RobustRule(settings, this.prior_K, weight_K);
        };
    }

    @Override
    public String name() {
        return "ado";
    }

    @Override
    public int domains() {
        return prior_K.length;
    }

    @Override
    public int refitDelay() {
        return settings.refitDelay();
    }

    @Override
    public PolicyState initial() {
        double[] start_K = rule.start();
        return new AdoState(-1, 0, prior_K, start_K, NO_TARGET, start_K, List.of(), rule.nothing(), false);
    }

    /** @throws IllegalArgumentException if the observation is of another number of domains, of no sequence, or not of a later step */
    @Override
    public PolicyState observe(PolicyState state, Observation observation) {
        AdoState before = (AdoState) state;
        long drawn = observation.drawn(prior_K.length);
        if (observation.step() <= before.step())
            throw new IllegalArgumentException("step " + observation.step() + " observed after step " + before.step());
        long n = before.n() + drawn;
        double[] history_K = before.history_K().clone();
        for (int k = 0; k < history_K.length; k++) {
            double share = (double) observation.sequences_K()[k] / drawn;
            history_K[k] = (1 - settings.historyRate()) * history_K[k] + settings.historyRate() * share;
        }
        LossMemory losses = before.losses().with(n, observation);
        long step = observation.step(), every = settings.refitEvery();
        // At a multiple, or at the first observed step past one that was skipped; step 0 is no multiple of note.
        boolean due =
                step >= settings.startStep() && step / every > Math.max(before.step(), 0) / every && losses.canFit();
        double[] average_K = average(before.step(), before.average_K(), before.target_K());
        return steer(step, n, history_K, average_K, before.fits(), losses, due);
    }

    /** The average with the target of the step in it, if it had one. */
    double[] average(long step, double[] average_K, double[] target_K) {
        if (target_K.length == 0) return average_K;
        double weight = 1.0 / Math.min(step + 1, settings.averageSteps());
        return blend(average_K, target_K, weight);
    }

    private AdoState steer(
            long step,
            long n,
            double[] history_K,
            double[] average_K,
            List<DomainFit> fits,
            LossMemory losses,
            boolean refitDue) {
        boolean steers = step >= settings.startStep() && fits.stream().anyMatch(DomainFit::ready);
        double[] target_K = steers ? rule.target(fits, losses.place_K(n), history_K) : NO_TARGET;
        double[] mixture_K = steers ? blend(average_K, target_K, settings.smoothing()) : average_K;
        return new AdoState(step, n, history_K, average_K, target_K, mixture_K, fits, losses, refitDue);
    }

    /** (1 - weight) a + weight b. */
    static double[] blend(double[] a_K, double[] b_K, double weight) {
        double[] blend_K = new double[a_K.length];
        for (int k = 0; k < blend_K.length; k++) blend_K[k] = (1 - weight) * a_K[k] + weight * b_K[k];
        return blend_K;
    }

    @Override
    public double[] mixture(PolicyState state) {
        return ((AdoState) state).mixture_K().clone();
    }

    @Override
    public Optional<Refit> refitDue(PolicyState state) {
        AdoState now = (AdoState) state;
        return now.refitDue() ? Optional.of(new AdoRefit(now.losses())) : Optional.empty();
    }

    /** The step's target and mixture are made anew with the laws found, as if they had been there when it was observed. */
    @Override
    public PolicyState adopt(PolicyState state, Refit.Result result) {
        AdoState now = (AdoState) state;
        List<DomainFit> fits = rule.adopt(now.fits(), ((Found) result).fits());
        return steer(now.step(), now.n(), now.history_K(), now.average_K(), fits, now.losses(), now.refitDue());
    }

    @Override
    public Map<String, Object> diagnostics(PolicyState state) {
        List<DomainFit> fits = ((AdoState) state).fits();
        return fits.isEmpty()
                ? Map.of()
                : Map.of("fits", fits.stream().map(DomainFit::save).toList());
    }

    /** Target and mixture follow from the rest and are made again on restoring. */
    @Override
    public Map<String, Object> save(PolicyState state) {
        AdoState now = (AdoState) state;
        Map<String, Object> saved = header();
        saved.put("step", now.step());
        saved.put("n", now.n());
        saved.put("history", now.history_K().clone());
        saved.put("average", now.average_K().clone());
        saved.put("fits", now.fits().stream().map(DomainFit::save).toList());
        saved.put("losses", now.losses().save());
        return saved;
    }

    @Override
    public PolicyState restore(Map<String, Object> values) {
        Saved saved = checked(values);
        List<DomainFit> fits =
                saved.maps("fits").stream().map(DomainFit::restore).toList();
        if (!fits.isEmpty() && fits.size() != prior_K.length)
            throw new IllegalArgumentException(
                    "saved state has " + fits.size() + " 'fits' where " + prior_K.length + " belong");
        return steer(
                saved.number("step"),
                saved.number("n"),
                saved.reals("history", prior_K.length),
                saved.reals("average", prior_K.length),
                fits,
                rule.restore(saved.map("losses")),
                false);
    }

    @Override
    public Map<String, Object> saveRefit(Refit refit) {
        Map<String, Object> saved = header();
        saved.put("losses", ((AdoRefit) refit).losses().save());
        return saved;
    }

    @Override
    public Refit restoreRefit(Map<String, Object> values) {
        return new AdoRefit(rule.restore(checked(values).map("losses")));
    }

    private Map<String, Object> header() {
        Map<String, Object> saved = new LinkedHashMap<>();
        saved.put("policy", name());
        saved.put("mode", settings.mode().key());
        return saved;
    }

    private Saved checked(Map<String, Object> values) {
        Saved saved = new Saved(values);
        saved.expect("policy", name());
        saved.expect("mode", settings.mode().key());
        return saved;
    }
}
