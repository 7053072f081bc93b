package dev.rheostat.config;

import dev.rheostat.ado.Policies;
import dev.rheostat.config.RheostatException.Kind;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.RecordComponent;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.snakeyaml.engine.v2.common.ScalarStyle;
import org.snakeyaml.engine.v2.nodes.MappingNode;
import org.snakeyaml.engine.v2.nodes.Node;
import org.snakeyaml.engine.v2.nodes.NodeTuple;
import org.snakeyaml.engine.v2.nodes.ScalarNode;
import org.snakeyaml.engine.v2.nodes.Tag;

/**
 * Takes down what a run file and the command line say, one {@link Setting} a key, and refuses keys that {@link RunConfig}
 * does not have. YAML is composed to nodes, not to values, because nodes know their line.
 */
final class SettingsReader {
    /** Stands for the line of what the command line says. */
    private static final String OVERRIDE = "--set";

    /** Keys that name a folder. */
    private static final List<String> PATHS = List.of("data.dataset", "mixture.referenceRun", "runtime.products");

    private final String name;
    private final Map<String, Setting> settings = new LinkedHashMap<>();

    private SettingsReader(String name) {
        this.name = name;
    }

    /**
     * By key, the first layer's first; a later one of the same key takes its place, a whole map that of its entries.
     * Relative folders become absolute.
     */
    static Map<String, Setting> read(List<RunFile.Layer> layers, Map<String, String> overrides) {
        SettingsReader all = new SettingsReader("");
        for (RunFile.Layer layer : layers) {
            SettingsReader one = new SettingsReader(layer.name());
            layer.root()
                    .ifPresent(
                            root -> one.collect(RunConfig.class, "", one.mapping(root, "a run file"), layer.folder()));
            one.settings.forEach((key, setting) -> {
                all.settings.keySet().removeIf(k -> k.startsWith(key + "."));
                all.settings.put(key, setting);
            });
        }
        overrides.forEach(all::override);
        return all.settings;
    }

    /** Every key below a record, dotted. */
    static Stream<String> keys(Class<?> type, String prefix) {
        return Stream.of(type.getRecordComponents())
                .flatMap(c -> c.getType().isRecord()
                        ? keys(c.getType(), prefix + c.getName() + ".")
                        : Stream.of(prefix + c.getName()));
    }

    private String place(Node node) {
        return Yaml.place(name, node);
    }

    private MappingNode mapping(Node node, String what) {
        if (node instanceof MappingNode mapping) return mapping;
        throw new RheostatException(Kind.BAD_REQUEST, place(node) + ": " + what + " must be keys with values");
    }

    /** Takes down what the file says, one setting for each component that is no record. */
    private void collect(Class<?> type, String prefix, MappingNode node, Path folder) {
        for (NodeTuple tuple : node.getValue()) {
            String place = place(tuple.getKeyNode());
            if (!(tuple.getKeyNode() instanceof ScalarNode written))
                throw new RheostatException(Kind.BAD_REQUEST, place + ": a key must be a plain name");
            String key = prefix + written.getValue();
            RecordComponent component =
                    component(type, written.getValue()).orElseThrow(() -> unknown(place, key, type, prefix));
            if (component.getType().isRecord()) {
                if (tuple.getValueNode() instanceof ScalarNode scalar
                        && scalar.getTag().equals(Tag.NULL))
                    throw new RheostatException(
                            Kind.BAD_REQUEST,
                            place + ": " + key
                                    + ": no keys: indent them under it, or leave it out to have the defaults");
                collect(component.getType(), key + ".", mapping(tuple.getValueNode(), key), folder);
                continue;
            }
            Setting setting = new Setting(key, tuple.getValueNode(), place);
            if (settings.containsKey(key))
                throw setting.refuse("set twice, at " + settings.get(key).place() + " too");
            put(component, setting, folder);
        }
    }

    /** Takes down one setting; of a map also each entry, which then has a line of its own. */
    private void put(RecordComponent component, Setting setting, Path folder) {
        if (PATHS.contains(setting.key())) setting = relativeTo(folder, setting);
        settings.put(setting.key(), setting);
        if (component.getType() != Map.class) return;
        if (setting.value() instanceof ScalarNode && component.isAnnotationPresent(OneForAll.class)) {
            Setting all = new Setting(setting.key() + "." + OneForAll.REST, setting.value(), setting.place());
            settings.put(all.key(), all);
            return;
        }
        if (!(setting.value() instanceof MappingNode map))
            throw setting.refuse(
                    depth(component) == 1
                            ? "this must be a map of numbers by name, as in {code: 0.7}"
                            : "this must be a map of maps, as in {1000: {code: 0.7, web: 0.3}}");
        for (NodeTuple tuple : map.getValue()) {
            if (!(tuple.getKeyNode() instanceof ScalarNode entry)) throw setting.refuse("its keys must be plain names");
            String place = tuple.getKeyNode().getStartMark().isEmpty()
                            || setting.place().equals(OVERRIDE)
                    ? setting.place()
                    : place(tuple.getKeyNode());
            Setting one = new Setting(setting.key() + "." + entry.getValue(), tuple.getValueNode(), place);
            if (settings.put(one.key(), one) != null) throw one.refuse("set twice");
        }
    }

    /** How many maps lie in one another: 1 for numbers by name, 2 for such maps by name. */
    static int depth(RecordComponent component) {
        boolean nested = component.getGenericType() instanceof ParameterizedType type
                && type.getActualTypeArguments()[1] instanceof ParameterizedType;
        return nested ? 2 : 1;
    }

    private static Setting relativeTo(Path folder, Setting dataset) {
        String written = (String) dataset.as(String.class);
        if (written.isEmpty() || written.equals(RunFile.EMBEDDED)) return dataset;
        Node absolute = text(folder.resolve(written).normalize().toString());
        return new Setting(dataset.key(), absolute, dataset.place());
    }

    private static Node text(String value) {
        return new ScalarNode(Tag.STR, value, ScalarStyle.PLAIN);
    }

    private void override(String key, String value) {
        String place = OVERRIDE;
        Class<?> type = RunConfig.class;
        String prefix = "";
        String rest = key;
        while (true) {
            int dot = rest.indexOf('.');
            String first = dot < 0 ? rest : rest.substring(0, dot);
            Class<?> inside = type;
            String before = prefix;
            RecordComponent component = component(type, first).orElseThrow(() -> unknown(place, key, inside, before));
            boolean map = component.getType() == Map.class;
            if (!component.getType().isRecord()) {
                // A map's own keys are the user's words and may hold dots.
                if (dot >= 0 && !map) throw unknown(place, key, type, prefix);
                break;
            }
            if (dot < 0)
                throw new RheostatException(
                        Kind.BAD_REQUEST,
                        place + ": " + key + ": a group of keys; set one of "
                                + String.join(
                                        ", ",
                                        keys(component.getType(), key + ".").toList()));
            type = component.getType();
            prefix += first + ".";
            rest = rest.substring(dot + 1);
        }
        Node node = Yaml.compose(value, place + " " + key).orElseGet(() -> text(""));
        Setting setting = new Setting(key, node, place);
        if (rest.indexOf('.') >= 0) settings.put(key, setting); // one entry of a map
        else {
            settings.keySet().removeIf(k -> k.startsWith(key + ".")); // a whole map takes the place of its entries
            put(component(type, rest).orElseThrow(), setting, Path.of("").toAbsolutePath());
        }
    }

    private static Optional<RecordComponent> component(Class<?> type, String name) {
        return Stream.of(type.getRecordComponents())
                .filter(c -> c.getName().equals(name))
                .findFirst();
    }

    private static RheostatException unknown(String place, String key, Class<?> type, String prefix) {
        String last = key.substring(key.lastIndexOf('.') + 1);
        List<String> siblings = Stream.of(type.getRecordComponents())
                .map(RecordComponent::getName)
                .toList();
        // A setting of some policy, written beside the policy instead of among its settings; near its siblings; then
        // the same word in another group, as learningRate at the top.
        Optional<String> near = Optional.of("mixture.settings." + last)
                .filter(setting -> prefix.equals("mixture.") && Policies.isSetting(last));
        if (near.isEmpty()) near = Names.nearest(last, siblings).map(sibling -> prefix + sibling);
        if (near.isEmpty())
            near = RunFile.keys().stream().filter(k -> k.equals(key)).findFirst();
        if (near.isEmpty()) {
            List<String> leaves = RunFile.keys();
            List<String> words = leaves.stream()
                    .map(k -> k.substring(k.lastIndexOf('.') + 1))
                    .toList();
            near = Names.nearest(last, words).map(word -> leaves.get(words.indexOf(word)));
        }
        String hint =
                near.map(k -> "; did you mean " + k + "?").orElse("; known here are " + String.join(", ", siblings));
        return new RheostatException(Kind.BAD_REQUEST, place + ": " + key + ": no such key in a run file" + hint);
    }
}
