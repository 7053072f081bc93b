package dev.rheostat.config;

import dev.rheostat.config.RheostatException.Kind;
import java.io.IOException;
import java.nio.charset.MalformedInputException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import org.snakeyaml.engine.v2.api.LoadSettings;
import org.snakeyaml.engine.v2.api.lowlevel.Compose;
import org.snakeyaml.engine.v2.exceptions.Mark;
import org.snakeyaml.engine.v2.exceptions.MarkedYamlEngineException;
import org.snakeyaml.engine.v2.exceptions.YamlEngineException;
import org.snakeyaml.engine.v2.nodes.Node;

/** YAML as nodes, not as values, because nodes know their line. */
public final class Yaml {
    private Yaml() {}

    /** The text of a file. @param what it is, for the sentence. @throws RheostatException BAD_REQUEST if there is none */
    public static String text(Path file, String what) {
        try {
            return Files.readString(file);
        } catch (MalformedInputException e) {
            throw new RheostatException(Kind.BAD_REQUEST, file + ": not UTF-8 text, so no " + what, e);
        } catch (IOException e) {
            String why = Files.exists(file) ? "cannot be read: " + e.getMessage() : "no such " + what;
            throw new RheostatException(Kind.BAD_REQUEST, file + ": " + why, e);
        }
    }

    /**
     * The root of a text, empty for an empty text.
     * @param name stands for the text in sentences
     * @throws RheostatException BAD_REQUEST with the line if it is not YAML
     */
    public static Optional<Node> compose(String text, String name) {
        LoadSettings load =
                LoadSettings.builder().setLabel(name).setUseMarks(true).build();
        try {
            return new Compose(load).composeString(text);
        } catch (MarkedYamlEngineException e) {
            String line = e.getProblemMark().map(Yaml::line).orElse("");
            throw new RheostatException(Kind.BAD_REQUEST, name + line + ": not YAML: " + e.getProblem(), e);
        } catch (YamlEngineException e) {
            throw new RheostatException(Kind.BAD_REQUEST, name + ": not YAML: " + e.getMessage(), e);
        }
    }

    /** "NAME:LINE" of a node. */
    public static String place(String name, Node node) {
        return name + node.getStartMark().map(Yaml::line).orElse("");
    }

    private static String line(Mark mark) {
        return ":" + (mark.getLine() + 1);
    }
}
