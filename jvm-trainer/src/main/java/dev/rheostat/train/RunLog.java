package dev.rheostat.train;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RheostatException.Kind;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Map;

/**
 * Writes metrics.jsonl, validation.jsonl and fits.jsonl, each line whole and at once; docs/metrics.md has their fields. Doubles are in the
 * fewest digits that read back exactly.
 */
final class RunLog implements AutoCloseable {
    private static final ObjectMapper JSON = new ObjectMapper();

    private final RunFolder folder;
    private final List<String> names;
    private final double[] prior_K;
    private final long[] windows_K;
    private final BufferedWriter metrics, validation, fits;

    RunLog(RunFolder folder, List<String> names, double[] prior_K, long[] windows_K) {
        this.folder = folder;
        this.names = names;
        this.prior_K = prior_K;
        this.windows_K = windows_K;
        metrics = append(folder.metrics());
        validation = append(folder.validation());
        fits = append(folder.fits());
    }

    private static BufferedWriter append(Path file) {
        try {
            return Files.newBufferedWriter(file, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
        } catch (IOException e) {
            throw cannotWrite(file, e);
        }
    }

    private static RheostatException cannotWrite(Path file, IOException e) {
        return new RheostatException(Kind.MACHINE, "cannot write " + file + ": " + e.getMessage(), e);
    }

    private interface Body {
        void write(JsonGenerator json) throws IOException;
    }

    private static void line(Path file, BufferedWriter to, Body body) {
        try {
            StringWriter text = new StringWriter();
            try (JsonGenerator json = JSON.getFactory().createGenerator(text)) {
                json.writeStartObject();
                body.write(json);
                json.writeEndObject();
            }
            to.write(text.append('\n').toString());
            to.flush();
        } catch (IOException e) {
            throw cannotWrite(file, e);
        }
    }

    void step(StepReport r) {
        line(folder.metrics(), metrics, json -> {
            json.writeNumberField("step", r.step());
            json.writeNumberField("learningRate", r.learningRate());
            number(json, "gradNorm", r.gradNorm());
            json.writeBooleanField("skipped", r.skipped());
            json.writeNumberField("clamped", r.clamped());
            json.writeNumberField("tokens", r.tokens());
            json.writeObjectFieldStart("seconds");
            json.writeNumberField("data", r.dataSeconds());
            json.writeNumberField("step", r.stepSeconds());
            json.writeNumberField("mixture", r.mixtureSeconds());
            json.writeNumberField("total", r.totalSeconds());
            json.writeEndObject();
            json.writeObjectFieldStart("mixture");
            for (int k = 0; k < names.size(); k++) json.writeNumberField(names.get(k), r.mixture_K()[k]);
            json.writeEndObject();
            if (r.shadow_K().length > 0) {
                json.writeObjectFieldStart("shadow");
                for (int k = 0; k < names.size(); k++) json.writeNumberField(names.get(k), r.shadow_K()[k]);
                json.writeEndObject();
            }
            json.writeObjectFieldStart("domains");
            for (int k = 0; k < names.size(); k++) {
                json.writeObjectFieldStart(names.get(k));
                json.writeNumberField("sequences", r.sequences_K()[k]);
                json.writeNumberField("tokens", r.tokens_K()[k]);
                number(json, "lossNats", r.lossNats_K()[k]);
                if (r.excessNats_K().length > 0) number(json, "excessNats", r.excessNats_K()[k]);
                if (r.lossWeight_K().length > 0) json.writeNumberField("lossWeight", r.lossWeight_K()[k]);
                json.writeNumberField("prior", prior_K[k]);
                json.writeNumberField("windows", windows_K[k]);
                json.writeNumberField("epoch", r.epochs_K()[k]);
                json.writeEndObject();
            }
            json.writeEndObject();
        });
    }

    void validation(Validation v) {
        line(folder.validation(), validation, json -> {
            json.writeNumberField("step", v.step());
            json.writeObjectFieldStart("domains");
            for (int k = 0; k < names.size(); k++) {
                json.writeObjectFieldStart(names.get(k));
                number(json, "lossNats", v.lossNats_K()[k]);
                number(json, "bitsPerByte", v.bitsPerByte(k));
                json.writeNumberField("tokens", v.tokens_K()[k]);
                json.writeNumberField("bytes", v.bytes_K()[k]);
                json.writeEndObject();
            }
            json.writeEndObject();
            number(json, "tokenMeanNats", v.tokenMeanNats());
            number(json, "unweightedMeanNats", v.unweightedMeanNats());
        });
    }

    /** @param diagnostics of a policy: a list of maps, one a domain, under "fits" */
    void fits(long step, Map<String, Object> diagnostics) {
        if (!(diagnostics.get("fits") instanceof List<?> list)) return;
        line(folder.fits(), fits, json -> {
            json.writeNumberField("step", step);
            json.writeArrayFieldStart("fits");
            for (int k = 0; k < list.size(); k++) {
                json.writeStartObject();
                json.writeStringField("domain", names.get(k));
                for (Map.Entry<?, ?> entry : ((Map<?, ?>) list.get(k)).entrySet()) {
                    String key = entry.getKey().toString();
                    if (entry.getValue() instanceof Double value) number(json, key, value);
                    else json.writePOJOField(key, entry.getValue());
                }
                json.writeEndObject();
            }
            json.writeEndArray();
        });
    }

    /** JSON has no NaN: what is no number is null. */
    private static void number(JsonGenerator json, String field, double value) throws IOException {
        if (Double.isFinite(value)) json.writeNumberField(field, value);
        else json.writeNullField(field);
    }

    private static void number(JsonGenerator json, String field, float value) throws IOException {
        if (Float.isFinite(value)) json.writeNumberField(field, value);
        else json.writeNullField(field);
    }

    @Override
    public void close() {
        try (metrics;
                validation;
                fits) {
            // closing is all
        } catch (IOException e) {
            throw cannotWrite(folder.metrics(), e);
        }
    }
}
