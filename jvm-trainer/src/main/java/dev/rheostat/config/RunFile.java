package dev.rheostat.config;

import dev.rheostat.config.RheostatException.Kind;
import java.lang.reflect.RecordComponent;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.OptionalLong;
import org.snakeyaml.engine.v2.api.Dump;
import org.snakeyaml.engine.v2.api.DumpSettings;
import org.snakeyaml.engine.v2.common.FlowStyle;
import org.snakeyaml.engine.v2.nodes.Node;

/**
 * A run file, read: YAML 1.2 whose keys are the component names of {@link RunConfig}, laid over its defaults, then over
 * that the {@code --set KEY=VALUE} of the command line. {@code model.preset} counts first wherever it stands. What was
 * written is remembered, so that a later check can still name the line.
 */
public final class RunFile {
    /** A dataset of this name is no folder: it is the corpus of the running JDK. */
    public static final String EMBEDDED = "embedded";

    private final String name;
    private final Map<String, Setting> settings;
    private final RunConfig config;

    private RunFile(String name, Map<String, Setting> settings) {
        this.name = name;
        this.settings = settings;
        config = (RunConfig) overlay(RunConfig.defaults().withModel(preset()), "");
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
        String text = Yaml.text(file, "run file");
        return parse(file.toString(), text, file.toAbsolutePath().getParent(), overrides);
    }

    /** A run file's text; {@code name} stands for it in sentences, relative paths start at {@code folder}. */
    public static RunFile parse(String name, String text, Path folder, Map<String, String> overrides) {
        return of(name, List.of(new Layer(name, Yaml.compose(text, name), folder)), overrides);
    }

    /**
     * Keys of a run file that are laid over others.
     * @param name stands for them in sentences
     * @param root of their YAML, empty for none
     * @param folder where relative paths start
     */
    public record Layer(String name, Optional<Node> root, Path folder) {}

    /** Run files laid over each other, the first at the bottom; of a map, the topmost that says it counts whole. */
    public static RunFile of(String name, List<Layer> layers, Map<String, String> overrides) {
        RunFile file = new RunFile(name, SettingsReader.read(layers, overrides));
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

    /** Every key of a config with its value as text, dotted, in the order of {@link RunConfig}; what {@link #write} leaves out is not there. */
    public static Map<String, String> flat(RunConfig config) {
        Map<String, String> flat = new LinkedHashMap<>();
        flatten("", plain(config), flat);
        return flat;
    }

    private static void flatten(String key, Object value, Map<String, String> flat) {
        if (value instanceof Map<?, ?> keys)
            keys.forEach((name, inside) -> flatten(key.isEmpty() ? name.toString() : key + "." + name, inside, flat));
        else flat.put(key, String.valueOf(value));
    }

    /** Every key of a run file, dotted, in the order of {@link RunConfig}. */
    public static List<String> keys() {
        return SettingsReader.keys(RunConfig.class, "").toList();
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
            else if (types[i] == Map.class)
                values[i] = map(key, SettingsReader.depth(components[i]), (Map<?, ?>) inBase);
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

    /** The base's entries unless the map is set; then what is set, whole or entry by entry. @param depth of maps in maps, from 1 */
    private Map<?, ?> map(String key, int depth, Map<?, ?> inBase) {
        Map<String, Object> entries = new LinkedHashMap<>();
        if (!settings.containsKey(key)) inBase.forEach((name, value) -> entries.put((String) name, value));
        for (Setting one : settings.values()) {
            if (!one.key().startsWith(key + ".")) continue;
            String entry = one.key().substring(key.length() + 1);
            entries.put(entry, depth == 1 ? one.as(double.class) : one.numbersByName());
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
