package dev.rheostat.ado;

import static dev.rheostat.ado.PolicySettings.STEPS;

import dev.rheostat.ado.PolicySettings.Key;
import dev.rheostat.ado.fit.RobustFit;
import java.util.List;
import java.util.Locale;

/**
 * Every constant of ADO that a run may choose, under the name it has in a run file's {@code mixture.settings}. A value. W1 to W16
 * are the known weaknesses of the published method that mode robust answers, each by a setting whose docstring gives the
 * reason; mode reference holds the published values (yidingjiang/ado) and refuses the settings that only robust has.
 */
public final class AdoSettings {
    /** Which rule turns losses into shares. */
    public enum Mode {
        /** The published code, defects included. */
        REFERENCE,
        /** The same idea with its known weaknesses answered. */
        ROBUST;

        /** As in {@code mixture.mode} of a run file. */
        public String key() {
            return name().toLowerCase(Locale.ROOT);
        }

        static Mode of(String key) {
            return valueOf(key.toUpperCase(Locale.ROOT));
        }
    }

    private final Mode mode;
    private final PolicySettings values;

    AdoSettings(Mode mode, PolicySettings values) {
        this.mode = mode;
        this.values = values;
    }

    /** The published constants. */
    public static AdoSettings reference() {
        return new AdoSettings(
                Mode.REFERENCE,
                PolicySettings.of(
                        "ado/reference",
                        List.of(
                                Key.whole("startStep", 0, STEPS, 500),
                                Key.whole("ignoreSteps", 0, STEPS, 1000),
                                Key.whole("refitEvery", 1, STEPS, 1000),
                                Key.whole("refitDelay", 0, 1_000_000, 0),
                                Key.real("credit", 0, 1, 0.5),
                                Key.real("minShare", 0, 1, 0.01),
                                Key.real("historyRate", 1e-6, 1, 0.1),
                                Key.real("smoothing", 0, 1, 0.1))));
    }

    /** The default, for a run of so many steps: what counts in steps is a part of them, with a minimum. */
    public static AdoSettings robust(long totalSteps) {
        return new AdoSettings(Mode.ROBUST, PolicySettings.of("ado/robust", robustKeys(totalSteps)));
    }

    /** What mode robust declares. */
    static List<Key> robustKeys(long totalSteps) {
        return List.of(
                Key.whole("startStep", 0, STEPS, Math.max(totalSteps / 20, 30)),
                Key.whole("ignoreSteps", 0, STEPS, Math.max(totalSteps * 3 / 100, 10)),
                Key.whole("refitEvery", 1, STEPS, Math.max(totalSteps / 50, 10)),
                Key.whole("refitDelay", 0, 1_000_000, 8),
                Key.real("credit", 0, 1, 0),
                Key.real("minShareOfPrior", 0, 1, 0.1),
                Key.real("historyRate", 1e-6, 1, 0.1),
                Key.real("smoothing", 0, 1, 0.1),
                Key.whole("averageSteps", 1, STEPS, Math.max(totalSteps / 50, 20)),
                Key.real("gateRange", 1, 1e9, 3),
                Key.real("gateSpread", 1e-6, 1e9, 0.3),
                Key.real("gateApart", 0, 1e9, 1.414),
                Key.whole("gateBins", RobustFit.MIN_POINTS, 100_000, 20),
                Key.real("ceiling", 0, 0.9999, 0.98),
                Key.real("huber", 0.5, 1e9, 2),
                Key.real("binWidth", 1e-4, 1, 0.03),
                Key.real("exponent", RobustFit.ALPHA_MIN, RobustFit.ALPHA_MAX, 0.4),
                Key.real("exponentSpread", 0.01, 1e9, 0.35),
                Key.real("annealMemory", 0, 0.999999, 0),
                Key.whole("ownCount", 0, 1, 1),
                Key.whole("shareMemory", 0, STEPS, 0),
                Key.real("shareSpread", 1e-6, 1e3, 1));
    }

    /** @param mode reference or robust. @throws IllegalArgumentException for another, naming the nearest */
    public static AdoSettings of(String mode, long totalSteps) {
        return switch (mode) {
            case "reference" -> reference();
            case "robust" -> robust(totalSteps);
            default -> throw Names.unknown("mixture mode", mode, List.of("robust", "reference"));
        };
    }

    /** These settings with one changed. @throws IllegalArgumentException as {@link PolicySettings#with(String, double)} */
    public AdoSettings with(String key, double value) {
        return new AdoSettings(mode, values.with(key, value));
    }

    /** All settings that the mode has. */
    public PolicySettings values() {
        return values;
    }

    public Mode mode() {
        return mode;
    }

    /**
     * First step at which a fit may start and from which fits steer. Reference 500. Robust 5 % of the run, at least 30:
     * ten ignored steps and the twenty single-step bins that the gate asks for.
     */
    public long startStep() {
        return whole("startStep");
    }

    /**
     * Steps at the start that no fit looks at: warm-up follows no power law. Reference 1000, so its first fit sees one
     * point (W2). Robust 3 % of the run, at least 10: ln n then spans 3.5 by the end.
     */
    public long ignoreSteps() {
        return whole("ignoreSteps");
    }

    /** A fit is due at the first observed step at or past each multiple of it. Reference 1000. Robust 2 % of the run, at least 10. */
    public long refitEvery() {
        return whole("refitEvery");
    }

    /** Steps until a fit takes effect. Reference 0: the step waits, as the paper's loop does. Robust 8: it need not. */
    public int refitDelay() {
        return (int) whole("refitDelay");
    }

    /**
     * Exponent s of the share history h. Reference 0.5, on h. Robust 0: there the fixed point for independent domains is
     * the optimum, while 0.5 over-sharpens (W5); when set, it is on h / prior, which cutting a domain in parts leaves
     * alone (W14).
     */
    public double credit() {
        return real("credit");
    }

    /**
     * Reference alone: floor of every share of the target before smoothing, partly lost as the sum is restored (W9). 0.01.
     * Floors that hold are a run's {@link ShareBounds}.
     */
    public double minShare() {
        return real("minShare");
    }

    /**
     * Floor of each share as a part of the domain's prior. Robust 0.1: parts of a domain have parts of its floor (W14),
     * and the floors of any number of domains fit together (W9, whose min(0.01, 0.2 / K) gives 0.01 to 0.2 in total).
     */
    public double minShareOfPrior() {
        return real("minShareOfPrior");
    }

    /** gamma1: h moves by this part towards the shares of each batch. 0.1. */
    public double historyRate() {
        return real("historyRate");
    }

    /** gamma2: the mixture is (1 - gamma2) * average of past targets + gamma2 * target. 0.1. */
    public double smoothing() {
        return real("smoothing");
    }

    /**
     * Memory of that average, in steps. Reference has none to set: its average is over the whole run, so that the mixture
     * stays within 10 % of a mean that hardly moves (W10). Robust 2 % of the run, at least 20: it covers a refit interval
     * or two, which damps the noise of one fit and still follows.
     */
    public long averageSteps() {
        return mode == Mode.REFERENCE ? Long.MAX_VALUE : whole("averageSteps");
    }

    /** A domain is steered only once its newest n is this many times its oldest (W2): below, no exponent can be told. Robust 3. */
    public double gateRange() {
        return real("gateRange");
    }

    /** ... and the standard deviation of its ln potential is at most this (W2). Robust 0.3. */
    public double gateSpread() {
        return real("gateSpread");
    }

    /**
     * ... or the share that the fit gives is this many of its standard deviations from the prior's. Robust the root of 2: where s
     * is the best share, p the prior's and e the error of an estimate x, moving pays if (p - s)^2 > e^2, and the
     * expectation of (p - x)^2 is (p - s)^2 + e^2.
     */
    public double gateApart() {
        return real("gateApart");
    }

    /** ... and it has this many bins (W2). Robust 20. */
    public int gateBins() {
        return (int) whole("gateBins");
    }

    /**
     * Upper bound of the irreducible loss as a part of the lowest recent mean; its lower bound is 0 (W1: the published
     * penalty asks for more than 1.65 nats and starves every domain below). Robust 0.98.
     */
    public double ceiling() {
        return real("ceiling");
    }

    /**
     * Residuals beyond this many standard deviations count linearly (W3: the published 0.001 of the loss is least absolute
     * deviation). Robust 2, which costs 1 % of efficiency on clean data.
     */
    public double huber() {
        return real("huber");
    }

    /**
     * Width in ln n of the count-weighted bins that replace the filtered, imputed series (W4). Robust 0.03: at most 117
     * bins when 3 % of the run is ignored.
     */
    public double binWidth() {
        return real("binWidth");
    }

    /**
     * The exponent that a fit takes where the data do not decide one (W2). Robust 0.4, the middle of what losses over data
     * show; potentials of short runs would otherwise scatter by factors.
     */
    public double exponent() {
        return real("exponent");
    }

    /** How firmly: the standard deviation of a normal prior. Robust 0.35: out-voted once ln n spans about 2. */
    public double exponentSpread() {
        return real("exponentSpread");
    }

    /**
     * Above 0 the laws count the learning rate (W7): S1 takes the place of n and annealing takes C S2 off, see
     * {@link RobustFit}; this is the part of a fall of the rate that still works a step later. Robust 0, off. 0.99 to 0.999 is
     * what published fits use: with a memory far longer than the fall S2 looks like S1, with one far shorter like the rate.
     */
    public double annealMemory() {
        return real("annealMemory");
    }

    /**
     * Whether a domain's law counts its own sequences instead of all. Reference: all; at a constant share that is the same law. While a
     * share rises a loss falls faster in n than its own data let it, so the potential comes out too large and the share rises
     * on; while it falls, the other way round. In its own count the potential is what the domain's next sequences earn, and the fixed
     * point is the same. Robust 1.
     */
    public boolean ownCount() {
        return real("ownCount") == 1;
    }

    /**
     * Above 0 a law counts the domain's share (W16): beside what data teach, g ln(recent share / prior's share) comes off, see
     * {@link RobustFit}, and g counts in the target as the potential does. Steps that the recent share is a mean over, forgotten
     * exponentially. Robust 0, off: g is known only once the mixture has moved, and what else bends a curve at the start, form that is learnt
     * once for all, looks like it. About 5 % of the run follows a policy's own moves. {@link TransferPolicy} has none: its help says
     * what a share gives.
     */
    public long shareMemory() {
        return values.values().containsKey("shareMemory") ? whole("shareMemory") : 0;
    }

    boolean countsShares() {
        return shareMemory() > 0;
    }

    /** Prior standard deviation of g, about 0, as a part of the potential. Robust 1: seen on real text from -1 to 1.5. */
    public double shareSpread() {
        return real("shareSpread");
    }

    RobustFit.Settings fitSettings() {
        double spread = countsShares() ? shareSpread() : 0;
        return new RobustFit.Settings(ceiling(), huber(), exponent(), exponentSpread(), spread);
    }

    private long whole(String key) {
        return values.whole(key);
    }

    private double real(String key) {
        return values.real(key);
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof AdoSettings that && values.equals(that.values);
    }

    @Override
    public int hashCode() {
        return values.hashCode();
    }

    @Override
    public String toString() {
        return values.toString();
    }
}
