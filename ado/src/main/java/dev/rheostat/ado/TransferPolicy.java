package dev.rheostat.ado;

import static dev.rheostat.ado.PolicySettings.STEPS;

import dev.rheostat.ado.PolicySettings.Key;
import dev.rheostat.ado.fit.PowerLaw;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * ADO that learns from the run how much each domain's data helps the others (W6). Robust ADO gives domain j the weight
 * target_j P_j: it believes that the fall of a domain's loss is earned by that domain's data alone. Here the fall is
 * credited to those who earned it, by the help A that {@link TransferHelp} estimates:
 *
 * <pre>
 * weight_j = p_j sum_k target_k P_k A_kj / sum_i A_ki p_i          p_j: share of j in all that was drawn
 * </pre>
 *
 * which is p_j times the marginal value -dJ/dm_j, times n. A mixture that is its own weight gives all domains that are
 * drawn equal marginal values: the condition of the optimum. The map from mixture to weight is iterated from p towards it, the
 * laws taken along, and the result is ADO's target. With A the identity the first round is ADO's weight. A row of A counts as
 * the identity's until it is sharp; while none is, the target is ADO's. To learn A the mixture is shaken
 * ({@link TransferProbes}) and validated between the probes.
 */
public final class TransferPolicy implements MixturePolicy {
    static final String NAME = "ado-transfer";

    /**
     * K^2 helps need K + 1 windows a block, each ended by a validation of K domains. At 63 domains four blocks are 256
     * validations; above, it does not probe and is robust ADO.
     */
    static final int MAX_DOMAINS = 63;

    private static final double LAST_PROBE = 0.9; // of the run: the last tenth is drawn as meant

    /** Of the map from a mixture to its weights: on the bed one round loses up to four times as much, 64 gain nothing. */
    private static final int ROUNDS = 16;

    private static final double[] NOTHING = {};

    private final AdoSettings settings;
    private final PolicySettings values;
    private final AdoPolicy ado;
    private final RobustRule rule;
    private final double[] target_K;
    private final TransferProbes probes;

    /** The settings of robust ADO and those of the probes, for a run of so many steps. */
    static PolicySettings settings(long totalSteps) {
        List<Key> keys = new ArrayList<>(AdoSettings.robustKeys(totalSteps));
        // What others teach a domain falls at no count of its own: laws are in n, and the help says who earned what.
        keys.replaceAll(key -> key.name().equals("ownCount") ? Key.whole("ownCount", 0, 1, 0) : key);
        keys.removeIf(key -> key.name().startsWith("share"));
        keys.add(Key.whole("probeEnd", 0, STEPS, (long) (LAST_PROBE * totalSteps)));
        keys.add(Key.whole("blocks", 1, 64, 4));
        keys.add(Key.real("shake", 0, 2, 0.5));
        keys.add(Key.real("helpSpread", 1e-3, 10, 0.5));
        keys.add(Key.real("helpGate", 0, 1, 0.5));
        return PolicySettings.of(NAME, keys);
    }

    /** @param values made by {@link #settings} */
    TransferPolicy(PolicySettings values, PolicyInputs inputs) {
        this.values = values;
        settings = new AdoSettings(AdoSettings.Mode.ROBUST, values);
        target_K = inputs.target_K();
        ado = new AdoPolicy(settings, inputs.prior_K(), target_K);
        rule = new RobustRule(settings, inputs.prior_K(), target_K);
        long end = inputs.domains() > MAX_DOMAINS ? 0 : values.whole("probeEnd");
        probes = new TransferProbes(
                inputs.names_K(), settings.ignoreSteps(), end, (int) values.whole("blocks"), values.real("shake"));
    }

    @Override
    public String name() {
        return NAME;
    }

    @Override
    public int domains() {
        return target_K.length;
    }

    @Override
    public Set<Need> needs() {
        return Set.of(Need.TRAIN_LOSS, Need.VALIDATION_LOSS);
    }

    @Override
    public PolicyState initial() {
        AdoState start = (AdoState) ado.initial();
        int K = domains();
        double[] mixture_K = start.mixture_K();
        return new TransferState(start, new double[K], List.of(), new double[K][0], mixture_K, NOTHING, mixture_K);
    }

    /** Costs O(K^2). @throws IllegalArgumentException as {@link AdoPolicy#observe} */
    @Override
    public PolicyState observe(PolicyState state, Observation observation) {
        TransferState before = (TransferState) state;
        AdoState now = (AdoState) ado.observe(before.ado(), observation);
        double[] drawn_K = before.drawn_K().clone();
        for (int k = 0; k < drawn_K.length; k++) drawn_K[k] += observation.sequences_K()[k];
        double[] average_K = ado.average(before.ado().step(), before.average_K(), before.target_K());
        return steer(now, drawn_K, before.points(), before.help_KK(), average_K);
    }

    private TransferState steer(
            AdoState now, double[] drawn_K, List<TransferHelp.Point> points, double[][] help_KK, double[] average_K) {
        boolean steers = now.target_K().length > 0;
        double[] target_K = steers ? rule.shared(now.fits(), weight(now, drawn_K, help_KK)) : NOTHING;
        double[] mixture_K = steers ? AdoPolicy.blend(average_K, target_K, settings.smoothing()) : average_K;
        return new TransferState(now, drawn_K, points, help_KK, average_K, target_K, mixture_K);
    }

    /** ADO's weight while no row is sharp; else x after some rounds of x_j = p_j V_j from p on. */
    private double[] weight(AdoState now, double[] drawn_K, double[][] help_KK) {
        int K = drawn_K.length;
        double[] fall_K = new double[K], share_K = new double[K], best_K = share_K;
        double[] place_K = now.losses().place_K(now.n());
        boolean sharp = false;
        for (int k = 0; k < K; k++) {
            share_K[k] = drawn_K[k] / now.n();
            sharp |= help_KK[k].length > 0;
            if (now.fits().get(k).ready())
                fall_K[k] = target_K[k] * now.fits().get(k).law().orElseThrow().potential(place_K[k]);
        }
        if (!sharp) return fall_K;
        for (int round = 0; round < ROUNDS; round++) {
            double[] next_K = new double[K];
            for (int k = 0; k < K; k++)
                if (fall_K[k] > 0)
                    credit(
                            next_K,
                            best_K,
                            share_K,
                            help_KK[k],
                            k,
                            fall_K[k],
                            now.fits().get(k).law().orElseThrow().alpha());
            best_K = Simplex.normalise(next_K);
        }
        return best_K;
    }

    private static void credit(
            double[] weight_K, double[] x_K, double[] share_K, double[] row_K, int k, double fall, double alpha) {
        if (row_K.length == 0) {
            weight_K[k] += fall * Math.pow(Math.max(x_K[k], 1e-9) / Math.max(share_K[k], 1e-9), -alpha);
            return;
        }
        double skill = TransferHelp.skill(row_K, x_K);
        double left = fall * Math.pow(skill / TransferHelp.skill(row_K, share_K), -alpha);
        for (int j = 0; j < row_K.length; j++) weight_K[j] += left * x_K[j] * row_K[j] / skill;
    }

    @Override
    public double[] mixture(PolicyState state) {
        TransferState now = (TransferState) state;
        return probes.shaken(now.mixture_K().clone(), now.ado().step() + 1);
    }

    @Override
    public boolean validationDue(long stepsDone) {
        return probes.isBoundary(stepsDone);
    }

    /** Costs O(K^4), rarely: the help is estimated anew from all windows. */
    @Override
    public PolicyState validated(PolicyState state, long stepsDone, double[] lossNats_K) {
        TransferState now = (TransferState) state;
        if (lossNats_K.length != domains())
            throw new IllegalArgumentException(
                    lossNats_K.length + " validation losses, the policy has " + domains() + " domains");
        List<TransferHelp.Point> points = now.points();
        boolean tells = now.ado().n() > (points.isEmpty() ? 0 : points.getLast().drawn());
        for (double loss : lossNats_K) tells &= Double.isFinite(loss);
        if (!tells) return state; // every step since was skipped, or a loss is no number: the window goes on
        points = new ArrayList<>(points);
        points.add(new TransferHelp.Point(now.drawn_K(), lossNats_K.clone()));
        return estimated(now.ado(), now.drawn_K(), List.copyOf(points), now.average_K());
    }

    private TransferState estimated(
            AdoState now, double[] drawn_K, List<TransferHelp.Point> points, double[] average_K) {
        double[][] help_KK = new double[domains()][0];
        TransferHelp help = new TransferHelp(points, values.real("helpSpread"));
        for (int k = 0; k < now.fits().size(); k++) {
            Optional<PowerLaw> law = now.fits().get(k).law();
            if (!now.fits().get(k).ready() || law.isEmpty()) continue;
            Optional<TransferHelp.Row> row = help.row(k, law.get());
            if (row.isPresent() && row.get().vagueness() <= values.real("helpGate"))
                help_KK[k] = row.get().help_K();
        }
        return steer(now, drawn_K, points, help_KK, average_K);
    }

    @Override
    public int refitDelay() {
        return ado.refitDelay();
    }

    @Override
    public Optional<Refit> refitDue(PolicyState state) {
        return ado.refitDue(((TransferState) state).ado());
    }

    @Override
    public PolicyState adopt(PolicyState state, Refit.Result result) {
        TransferState now = (TransferState) state;
        AdoState adopted = (AdoState) ado.adopt(now.ado(), result);
        return estimated(adopted, now.drawn_K(), now.points(), now.average_K());
    }

    /** ADO's, with {@code "sharp"}: rows of the help that steer, and {@code "help"}: the rows, empty where not sharp. */
    @Override
    public Map<String, Object> diagnostics(PolicyState state) {
        TransferState now = (TransferState) state;
        Map<String, Object> values = new LinkedHashMap<>(ado.diagnostics(now.ado()));
        if (values.isEmpty()) return values;
        values.put("sharp", now.sharp());
        values.put("help", List.<Object>of((Object[]) now.help_KK()));
        return values;
    }

    @Override
    public Map<String, Object> save(PolicyState state) {
        TransferState now = (TransferState) state;
        Map<String, Object> saved = new LinkedHashMap<>();
        saved.put("policy", NAME);
        saved.put("ado", ado.save(now.ado()));
        saved.put("drawn", now.drawn_K().clone());
        saved.put("average", now.average_K().clone());
        saved.put(
                "pointsDrawn",
                now.points().stream().map(point -> point.drawn_K().clone()).toList());
        saved.put(
                "pointsLoss",
                now.points().stream().map(point -> point.lossNats_K().clone()).toList());
        return saved;
    }

    @Override
    public PolicyState restore(Map<String, Object> plain) {
        Saved saved = new Saved(plain);
        saved.expect("policy", NAME);
        AdoState state = (AdoState) ado.restore(saved.map("ado").values());
        List<double[]> drawn = saved.realRows("pointsDrawn"), loss = saved.realRows("pointsLoss");
        List<TransferHelp.Point> points = new ArrayList<>();
        for (int i = 0; i < drawn.size(); i++) {
            if (loss.size() != drawn.size() || drawn.get(i).length != domains() || loss.get(i).length != domains())
                throw new IllegalArgumentException(
                        "saved state's 'pointsDrawn' and 'pointsLoss' are not rows of " + domains() + " values each");
            points.add(new TransferHelp.Point(drawn.get(i), loss.get(i)));
        }
        return estimated(
                state, saved.reals("drawn", domains()), List.copyOf(points), saved.reals("average", domains()));
    }

    @Override
    public Map<String, Object> saveRefit(Refit refit) {
        return ado.saveRefit(refit);
    }

    @Override
    public Refit restoreRefit(Map<String, Object> saved) {
        return ado.restoreRefit(saved);
    }
}
