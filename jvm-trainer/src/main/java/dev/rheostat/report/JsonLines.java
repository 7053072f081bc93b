package dev.rheostat.report;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RheostatException.Kind;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.function.Consumer;

/** Reads files of one JSON object a line, and says of a bad one which line and field it is. */
public final class JsonLines {
    private static final ObjectMapper JSON = new ObjectMapper();

    private JsonLines() {}

    /** One line's object, with where it stands. */
    public record Line(Path file, long number, JsonNode object) {
        /** @throws RheostatException DAMAGED naming file, line and field if it is missing or no number */
        public double number(String field) {
            JsonNode value = object.path(field);
            if (!value.isNumber()) throw missing(field, "a number");
            return value.asDouble();
        }

        /** @throws RheostatException DAMAGED naming file, line and field if it is missing or no whole number from 0 up */
        public long count(String field) {
            return count(object, field, field);
        }

        /** A count inside the line; {@code name} is its path for the sentence. */
        public long count(JsonNode inside, String field, String name) {
            JsonNode value = inside.path(field);
            if (!value.isIntegralNumber() || !value.canConvertToLong() || value.asLong() < 0)
                throw missing(name, "a whole number from 0 up");
            return value.asLong();
        }

        /** @throws RheostatException DAMAGED naming file, line and field if it is missing or no object */
        public JsonNode object(String field) {
            JsonNode value = object.path(field);
            if (!value.isObject()) throw missing(field, "an object");
            return value;
        }

        public RheostatException missing(String field, String what) {
            return damaged("field " + field + " is missing or not " + what);
        }

        public RheostatException damaged(String sentence) {
            return new RheostatException(Kind.DAMAGED, file + ":" + number + ": " + sentence);
        }
    }

    /**
     * Hands over every line in order. A last line without its newline that is no JSON is what a killed run leaves, and
     * is passed over.
     * @throws RheostatException BAD_REQUEST if there is no such file, DAMAGED for a line that is no JSON object
     */
    public static void read(Path file, Consumer<Line> consumer) {
        try (BufferedReader reader = Files.newBufferedReader(file)) {
            long number = 0;
            for (String next, text = reader.readLine(); text != null; text = next) {
                next = reader.readLine();
                number++;
                if (text.isBlank()) continue;
                JsonNode object;
                try {
                    object = JSON.readTree(text);
                } catch (JsonProcessingException e) {
                    if (next == null && !endsWithNewline(file)) return;
                    throw new RheostatException(
                            Kind.DAMAGED, file + ":" + number + ": not JSON: " + e.getOriginalMessage(), e);
                }
                Line line = new Line(file, number, object);
                if (!object.isObject()) throw line.damaged("not a JSON object");
                consumer.accept(line);
            }
        } catch (NoSuchFileException e) {
            throw new RheostatException(Kind.BAD_REQUEST, file + ": no such file", e);
        } catch (CharacterCodingException e) {
            throw new RheostatException(Kind.DAMAGED, file + ": not UTF-8 text", e);
        } catch (IOException e) {
            throw new RheostatException(Kind.MACHINE, file + ": cannot be read: " + e.getMessage(), e);
        }
    }

    private static boolean endsWithNewline(Path file) throws IOException {
        try (var channel = Files.newByteChannel(file)) {
            if (channel.size() == 0) return true;
            channel.position(channel.size() - 1);
            java.nio.ByteBuffer last = java.nio.ByteBuffer.allocate(1);
            channel.read(last);
            return last.get(0) == '\n';
        }
    }
}
