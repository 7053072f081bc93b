package dev.rheostat.config;

import dev.rheostat.config.RheostatException.Kind;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.stream.Stream;
import org.snakeyaml.engine.v2.nodes.MappingNode;
import org.snakeyaml.engine.v2.nodes.Node;
import org.snakeyaml.engine.v2.nodes.NodeTuple;
import org.snakeyaml.engine.v2.nodes.ScalarNode;
import org.snakeyaml.engine.v2.nodes.Tag;

/**
 * One key with its value, as somebody wrote it.
 * @param key dotted, as in {@code mixture.minShare}
 * @param place "FILE:LINE" or "--set", for sentences
 */
public record Setting(String key, Node value, String place) {
    public RheostatException refuse(String sentence) {
        return new RheostatException(Kind.BAD_REQUEST, place + ": " + key + ": " + sentence);
    }

    /** Whether this is the key itself or one entry of the map that it holds. */
    boolean isPartOf(String other) {
        return key.equals(other) || key.startsWith(other + ".");
    }

    /** The value as a component of this type holds it. @throws RheostatException saying what was expected */
    public Object as(Class<?> type) {
        if (type == int.class)
            return integer(Integer.MIN_VALUE, Integer.MAX_VALUE).intValue();
        if (type == long.class) return integer(Long.MIN_VALUE, Long.MAX_VALUE);
        if (type == double.class) return number();
        if (type == boolean.class) return flag();
        if (type == String.class) return text();
        if (type == OptionalInt.class)
            return OptionalInt.of(integer(Integer.MIN_VALUE, Integer.MAX_VALUE).intValue());
        if (type == OptionalLong.class) return OptionalLong.of(integer(Long.MIN_VALUE, Long.MAX_VALUE));
        if (type == OptionalDouble.class) return OptionalDouble.of(number());
        if (type.isEnum()) return constant(type);
        throw new AssertionError("no way to read a " + type + " for " + key);
    }

    /** The value as numbers by name, as in {code: 0.7}. @throws RheostatException saying what was expected */
    Map<String, Double> numbersByName() {
        if (!(value instanceof MappingNode map))
            throw refuse("this must be a map of numbers by name, as in {code: 0.7}");
        Map<String, Double> numbers = new LinkedHashMap<>();
        for (NodeTuple tuple : map.getValue()) {
            if (!(tuple.getKeyNode() instanceof ScalarNode entry)) throw refuse("its keys must be plain names");
            Setting one = new Setting(key + "." + entry.getValue(), tuple.getValueNode(), place);
            if (numbers.put(entry.getValue(), one.number()) != null) throw one.refuse("set twice");
        }
        return numbers;
    }

    private Long integer(long least, long most) {
        ScalarNode scalar = scalar("a whole number");
        if (!scalar.getTag().equals(Tag.INT)) throw expected("a whole number", scalar);
        try {
            long value = Long.parseLong(scalar.getValue());
            if (value >= least && value <= most) return value;
        } catch (NumberFormatException tooLong) {
            // falls through to the sentence: the tag says that these are digits, so there are too many of them
        }
        throw refuse(scalar.getValue() + " does not fit: it must lie between " + least + " and " + most);
    }

    private double number() {
        ScalarNode scalar = scalar("a number");
        boolean numeric = scalar.getTag().equals(Tag.INT) || scalar.getTag().equals(Tag.FLOAT);
        if (!numeric) throw expected("a number", scalar);
        String written = scalar.getValue();
        // YAML's .inf and .nan are floats to it and never a setting here.
        if (written.toLowerCase(Locale.ROOT).matches("[-+]?\\.(inf|nan)")) throw refuse(written + " is not finite");
        double value = Double.parseDouble(written);
        if (!Double.isFinite(value)) throw refuse(written + " is too large for a number");
        return value;
    }

    private boolean flag() {
        ScalarNode scalar = scalar("true or false");
        if (!scalar.getTag().equals(Tag.BOOL)) throw expected("true or false", scalar);
        return Boolean.parseBoolean(scalar.getValue().toLowerCase(Locale.ROOT));
    }

    private String text() {
        return scalar("a text").getValue();
    }

    private Object constant(Class<?> type) {
        List<String> names =
                Stream.of(type.getEnumConstants()).map(Setting::spelled).toList();
        ScalarNode scalar = scalar("one of " + String.join(", ", names));
        for (Object constant : type.getEnumConstants()) {
            if (spelled(constant).equalsIgnoreCase(scalar.getValue())) return constant;
        }
        throw refuse(scalar.getValue() + " is none of its values" + Names.hint(scalar.getValue(), names));
    }

    /** An enum constant as run files spell it: ERROR_FEEDBACK is error-feedback. */
    static String spelled(Object constant) {
        return ((Enum<?>) constant).name().toLowerCase(Locale.ROOT).replace('_', '-');
    }

    private ScalarNode scalar(String what) {
        if (!(value instanceof ScalarNode scalar)) throw refuse("this must be " + what + ", and is a list or a map");
        if (scalar.getTag().equals(Tag.NULL))
            throw refuse("no value: write " + what + ", or leave the key out to have the default");
        return scalar;
    }

    private RheostatException expected(String what, ScalarNode scalar) {
        return refuse(quoted(scalar.getValue()) + " is not " + what);
    }

    private static String quoted(String written) {
        return '"' + written.replace("\n", "\\n") + '"';
    }
}
