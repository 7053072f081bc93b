package dev.rheostat.data;

import com.fasterxml.jackson.databind.JsonNode;
import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RheostatException.Kind;
import dev.rheostat.data.DatasetIndex.ShardIndex;
import dev.rheostat.data.DocumentReader.BadDocument;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Future;
import java.util.function.LongConsumer;
import java.util.zip.CRC32C;

/**
 * Writes one unit of sources as shards, one for each domain and split that occur in it. The caller's thread reads and writes,
 * the workers tokenise batches; as many batches are under way as keep the workers busy, so memory does not grow with the corpus.
 */
final class UnitWriter {
    private static final int BATCH_BYTES = 1 << 18, BATCHES_PER_THREAD = 4;

    /** Documents passed over that are told one by one. */
    private static final int MOST_TOLD = 5;

    record WrittenShard(String domain, boolean validation, ShardIndex index) {}

    /** @param key what the unit was made of; the same unit has the same. @param domain empty where lines name their own */
    record UnitResult(String key, String domain, List<WrittenShard> shards, long documents, long bad) {}

    private record Target(String domain, boolean validation) implements Comparable<Target> {
        @Override
        public int compareTo(Target other) {
            int byName = domain.compareTo(other.domain);
            return byName != 0 ? byName : Boolean.compare(validation, other.validation);
        }
    }

    /** @param why null for a good document */
    private record Tokenised(String place, String why, Target target, int[] ids, long bytes) {}

    private static final class Open implements AutoCloseable {
        private final String prefix;
        private final IndexedShardWriter writer;
        private long bytes;

        Open(String prefix, IndexedShardWriter writer) {
            this.prefix = prefix;
            this.writer = writer;
        }

        ShardIndex finish() throws IOException {
            String[] sha256 = writer.finish();
            return new ShardIndex(prefix, writer.documents(), writer.tokens(), bytes, sha256[0], sha256[1]);
        }

        @Override
        public void close() throws IOException {
            writer.close();
        }
    }

    private final Prepare.Request request;
    private final Prepare.Listener listener;
    private final Path folder;
    private final int number;
    private final ExecutorService workers;
    private final Map<Target, Open> open = new TreeMap<>();
    private long documents;
    private long bad;
    private String firstBad = "";

    UnitWriter(Prepare.Request request, Prepare.Listener listener, Path folder, int number, ExecutorService workers) {
        this.request = request;
        this.listener = listener;
        this.folder = folder;
        this.number = number;
        this.workers = workers;
    }

    /** @param read is told of the unit's bytes read so far */
    UnitResult write(Sources.Unit unit, String key, LongConsumer read) throws IOException {
        try {
            ArrayDeque<Future<List<Tokenised>>> underWay = new ArrayDeque<>();
            long[] readBytes = {0};
            for (Path file : unit.files())
                try (DocumentReader reader = new DocumentReader(file, bytes -> readBytes[0] += bytes)) {
                    for (List<DocumentReader.Raw> batch = batch(reader); !batch.isEmpty(); batch = batch(reader)) {
                        List<DocumentReader.Raw> raws = batch;
                        underWay.add(workers.submit(() -> tokenise(unit, raws)));
                        if (underWay.size() > BATCHES_PER_THREAD * request.threads()) append(underWay.remove());
                        read.accept(readBytes[0]);
                    }
                }
            while (!underWay.isEmpty()) append(underWay.remove());
            refuseTooManyBad(unit);
            List<WrittenShard> shards = new ArrayList<>();
            for (Map.Entry<Target, Open> entry : open.entrySet())
                shards.add(new WrittenShard(
                        entry.getKey().domain(),
                        entry.getKey().validation(),
                        entry.getValue().finish()));
            return new UnitResult(key, unit.domain().orElse(""), shards, documents, bad);
        } finally {
            for (Open shard : open.values()) shard.close();
        }
    }

    private static List<DocumentReader.Raw> batch(DocumentReader reader) {
        List<DocumentReader.Raw> batch = new ArrayList<>();
        long bytes = 0;
        while (bytes < BATCH_BYTES) {
            DocumentReader.Raw raw = reader.next();
            if (raw == null) break;
            batch.add(raw);
            bytes += raw.bytes().length;
        }
        return batch;
    }

    private List<Tokenised> tokenise(Sources.Unit unit, List<DocumentReader.Raw> batch) {
        List<Tokenised> done = new ArrayList<>(batch.size());
        for (DocumentReader.Raw raw : batch) {
            try {
                done.add(tokenise(unit, raw));
            } catch (BadDocument e) {
                done.add(new Tokenised(raw.place(), e.getMessage(), null, null, 0));
            }
        }
        return done;
    }

    private Tokenised tokenise(Sources.Unit unit, DocumentReader.Raw raw) throws BadDocument {
        String text, domain;
        if (unit.isText()) {
            text = DocumentReader.decode(raw.bytes());
            domain = unit.domain().orElseThrow();
            if (text.isEmpty()) throw new BadDocument("empty file");
        } else {
            JsonNode json = DocumentReader.json(raw.bytes());
            text = DocumentReader.string(json, request.textField());
            domain = unit.domain().isPresent()
                    ? unit.domain().get()
                    : DocumentReader.string(json, request.domainField().orElseThrow());
        }
        byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
        boolean validation = unit.validation() || unit.hashed() && unit(utf8) < request.validationShare();
        int[] ids = request.tokenizer().encode(text);
        ids = Arrays.copyOf(ids, ids.length + 1);
        ids[ids.length - 1] = request.tokenizer().endOfText();
        return new Tokenised(raw.place(), null, new Target(domain, validation), ids, utf8.length);
    }

    /** A document's place in [0, 1): equal texts have equal places, so copies of one never lie in both splits. */
    private static double unit(byte[] utf8) {
        CRC32C crc = new CRC32C();
        crc.update(utf8);
        return Keys.unit(crc.getValue() << 32 | utf8.length);
    }

    private void append(Future<List<Tokenised>> batch) throws IOException {
        for (Tokenised one : await(batch)) {
            documents++;
            if (one.why != null) {
                if (bad++ == 0) firstBad = one.place + " (" + one.why + ")";
                if (bad <= MOST_TOLD) listener.bad(one.place, one.why);
                continue;
            }
            Open shard = open.get(one.target);
            if (shard == null) {
                shard = create(one.target);
                open.put(one.target, shard);
            }
            shard.writer.append(one.ids);
            shard.bytes += one.bytes;
        }
    }

    private static List<Tokenised> await(Future<List<Tokenised>> batch) {
        try {
            return batch.get();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new RheostatException(Kind.INTERRUPTED, "interrupted; start the same command again to go on", e);
        } catch (ExecutionException e) {
            if (e.getCause() instanceof RuntimeException cause) throw cause;
            if (e.getCause() instanceof Error cause) throw cause;
            throw new AssertionError(e);
        }
    }

    private Open create(Target target) throws IOException {
        String prefix = String.format(
                Locale.ROOT, "%s/%s-%05d", fileName(target.domain), target.validation ? "valid" : "train", number);
        return new Open(
                prefix,
                new IndexedShardWriter(
                        folder.resolve(prefix), request.tokenizer().vocabulary()));
    }

    /** A domain's name with what no file system has a trouble with; two names never become one. */
    private static String fileName(String domain) {
        StringBuilder name = new StringBuilder();
        for (byte b : domain.getBytes(StandardCharsets.UTF_8)) {
            boolean plain =
                    b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || b == '_' || b == '-';
            if (plain) name.append((char) b);
            else name.append(String.format(Locale.ROOT, "%%%02x", b));
        }
        return name.toString();
    }

    private void refuseTooManyBad(Sources.Unit unit) {
        if (bad <= request.maxBadShare() * documents) return;
        throw new RheostatException(
                Kind.DAMAGED,
                String.format(
                        Locale.ROOT,
                        "%s: %d of %d documents cannot be read, the first is %s: repair the file, or allow more with"
                                + " --max-bad-share (now %s)",
                        unit.files().getFirst(),
                        bad,
                        documents,
                        firstBad,
                        request.maxBadShare()));
    }
}
