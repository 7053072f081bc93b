package dev.rheostat.ado;

import dev.rheostat.ado.fit.RobustFit;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * Every constant of ADO that a run may choose, under the name it has in a run file's {@code mixture}. A value. W1 to W14
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
    }

    /** What a setting may be, both ends included. */
    private record Range(double low, double high, boolean whole) {
        boolean holds(double value) {
            return value >= low && value <= high && (!whole || value == Math.rint(value));
        }

        @Override
        public String toString() {
            return (whole ? "a whole number in [" : "in [") + plain(low) + ", " + plain(high) + "]";
        }
    }

    private static final double STEPS = 1e15; // doubles count whole numbers exactly up to here and beyond
    private static final Map<String, Range> RANGES = ranges();

    private final Mode mode;
    private final Map<String, Double> values;

    private AdoSettings(Mode mode, Map<String, Double> values) {
        this.mode = mode;
        this.values = Collections.unmodifiableMap(values);
    }

    private static Map<String, Range> ranges() {
        Map<String, Range> ranges = new LinkedHashMap<>();
        ranges.put("startStep", new Range(0, STEPS, true));
        ranges.put("ignoreSteps", new Range(0, STEPS, true));
        ranges.put("refitEvery", new Range(1, STEPS, true));
        ranges.put("refitDelay", new Range(0, 1_000_000, true));
        ranges.put("credit", new Range(0, 1, false));
        ranges.put("minShare", new Range(0, 1, false));
        ranges.put("minShareOfPrior", new Range(0, 1, false));
        ranges.put("maxShare", new Range(1e-6, 1, false));
        ranges.put("historyRate", new Range(1e-6, 1, false));
        ranges.put("smoothing", new Range(0, 1, false));
        ranges.put("averageSteps", new Range(1, STEPS, true));
        ranges.put("gateRange", new Range(1, 1e9, false));
        ranges.put("gateSpread", new Range(1e-6, 1e9, false));
        ranges.put("gateBins", new Range(RobustFit.MIN_POINTS, 100_000, true));
        ranges.put("ceiling", new Range(0, 0.9999, false));
        ranges.put("huber", new Range(0.5, 1e9, false));
        ranges.put("binWidth", new Range(1e-4, 1, false));
        ranges.put("exponent", new Range(RobustFit.ALPHA_MIN, RobustFit.ALPHA_MAX, false));
        ranges.put("exponentSpread", new Range(0.01, 1e9, false));
        return ranges;
    }

    /** The published constants. */
    public static AdoSettings reference() {
        Map<String, Double> values = new LinkedHashMap<>();
        values.put("startStep", 500.0);
        values.put("ignoreSteps", 1000.0);
        values.put("refitEvery", 1000.0);
        values.put("refitDelay", 0.0);
        values.put("credit", 0.5);
        values.put("minShare", 0.01);
        values.put("historyRate", 0.1);
        values.put("smoothing", 0.1);
        return new AdoSettings(Mode.REFERENCE, values);
    }

    /** The default, for a run of so many steps: what counts in steps is a part of them, with a minimum. */
    public static AdoSettings robust(long totalSteps) {
        Map<String, Double> values = new LinkedHashMap<>();
        values.put("startStep", (double) Math.max(totalSteps / 20, 30));
        values.put("ignoreSteps", (double) Math.max(totalSteps * 3 / 100, 10));
        values.put("refitEvery", (double) Math.max(totalSteps / 50, 10));
        values.put("refitDelay", 8.0);
        values.put("credit", 0.0);
        values.put("minShare", 0.0);
        values.put("minShareOfPrior", 0.1);
        values.put("maxShare", 1.0);
        values.put("historyRate", 0.1);
        values.put("smoothing", 0.1);
        values.put("averageSteps", (double) Math.max(totalSteps / 50, 20));
        values.put("gateRange", 3.0);
        values.put("gateSpread", 0.3);
        values.put("gateBins", 20.0);
        values.put("ceiling", 0.98);
        values.put("huber", 2.0);
        values.put("binWidth", 0.03);
        values.put("exponent", 0.4);
        values.put("exponentSpread", 0.35);
        return new AdoSettings(Mode.ROBUST, values);
    }

    /** @param mode reference or robust. @throws IllegalArgumentException for another, naming the nearest */
    public static AdoSettings of(String mode, long totalSteps) {
        return switch (mode) {
            case "reference" -> reference();
            case "robust" -> robust(totalSteps);
            default -> throw Names.unknown("mixture mode", mode, List.of("robust", "reference"));
        };
    }

    /**
     * These settings with one changed.
     *
     * @throws IllegalArgumentException naming the key and its nearest valid name; or the key, the value and the range it
     *     must lie in; or a key that the mode does not have
     */
    public AdoSettings with(String key, double value) {
        Range range = RANGES.get(key);
        if (range == null) throw Names.unknown("mixture setting", key, RANGES.keySet());
        if (!values.containsKey(key))
            throw new IllegalArgumentException(
                    key + " " + plain(value) + ": mode " + mode.key() + " has no such setting");
        if (!range.holds(value)) throw new IllegalArgumentException(key + " is " + plain(value) + ", must be " + range);
        Map<String, Double> changed = new LinkedHashMap<>(values);
        changed.put(key, value);
        return new AdoSettings(mode, changed);
    }

    /** All settings that the mode has, by key. */
    public Map<String, Double> values() {
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
     * Floor of every share. Reference 0.01, on the target before smoothing, and partly lost as the sum is restored (W9).
     * Robust 0 and exact: the floor is then minShareOfPrior alone.
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

    /** Cap of every share. Robust 1. */
    public double maxShare() {
        return real("maxShare");
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

    RobustFit.Settings fitSettings() {
        return new RobustFit.Settings(ceiling(), huber(), exponent(), exponentSpread());
    }

    private long whole(String key) {
        return (long) real(key);
    }

    private double real(String key) {
        Double value = values.get(key);
        if (value == null) throw new IllegalStateException("mode " + mode.key() + " has no setting " + key);
        return value;
    }

    private static String plain(double value) {
        return value == Math.rint(value) && Math.abs(value) < STEPS
                ? Long.toString((long) value)
                : Double.toString(value);
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof AdoSettings that && mode == that.mode && values.equals(that.values);
    }

    @Override
    public int hashCode() {
        return 31 * mode.hashCode() + values.hashCode();
    }

    @Override
    public String toString() {
        return mode.key() + " " + values;
    }
}
