package dev.rheostat.compare;

import dev.rheostat.config.Names;
import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RheostatException.Kind;
import dev.rheostat.config.RunFile.Layer;
import dev.rheostat.config.Setting;
import dev.rheostat.config.Yaml;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.snakeyaml.engine.v2.nodes.MappingNode;
import org.snakeyaml.engine.v2.nodes.Node;
import org.snakeyaml.engine.v2.nodes.NodeTuple;
import org.snakeyaml.engine.v2.nodes.ScalarNode;
import org.snakeyaml.engine.v2.nodes.SequenceNode;
import org.snakeyaml.engine.v2.nodes.Tag;

/** Takes down what a plan file says. The keys and their meaning are docs/compare.md's. */
final class PlanReader {
    private static final List<String> KEYS = List.of("base", "seeds", "policies", "baseline", "out", "devices");
    private static final String DEFAULT_BASELINE = "natural";

    /** Keys of a run file that a plan sets for each run. */
    private static final Map<String, String> SET_BY_PLAN = Map.of("seed", "seeds", "out", "out");

    private final String name;
    private final Path folder;
    private final Map<String, Setting> said;

    private PlanReader(Path file) {
        name = file.toString();
        folder = file.toAbsolutePath().getParent();
        Node root = Yaml.compose(Yaml.text(file, "plan file"), name)
                .orElseThrow(() -> new RheostatException(
                        Kind.BAD_REQUEST, name + ": an empty plan: write seeds and policies (docs/compare.md)"));
        said = settings(root, "", "a plan file");
        said.values().stream().filter(s -> !KEYS.contains(s.key())).findFirst().ifPresent(unknown -> {
            throw unknown.refuse("no such key in a plan file" + Names.hint(unknown.key(), KEYS));
        });
    }

    static Plan read(Path file) {
        PlanReader reader = new PlanReader(file);
        Layer base = reader.base();
        List<Long> seeds = reader.seeds();
        Map<String, Layer> policies = reader.policies();
        String baseline = reader.text("baseline", DEFAULT_BASELINE);
        if (!policies.containsKey(baseline)) throw reader.noBaseline(baseline, policies);
        String out = reader.text("out", "runs/" + file.getFileName().toString().replaceFirst("\\.ya?ml$", ""));
        return new Plan(reader.name, base, policies, seeds, baseline, Path.of(out), reader.devices());
    }

    /** The entries of a mapping, each with its line. @param what it is, for the sentence */
    private Map<String, Setting> settings(Node node, String prefix, String what) {
        if (!(node instanceof MappingNode mapping))
            throw new RheostatException(
                    Kind.BAD_REQUEST, Yaml.place(name, node) + ": " + what + " must be keys with values");
        Map<String, Setting> settings = new LinkedHashMap<>();
        for (NodeTuple tuple : mapping.getValue()) {
            String place = Yaml.place(name, tuple.getKeyNode());
            if (!(tuple.getKeyNode() instanceof ScalarNode key))
                throw new RheostatException(Kind.BAD_REQUEST, place + ": a key must be a plain name");
            Setting setting = new Setting(prefix + key.getValue(), tuple.getValueNode(), place);
            if (settings.put(key.getValue(), setting) != null) throw setting.refuse("set twice");
        }
        return settings;
    }

    private Setting required(String key) {
        Setting setting = said.get(key);
        if (setting == null)
            throw new RheostatException(Kind.BAD_REQUEST, name + ": " + key + ": a plan needs it (docs/compare.md)");
        return setting;
    }

    private String text(String key, String otherwise) {
        Setting setting = said.get(key);
        return setting == null ? otherwise : (String) setting.as(String.class);
    }

    private Layer base() {
        Setting base = said.get("base");
        if (base == null) return new Layer(name, Optional.empty(), folder);
        if (base.value() instanceof MappingNode) return new Layer(name, Optional.of(base.value()), folder);
        Path file = folder.resolve((String) base.as(String.class)).normalize();
        return new Layer(file.toString(), Yaml.compose(Yaml.text(file, "run file"), file.toString()), file.getParent());
    }

    private List<Long> seeds() {
        List<Long> seeds = new ArrayList<>();
        for (Setting seed : list(required("seeds"), "whole numbers, as in [1, 2, 3]")) {
            Long value = (Long) seed.as(long.class);
            if (seeds.contains(value)) throw seed.refuse(value + " stands here twice");
            seeds.add(value);
        }
        return List.copyOf(seeds);
    }

    private List<String> devices() {
        if (!said.containsKey("devices")) return List.of();
        List<String> devices = new ArrayList<>();
        for (Setting device : list(said.get("devices"), "devices, as in [cuda:0, cuda:1]")) {
            String value = (String) device.as(String.class);
            if (!value.matches("cpu|cuda:\\d{1,3}")) throw device.refuse(value + " is none of cpu, cuda:N");
            if (devices.contains(value)) throw device.refuse(value + " stands here twice, and does one run at a time");
            devices.add(value);
        }
        return List.copyOf(devices);
    }

    private List<Setting> list(Setting setting, String what) {
        if (!(setting.value() instanceof SequenceNode list) || list.getValue().isEmpty())
            throw setting.refuse("this must be a list of " + what);
        return list.getValue().stream()
                .map(node -> new Setting(setting.key(), node, Yaml.place(name, node)))
                .toList();
    }

    private Map<String, Layer> policies() {
        Setting all = required("policies");
        Map<String, Layer> policies = new LinkedHashMap<>();
        settings(all.value(), "policies.", "policies").forEach((policy, setting) -> {
            if (!policy.matches("[A-Za-z0-9][A-Za-z0-9._-]*"))
                throw setting.refuse("the name becomes a folder's: letters, digits, '.', '_' and '-'");
            policies.put(policy, new Layer(name, keys(setting), folder));
        });
        if (policies.isEmpty()) throw all.refuse("no policy in it");
        return policies;
    }

    /** What a policy lays over the base; nothing after its name is the base as it is. */
    private Optional<Node> keys(Setting policy) {
        if (policy.value() instanceof ScalarNode scalar && scalar.getTag().equals(Tag.NULL)) return Optional.empty();
        settings(policy.value(), policy.key() + ".", policy.key()).forEach((key, setting) -> {
            if (SET_BY_PLAN.containsKey(key))
                throw setting.refuse("a plan says it for all, as " + SET_BY_PLAN.get(key));
        });
        return Optional.of(policy.value());
    }

    private RheostatException noBaseline(String baseline, Map<String, Layer> policies) {
        String sentence = "baseline: no policy of the plan is named " + baseline;
        Setting written = said.get("baseline");
        String place = written == null ? name : written.place();
        return new RheostatException(
                Kind.BAD_REQUEST, place + ": " + sentence + Names.hint(baseline, policies.keySet()));
    }
}
