package dev.rheostat.data;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RheostatException.Kind;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.List;

/**
 * What {@code dataset.json} says.
 * @param format 1
 * @param tokenizer its name
 */
record DatasetIndex(int format, String tokenizer, List<DomainIndex> domains) {
    static final String FILE = "dataset.json";
    static final int FORMAT = 1;

    private static final ObjectMapper JSON =
            JsonMapper.builder().enable(SerializationFeature.INDENT_OUTPUT).build();

    record DomainIndex(String name, Split train, Split valid) {}

    /** The shards of one split of a domain, in their order. */
    record Split(List<ShardIndex> shards) {
        long sum(java.util.function.ToLongFunction<ShardIndex> of) {
            return shards.stream().mapToLong(of).sum();
        }
    }

    /**
     * @param prefix of .bin and .idx, relative to the dataset's folder
     * @param tokens ends of text included
     * @param bytes of the text in UTF-8
     */
    record ShardIndex(String prefix, long documents, long tokens, long bytes, String binSha256, String idxSha256) {}

    static DatasetIndex read(Path folder) {
        Path file = folder.resolve(FILE);
        if (!Files.isRegularFile(file))
            throw new RheostatException(
                    Kind.BAD_REQUEST,
                    folder + (Files.isDirectory(folder) ? " is no dataset: it has no " + FILE : ": no such dataset")
                            + "; make one with: rheostat prepare TEXT --out " + folder);
        try {
            DatasetIndex index = JSON.readValue(file.toFile(), DatasetIndex.class);
            if (index.format != FORMAT)
                throw new RheostatException(
                        Kind.DAMAGED,
                        file + " is of format " + index.format + ", this version reads " + FORMAT
                                + ": prepare it again");
            return index;
        } catch (IOException e) {
            throw new RheostatException(Kind.DAMAGED, file + " cannot be read: " + e.getMessage(), e);
        }
    }

    void write(Path folder) throws IOException {
        JSON.writeValue(folder.resolve(FILE).toFile(), this);
    }

    /** A function of domains, their order, their tokens and the tokenizer, not of where they lie. */
    String fingerprint() {
        MessageDigest digest = Checksums.sha256();
        add(digest, tokenizer);
        for (DomainIndex domain : domains) {
            add(digest, domain.name);
            for (Split split : List.of(domain.train, domain.valid)) {
                add(digest, Integer.toString(split.shards.size()));
                for (ShardIndex shard : split.shards) add(digest, shard.binSha256);
            }
        }
        return HexFormat.of().formatHex(digest.digest());
    }

    private static void add(MessageDigest digest, String text) {
        digest.update((text + "\n").getBytes(StandardCharsets.UTF_8));
    }
}
