package dev.rheostat.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.io.SerializedString;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RheostatException.Kind;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;

/** The mixtures of a replay as a file of one JSON object a line, whole or not there at all. */
final class ReplayFile implements AutoCloseable {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final List<String> FIELDS = List.of("mixture", "against");

    private final Path out, half;
    private final JsonGenerator json;
    private List<String> domains = List.of();

    /** @throws RheostatException MACHINE if it cannot be written */
    ReplayFile(Path out) {
        this.out = out;
        half = out.resolveSibling(out.getFileName() + ".half");
        try {
            Files.createDirectories(out.toAbsolutePath().getParent());
            json = JSON.getFactory()
                    .createGenerator(Files.newBufferedWriter(half))
                    .setRootValueSeparator(new SerializedString("\n"));
        } catch (IOException e) {
            throw cannotWrite(e);
        }
    }

    private RheostatException cannotWrite(IOException e) {
        return new RheostatException(Kind.MACHINE, out + ": cannot be written: " + e.getMessage(), e);
    }

    void domains(List<String> names_K) {
        domains = names_K;
    }

    /** Jackson writes a double in the fewest digits that read back exactly. */
    void row(Replay.Row row) {
        try {
            json.writeStartObject();
            json.writeNumberField("step", row.step());
            for (int p = 0; p < row.mixture_PK().size(); p++) {
                json.writeObjectFieldStart(FIELDS.get(p));
                double[] mixture_K = row.mixture_PK().get(p);
                for (int k = 0; k < mixture_K.length; k++) json.writeNumberField(domains.get(k), mixture_K[k]);
                json.writeEndObject();
            }
            json.writeEndObject();
        } catch (IOException e) {
            throw cannotWrite(e);
        }
    }

    /** The file is whole. */
    void end() {
        try {
            json.writeRaw('\n');
            json.close();
            Files.move(half, out, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        } catch (IOException e) {
            throw cannotWrite(e);
        }
    }

    /** Without {@link #end} nothing is left. */
    @Override
    public void close() {
        try {
            json.close();
            Files.deleteIfExists(half);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
