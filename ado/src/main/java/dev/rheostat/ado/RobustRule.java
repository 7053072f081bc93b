package dev.rheostat.ado;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * ADO with its known weaknesses answered; {@link AdoSettings} says which setting answers which. Domains that pass the
 * gate share out the prior mass that they have together in proportion to target * (h / prior)^credit * elasticity; the
 * others keep their prior share. A domain that passed once keeps its law while later fits fail the gate, so that a noisy
 * stretch does not throw the mixture back.
 */
final class RobustRule implements AdoRule {
    private final AdoSettings settings;
    private final double[] prior_K, target_K, floor_K;

    /** @param prior_K where the mixture starts. @param target_K weight of each domain's loss; both sum to 1 */
    RobustRule(AdoSettings settings, double[] prior_K, double[] target_K) {
        this.settings = settings;
        this.prior_K = prior_K;
        this.target_K = target_K;
        floor_K = new double[prior_K.length];
        for (int k = 0; k < floor_K.length; k++) floor_K[k] = settings.minShareOfPrior() * prior_K[k];
    }

    @Override
    public double[] start() {
        return prior_K.clone();
    }

    @Override
    public List<DomainFit> adopt(List<DomainFit> current, List<DomainFit> found) {
        List<DomainFit> sharp = sharp(found);
        if (current.isEmpty()) return sharp;
        List<DomainFit> adopted = new ArrayList<>();
        for (int k = 0; k < prior_K.length; k++) {
            boolean keep = !sharp.get(k).ready() && current.get(k).ready();
            adopted.add(keep ? current.get(k).because("kept: " + sharp.get(k).reason()) : sharp.get(k));
        }
        return adopted;
    }

    /**
     * Of the fits that have data enough those that are sharp: ln potential is known to gateSpread; or the share that it gives
     * lies gateApart standard deviations from the prior's, so that moving there is better than staying whatever else is not
     * known. A domain that is learnt out has a potential near 0 whose logarithm no data tell, and a share that is known to be small.
     * What is not known of a share's gain keeps nothing back: only a mixture that moves can tell it.
     */
    private List<DomainFit> sharp(List<DomainFit> found) {
        int K = prior_K.length;
        double[] weight_K = new double[K];
        double sum = 0, mass = 0;
        for (int k = 0; k < K; k++) {
            if (!found.get(k).ready()) continue;
            sum += weight_K[k] = target_K[k] * found.get(k).newestElasticity();
            mass += prior_K[k];
        }
        List<DomainFit> judged = new ArrayList<>();
        for (int k = 0; k < K; k++) {
            DomainFit fit = found.get(k);
            if (!fit.ready() || fit.spread() <= settings.gateSpread()) {
                judged.add(fit);
                continue;
            }
            double part = weight_K[k] / sum, share = mass * part;
            // d share = mass (1 - part) / sum target dP, and dP = P d ln P. The only ready domain has all the mass, and
            // is 0 off.
            double ofPotential = mass * (target_K[k] * fit.newestPotential() / sum);
            double off = Math.abs(share - prior_K[k]);
            double apart = off == 0 ? 0 : off / (ofPotential * (1 - part) * fit.spread());
            judged.add(
                    apart >= settings.gateApart()
                            ? fit.because(String.format(
                                    Locale.ROOT, "fitted: its share is %.3g deviations from the prior's", apart))
                            : fit.notSharp(String.format(
                                    Locale.ROOT,
                                    "ln potential is known to %.3g, gateSpread asks for %.3g; its share is %.3g deviations"
                                            + " from the prior's, gateApart asks for %.3g",
                                    fit.spread(),
                                    settings.gateSpread(),
                                    apart,
                                    settings.gateApart())));
        }
        return judged;
    }

    @Override
    public double[] target(List<DomainFit> fits, double[] place_K, double[] history_K) {
        double[] weight_K = new double[prior_K.length];
        for (int k = 0; k < weight_K.length; k++) {
            if (!fits.get(k).ready()) continue;
            // A prior of 0 asks for no data, so there is no ratio to give credit by.
            double credit = settings.credit() == 0 || prior_K[k] == 0
                    ? 1
                    : Math.pow(history_K[k] / prior_K[k], settings.credit());
            weight_K[k] = target_K[k] * credit * fits.get(k).elasticity(place_K[k]);
        }
        return shared(fits, weight_K);
    }

    /**
     * The prior mass of the ready domains shared out in proportion to their weights, over their floors; the others keep theirs, and
     * all do where no weight is above 0.
     */
    double[] shared(List<DomainFit> fits, double[] weight_K) {
        int K = prior_K.length, ready = 0;
        double most = 0;
        for (int k = 0; k < K; k++) {
            if (!fits.get(k).ready()) continue;
            ready++;
            most = Math.max(most, weight_K[k]);
        }
        if (most == 0) return prior_K.clone();
        double[] weight = new double[ready], floor = new double[ready], cap = new double[ready];
        double mass = 1;
        int i = 0;
        for (int k = 0; k < K; k++) {
            if (!fits.get(k).ready()) {
                mass -= prior_K[k];
                continue;
            }
            weight[i] = weight_K[k];
            floor[i] = floor_K[k];
            cap[i++] = 1;
        }
        double[] share = Simplex.project(weight, floor, cap, mass);
        double[] share_K = prior_K.clone();
        i = 0;
        for (int k = 0; k < K; k++) if (fits.get(k).ready()) share_K[k] = share[i++];
        return share_K;
    }

    @Override
    public LossMemory nothing() {
        return RobustLosses.nothing(settings, prior_K);
    }

    @Override
    public LossMemory restore(Saved saved) {
        return RobustLosses.restore(settings, prior_K, saved);
    }
}
