package dev.rheostat.ado;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Reads back the plain values of a saved state; a value that went through JSON (any Number, a List of Numbers) reads the
 * same as the array it was. Every failure names the key.
 */
record Saved(Map<String, Object> values) {
    Object get(String key) {
        Object value = values.get(key);
        if (value == null) throw new IllegalArgumentException("saved state has no '" + key + "'");
        return value;
    }

    boolean has(String key) {
        return values.get(key) != null;
    }

    long number(String key) {
        if (get(key) instanceof Number value) return value.longValue();
        throw wrong(key, "a number");
    }

    double real(String key) {
        if (get(key) instanceof Number value) return value.doubleValue();
        throw wrong(key, "a number");
    }

    boolean flag(String key) {
        if (get(key) instanceof Boolean value) return value;
        throw wrong(key, "true or false");
    }

    String text(String key) {
        if (get(key) instanceof String value) return value;
        throw wrong(key, "text");
    }

    double[] reals(String key) {
        return switch (get(key)) {
            case double[] array -> array.clone();
            case List<?> list ->
                list.stream().mapToDouble(x -> element(key, x).doubleValue()).toArray();
            default -> throw wrong(key, "a list of numbers");
        };
    }

    double[] reals(String key, int length) {
        double[] array = reals(key);
        if (array.length != length)
            throw new IllegalArgumentException(
                    "saved state has " + array.length + " values in '" + key + "' where " + length + " belong");
        return array;
    }

    /** A list of lists of numbers, such as one array a domain. */
    List<double[]> realRows(String key) {
        if (!(get(key) instanceof List<?> rows)) throw wrong(key, "a list of lists of numbers");
        return rows.stream().map(row -> new Saved(Map.of(key, row)).reals(key)).toList();
    }

    long[] numbers(String key) {
        return switch (get(key)) {
            case long[] array -> array.clone();
            case List<?> list ->
                list.stream().mapToLong(x -> element(key, x).longValue()).toArray();
            default -> throw wrong(key, "a list of whole numbers");
        };
    }

    Saved map(String key) {
        return of(key, get(key));
    }

    List<Saved> maps(String key) {
        if (get(key) instanceof List<?> list)
            return list.stream().map(x -> of(key, x)).toList();
        throw wrong(key, "a list of objects");
    }

    /** @throws IllegalArgumentException unless the text under the key is the expected one */
    void expect(String key, String expected) {
        if (!text(key).equals(expected))
            throw new IllegalArgumentException(
                    "saved state has " + key + " '" + text(key) + "' where '" + expected + "' belongs");
    }

    private static Saved of(String key, Object value) {
        if (!(value instanceof Map<?, ?> map)) throw wrong(key, "an object");
        Map<String, Object> typed = new LinkedHashMap<>();
        map.forEach((name, entry) -> typed.put(String.valueOf(name), entry));
        return new Saved(typed);
    }

    private static Number element(String key, Object value) {
        if (value instanceof Number number) return number;
        throw wrong(key, "a list of numbers");
    }

    private static IllegalArgumentException wrong(String key, String expected) {
        return new IllegalArgumentException("saved state's '" + key + "' is not " + expected);
    }
}
