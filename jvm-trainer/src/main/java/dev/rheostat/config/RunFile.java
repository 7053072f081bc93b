package dev.rheostat.config;

import dev.rheostat.config.RheostatException.Kind;
import java.io.IOException;
import java.lang.reflect.RecordComponent;
import java.nio.charset.MalformedInputException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.stream.Stream;
import org.snakeyaml.engine.v2.api.Dump;
import org.snakeyaml.engine.v2.api.DumpSettings;
import org.snakeyaml.engine.v2.api.LoadSettings;
import org.snakeyaml.engine.v2.api.lowlevel.Compose;
import org.snakeyaml.engine.v2.common.FlowStyle;
import org.snakeyaml.engine.v2.common.ScalarStyle;
import org.snakeyaml.engine.v2.exceptions.Mark;
import org.snakeyaml.engine.v2.exceptions.MarkedYamlEngineException;
import org.snakeyaml.engine.v2.exceptions.YamlEngineException;
import org.snakeyaml.engine.v2.nodes.MappingNode;
import org.snakeyaml.engine.v2.nodes.Node;
import org.snakeyaml.engine.v2.nodes.NodeTuple;
import org.snakeyaml.engine.v2.nodes.ScalarNode;
import org.snakeyaml.engine.v2.nodes.Tag;

/**
 * A run file, read: YAML 1.2 whose keys are the component names of {@link RunConfig}, laid over its defaults, then over
 * that the {@code --set KEY=VALUE} of the command line. {@code model.preset} counts first wherever it stands. What was
 * written is remembered, so that a later check can still name the line.
 */
public final class RunFile {
    /** A dataset of this name is no folder: it is the corpus of the running JDK. */
    public static final String EMBEDDED = "embedded";

    /** Stands for the line of what the command line says. */
    private static final String OVERRIDE = "--set";

    private final String name;
    private final Map<String, Setting> settings = new LinkedHashMap<>();
    private RunConfig config;

    private RunFile(String name) {
        this.name = name;
    }

    /** {@link #read} for who needs only the values. */
    public static RunConfig load(Path file, Map<String, String> overrides) {
        return read(file, overrides).config();
    }

    /**
     * Reads a run file; a relative {@code data.dataset} in it is relative to the file, one in overrides to the working
     * directory.
     * @throws RheostatException BAD_REQUEST with key, file and line for an unknown key, a value of the wrong type or out
     *     of its range, and keys that contradict each other
     */
    public static RunFile read(Path file, Map<String, String> overrides) {
        String text;
        try {
            text = Files.readString(file);
        } catch (MalformedInputException e) {
            throw new RheostatException(Kind.BAD_REQUEST, file + ": not UTF-8 text, so no run file", e);
        } catch (IOException e) {
            String why = Files.exists(file) ? "cannot be read: " + e.getMessage() : "no such run file";
            throw new RheostatException(Kind.BAD_REQUEST, file + ": " + why, e);
        }
        return parse(file.toString(), text, file.toAbsolutePath().getParent(), overrides);
    }

    /** A run file's text; {@code name} stands for it in sentences, relative paths start at {@code folder}. */
    public static RunFile parse(String name, String text, Path folder, Map<String, String> overrides) {
        RunFile file = new RunFile(name);
        file.compose(text, name)
                .ifPresent(root -> file.collect(RunConfig.class, "", file.mapping(root, "a run file"), folder));
        overrides.forEach(file::override);
        ModelConfig preset = file.preset();
        RunConfig base = RunConfig.defaults();
        file.config = (RunConfig) file.overlay(base.withModel(preset), "");
        RunChecks.check(file);
        return file;
    }

    public RunConfig config() {
        return config;
    }

    /** Whether the file or the command line says this key, or a part of it. */
    public boolean says(String key) {
        return settings.values().stream().anyMatch(setting -> setting.isPartOf(key));
    }

    /** Refuses what only the open dataset can tell: shares and priors of other domains, bounds that its number breaks. */
    public void checkDomains(List<String> domains) {
        RunChecks.checkDomains(this, domains);
    }

    /**
     * A refusal of a key's value, to be thrown. It names the line where the key was written; if it was not, the line of
     * a key that was and that the sentence blames too; else the file alone.
     */
    public RheostatException refuse(String key, String sentence) {
        String place = settings.values().stream()
                .filter(s -> s.isPartOf(key))
                .findFirst()
                .or(() -> settings.values().stream()
                        .filter(s -> (sentence + " ").contains(s.key() + " "))
                        .findFirst())
                .map(Setting::place)
                .orElse(name);
        return new RheostatException(Kind.BAD_REQUEST, place + ": " + key + ": " + sentence);
    }

    /** The whole config as YAML that {@link #load} reads back equal; empty Optionals and maps are left out. */
    public static String write(RunConfig config) {
        DumpSettings block = DumpSettings.builder()
                .setDefaultFlowStyle(FlowStyle.BLOCK)
                .setWidth(120)
                .build();
        return new Dump(block).dumpToString(plain(config));
    }

    /** Every key of a run file, dotted, in the order of {@link RunConfig}. */
    public static List<String> keys() {
        return keys(RunConfig.class, "").toList();
    }

    private static Stream<String> keys(Class<?> type, String prefix) {
        return Stream.of(type.getRecordComponents())
                .flatMap(c -> c.getType().isRecord()
                        ? keys(c.getType(), prefix + c.getName() + ".")
                        : Stream.of(prefix + c.getName()));
    }

    private Optional<Node> compose(String text, String place) {
        LoadSettings load =
                LoadSettings.builder().setLabel(place).setUseMarks(true).build();
        try {
            return new Compose(load).composeString(text);
        } catch (MarkedYamlEngineException e) {
            String line = e.getProblemMark().map(RunFile::line).orElse("");
            throw new RheostatException(Kind.BAD_REQUEST, place + line + ": not YAML: " + e.getProblem(), e);
        } catch (YamlEngineException e) {
            throw new RheostatException(Kind.BAD_REQUEST, place + ": not YAML: " + e.getMessage(), e);
        }
    }

    private static String line(Mark mark) {
        return ":" + (mark.getLine() + 1);
    }

    private String place(Node node) {
        return name + node.getStartMark().map(RunFile::line).orElse("");
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
        if (setting.key().equals("data.dataset")) setting = relativeTo(folder, setting);
        settings.put(setting.key(), setting);
        if (component.getType() != Map.class) return;
        if (!(setting.value() instanceof MappingNode map))
            throw setting.refuse("this must be a map of numbers by name, as in {code: 0.7}");
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

    private static Setting relativeTo(Path folder, Setting dataset) {
        String written = (String) dataset.as(String.class);
        if (written.isEmpty() || written.equals(EMBEDDED)) return dataset;
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
        Node node = compose(value, place + " " + key).orElseGet(() -> text(""));
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
        // Near its siblings first; then the same word in another group, as learningRate at the top.
        Optional<String> near = Names.nearest(last, siblings).map(sibling -> prefix + sibling);
        if (near.isEmpty()) near = keys().stream().filter(k -> k.equals(key)).findFirst();
        if (near.isEmpty()) {
            List<String> leaves = keys();
            List<String> words = leaves.stream()
                    .map(k -> k.substring(k.lastIndexOf('.') + 1))
                    .toList();
            near = Names.nearest(last, words).map(word -> leaves.get(words.indexOf(word)));
        }
        String hint =
                near.map(k -> "; did you mean " + k + "?").orElse("; known here are " + String.join(", ", siblings));
        return new RheostatException(Kind.BAD_REQUEST, place + ": " + key + ": no such key in a run file" + hint);
    }

    private ModelConfig preset() {
        Setting written = settings.get("model.preset");
        if (written == null) return RunConfig.defaults().model();
        String preset = (String) written.as(String.class);
        if (!ModelConfig.PRESETS.contains(preset))
            throw written.refuse(preset + " is no preset" + Names.hint(preset, ModelConfig.PRESETS));
        return ModelConfig.preset(preset);
    }

    private Object overlay(Object base, String prefix) {
        RecordComponent[] components = base.getClass().getRecordComponents();
        Object[] values = new Object[components.length];
        Class<?>[] types = new Class<?>[components.length];
        for (int i = 0; i < components.length; i++) {
            String key = prefix + components[i].getName();
            types[i] = components[i].getType();
            Object inBase = get(components[i], base);
            if (types[i].isRecord()) values[i] = overlay(inBase, key + ".");
            else if (types[i] == Map.class) values[i] = map(key, (Map<?, ?>) inBase);
            else {
                Setting setting = settings.get(key);
                values[i] = setting == null ? inBase : setting.as(types[i]);
            }
        }
        try {
            return base.getClass().getDeclaredConstructor(types).newInstance(values);
        } catch (ReflectiveOperationException e) {
            throw new AssertionError(e);
        }
    }

    /** The base's entries unless the map is set; then what is set, whole or entry by entry. */
    private Map<?, ?> map(String key, Map<?, ?> inBase) {
        Map<Object, Object> entries = new LinkedHashMap<>(settings.containsKey(key) ? Map.of() : inBase);
        for (Setting one : settings.values()) {
            if (one.key().startsWith(key + "."))
                entries.put(one.key().substring(key.length() + 1), one.as(double.class));
        }
        return entries;
    }

    private static Object get(RecordComponent component, Object record) {
        try {
            return component.getAccessor().invoke(record);
        } catch (ReflectiveOperationException e) {
            throw new AssertionError(e);
        }
    }

    private static Object plain(Object value) {
        if (value instanceof Enum<?>) return Setting.spelled(value);
        if (value instanceof OptionalInt n) return n.isPresent() ? n.getAsInt() : null;
        if (value instanceof OptionalLong n) return n.isPresent() ? n.getAsLong() : null;
        if (value instanceof OptionalDouble n) return n.isPresent() ? n.getAsDouble() : null;
        if (value instanceof Map<?, ?> map) return map.isEmpty() ? null : map;
        if (!value.getClass().isRecord()) return value;
        Map<String, Object> keys = new LinkedHashMap<>();
        for (RecordComponent component : value.getClass().getRecordComponents()) {
            Object inside = plain(get(component, value));
            if (inside != null) keys.put(component.getName(), inside);
        }
        return keys;
    }
}
