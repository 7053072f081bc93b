package dev.rheostat.ado;

import dev.rheostat.ado.fit.LossSeries;
import dev.rheostat.ado.fit.PowerLaw;
import java.util.List;
import java.util.stream.DoubleStream;

/**
 * How the published code turns laws into a target, defects included (yidingjiang/ado, data_selectors/ado.py): credit on the
 * bare history, and a floor that restoring the sum breaks.
 */
final class ReferenceRule implements AdoRule {
    private static final double LEAST_ALPHA = 0.05; // in the slope only

    private final AdoSettings settings;
    private final double[] prior_K, target_K;

    /** @param target_K in the place of the published prior in the target; both sum to 1 */
    ReferenceRule(AdoSettings settings, double[] prior_K, double[] target_K) {
        this.settings = settings;
        this.prior_K = prior_K;
        this.target_K = target_K;
    }

    @Override
    public double[] start() {
        return prior_K.clone();
    }

    /** The parameters of all domains are one array there: one that is not finite rejects them all. */
    @Override
    public List<DomainFit> adopt(List<DomainFit> current, List<DomainFit> found) {
        boolean accepted = found.stream().allMatch(DomainFit::ready);
        if (accepted) return found;
        if (!current.isEmpty())
            return current.stream()
                    .map(fit -> fit.because("kept: a later fit was not finite"))
                    .toList();
        return found.stream()
                .map(fit -> DomainFit.notReady("fit of a domain is not finite"))
                .toList();
    }

    @Override
    public double[] target(List<DomainFit> fits, double[] place_K, double[] history_K) {
        double[] weight_K = new double[prior_K.length];
        for (int k = 0; k < weight_K.length; k++) {
            PowerLaw law = fits.get(k).law().orElseThrow();
            double n = place_K[k];
            double slope = Math.max(law.alpha(), LEAST_ALPHA) * (law.at(n) - law.epsilon()) / n;
            weight_K[k] = target_K[k] * Math.pow(history_K[k], settings.credit()) * slope;
        }
        return clip(normalised(weight_K), settings.minShare());
    }

    /**
     * The published floor: room for all floors is taken from everybody, then the floor applied, then the sum restored,
     * which pushes clipped entries under it again; for K at and over 2 / floor the answer is uniform whatever came in.
     */
    static double[] clip(double[] share_K, double floor) {
        double sum = DoubleStream.of(share_K).sum();
        double room = Math.max(floor * share_K.length - sum, 0);
        double[] clipped_K = new double[share_K.length];
        for (int k = 0; k < clipped_K.length; k++) clipped_K[k] = Math.max(share_K[k] * (1 - room) / sum, floor);
        return normalised(clipped_K);
    }

    private static double[] normalised(double[] weight_K) {
        double sum = 0;
        for (double weight : weight_K) sum += weight;
        double[] share_K = new double[weight_K.length];
        for (int k = 0; k < share_K.length; k++) share_K[k] = weight_K[k] / sum;
        return share_K;
    }

    @Override
    public LossMemory nothing() {
        return new ReferenceLosses(settings, LossSeries.empty(prior_K.length));
    }

    @Override
    public LossMemory restore(Saved saved) {
        long[] totals = saved.numbers("totals");
        double[][] loss_KT = saved.realRows("lossNats").toArray(double[][]::new);
        if (loss_KT.length != prior_K.length)
            throw new IllegalArgumentException(
                    "saved state has " + loss_KT.length + " domains in 'lossNats' where " + prior_K.length + " belong");
        return new ReferenceLosses(settings, LossSeries.of(totals, loss_KT));
    }
}
