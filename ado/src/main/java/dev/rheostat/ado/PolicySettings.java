package dev.rheostat.ado;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The numbers of one policy that a run may choose, each under the name that it has in {@code mixture.settings} of a run
 * file, with its range and its default. A value.
 */
public final class PolicySettings {
    /** The largest count of steps: doubles count whole numbers exactly up to here and beyond. */
    public static final double STEPS = 1e15;

    /**
     * One setting; both ends of the range are included.
     *
     * @param whole only whole numbers are meant
     * @param value the default
     */
    public record Key(String name, double low, double high, boolean whole, double value) {
        /** A number in a range. */
        static Key real(String name, double low, double high, double value) {
            return new Key(name, low, high, false, value);
        }

        /** A whole number in a range. */
        static Key whole(String name, double low, double high, double value) {
            return new Key(name, low, high, true, value);
        }

        private void check(double given) {
            if (!(given >= low && given <= high) || whole && given != Math.rint(given))
                throw new IllegalArgumentException(name + " is " + plain(given) + ", must be "
                        + (whole ? "a whole number in [" : "in [") + plain(low) + ", " + plain(high) + "]");
        }
    }

    private final String owner;
    private final Map<String, Key> keys;
    private final Map<String, Double> values;

    private PolicySettings(String owner, Map<String, Key> keys, Map<String, Double> values) {
        this.owner = owner;
        this.keys = keys;
        this.values = Collections.unmodifiableMap(values);
    }

    /** @param owner policy and mode, for sentences */
    static PolicySettings of(String owner, List<Key> keys) {
        Map<String, Key> byName = new LinkedHashMap<>();
        Map<String, Double> values = new LinkedHashMap<>();
        for (Key key : keys) {
            byName.put(key.name, key);
            values.put(key.name, key.value);
        }
        return new PolicySettings(owner, byName, values);
    }

    /**
     * These settings with one changed.
     *
     * @throws IllegalArgumentException naming the key and its nearest valid name, or the key, the value and its range
     */
    public PolicySettings with(String name, double value) {
        Key key = keys.get(name);
        if (key == null && keys.isEmpty())
            throw new IllegalArgumentException(
                    name + " " + plain(value) + ": policy " + owner + " has no such setting, it has none");
        if (key == null) throw Names.unknown("setting of policy " + owner, name, keys.keySet());
        key.check(value);
        Map<String, Double> changed = new LinkedHashMap<>(values);
        changed.put(name, value);
        return new PolicySettings(owner, keys, changed);
    }

    /** These settings with all of these changed. @throws IllegalArgumentException as {@link #with(String, double)} */
    public PolicySettings with(Map<String, Double> changes) {
        PolicySettings settings = this;
        for (Map.Entry<String, Double> change : changes.entrySet())
            settings = settings.with(change.getKey(), change.getValue());
        return settings;
    }

    /** All settings, by name, in the order they were declared. */
    public Map<String, Double> values() {
        return values;
    }

    double real(String name) {
        Double value = values.get(name);
        if (value == null) throw new IllegalStateException("policy " + owner + " has no setting " + name);
        return value;
    }

    long whole(String name) {
        return (long) real(name);
    }

    private static String plain(double value) {
        return value == Math.rint(value) && Math.abs(value) < STEPS
                ? Long.toString((long) value)
                : Double.toString(value);
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof PolicySettings that && owner.equals(that.owner) && values.equals(that.values);
    }

    @Override
    public int hashCode() {
        return 31 * owner.hashCode() + values.hashCode();
    }

    @Override
    public String toString() {
        return owner + " " + values;
    }
}
