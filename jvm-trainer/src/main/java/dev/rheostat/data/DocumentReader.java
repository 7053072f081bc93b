package dev.rheostat.data;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.github.luben.zstd.ZstdInputStream;
import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RheostatException.Kind;
import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.function.LongConsumer;
import java.util.zip.GZIPInputStream;

/** Reads files as raw documents, one after the other; a raw document is a line of JSON, or a whole text file. */
final class DocumentReader implements AutoCloseable {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final int BUFFER_BYTES = 1 << 16;

    /** @param line 1-based; 0 for a whole file */
    record Raw(Path file, long line, byte[] bytes) {
        String place() {
            return line == 0 ? file.toString() : file + ":" + line;
        }
    }

    /** What is wrong with a document, in a few words. */
    static final class BadDocument extends Exception {
        private static final long serialVersionUID = 1L;

        BadDocument(String why) {
            super(why);
        }
    }

    private final Path file;
    private final boolean text;
    private final InputStream in;
    private final byte[] buffer = new byte[BUFFER_BYTES];
    private int at;
    private int end;
    private long line;

    /** @param read is told of bytes read from the disk */
    DocumentReader(Path file, LongConsumer read) {
        this.file = file;
        text = file.toString().endsWith(".txt");
        try {
            InputStream raw = new BufferedInputStream(new Counted(Files.newInputStream(file), read), BUFFER_BYTES);
            in = file.toString().endsWith(".gz")
                    ? new GZIPInputStream(raw, BUFFER_BYTES)
                    : file.toString().endsWith(".zst") ? new ZstdInputStream(raw) : raw;
        } catch (IOException e) {
            throw damaged(e);
        }
    }

    private RheostatException damaged(IOException e) {
        return new RheostatException(
                Kind.DAMAGED, file + " cannot be read to its end (" + e.getMessage() + "): copy it again", e);
    }

    /** The next document, null after the last. @throws RheostatException DAMAGED if compressed data ends early or is wrong */
    Raw next() {
        try {
            if (!text) return nextLine();
            return line++ == 0 ? new Raw(file, 0, in.readAllBytes()) : null;
        } catch (IOException e) {
            throw damaged(e);
        }
    }

    /** Lines without anything in them are passed over. */
    private Raw nextLine() throws IOException {
        ByteArrayOutputStream content = null;
        while (true) {
            if (at == end) {
                at = 0;
                end = in.read(buffer, 0, buffer.length);
                if (end < 0) {
                    end = 0;
                    if (content == null || content.size() == 0) return null;
                    line++;
                    return new Raw(file, line, content.toByteArray());
                }
            }
            int start = at;
            while (at < end && buffer[at] != '\n') at++;
            if (content == null) content = new ByteArrayOutputStream(256);
            content.write(buffer, start, at - start);
            if (at == end) continue;
            at++;
            line++;
            byte[] bytes = content.toByteArray();
            content.reset();
            if (!isBlank(bytes)) return new Raw(file, line, bytes);
        }
    }

    private static boolean isBlank(byte[] bytes) {
        for (byte b : bytes) if (b != ' ' && b != '\t' && b != '\r') return false;
        return true;
    }

    /** The text as strict UTF-8. */
    static String decode(byte[] bytes) throws BadDocument {
        try {
            return StandardCharsets.UTF_8
                    .newDecoder()
                    .decode(ByteBuffer.wrap(bytes))
                    .toString();
        } catch (CharacterCodingException e) {
            throw new BadDocument("not valid UTF-8");
        }
    }

    static JsonNode json(byte[] bytes) throws BadDocument {
        try {
            JsonNode node = JSON.readTree(decode(bytes));
            if (!node.isObject()) throw new BadDocument("no JSON object");
            return node;
        } catch (JsonProcessingException e) {
            throw new BadDocument("malformed JSON");
        }
    }

    /** A string by its dotted path. */
    static String string(JsonNode document, String path) throws BadDocument {
        JsonNode node = document;
        for (String key : path.split("\\.")) node = node.path(key);
        if (!node.isTextual() || node.textValue().isEmpty()) throw new BadDocument("no text in field " + path);
        return node.textValue();
    }

    @Override
    public void close() {
        try {
            in.close();
        } catch (IOException e) {
            throw damaged(e);
        }
    }

    private static final class Counted extends FilterInputStream {
        private final LongConsumer read;

        Counted(InputStream in, LongConsumer read) {
            super(in);
            this.read = read;
        }

        @Override
        public int read(byte[] bytes, int offset, int length) throws IOException {
            int n = super.read(bytes, offset, length);
            if (n > 0) read.accept(n);
            return n;
        }
    }
}
