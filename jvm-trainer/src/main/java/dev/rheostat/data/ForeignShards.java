package dev.rheostat.data;

import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RheostatException.Kind;
import dev.rheostat.data.DatasetIndex.DomainIndex;
import dev.rheostat.data.DatasetIndex.ShardIndex;
import dev.rheostat.data.DatasetIndex.Split;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Token shards that another program wrote, used where they lie: a dataset.json is made that names them. */
public final class ForeignShards {
    private ForeignShards() {}

    /**
     * Reads every token once: bytes come from the tokenizer's byte lengths, and an id that is none of it is refused.
     * @param train PREFIX of .bin and .idx by domain
     * @param valid the same of validation splits; a domain may have none
     * @throws RheostatException BAD_REQUEST for a validation shard of no domain; DAMAGED naming the shard and the id; MACHINE if
     *     the dataset cannot be written
     */
    public static void adopt(Map<String, Path> train, Map<String, Path> valid, Tokenizer tokenizer, Path out) {
        for (String domain : valid.keySet())
            if (!train.containsKey(domain))
                throw new RheostatException(
                        Kind.BAD_REQUEST, "--valid-shards: " + domain + " is no domain of --shards " + train.keySet());
        if (Files.exists(out))
            throw new RheostatException(Kind.BAD_REQUEST, "--out: " + out + " is there already: give another name");
        List<DomainIndex> domains = new ArrayList<>();
        for (Map.Entry<String, Path> domain : train.entrySet()) {
            List<ShardIndex> validation = valid.containsKey(domain.getKey())
                    ? List.of(index(valid.get(domain.getKey()), tokenizer))
                    : List.of();
            domains.add(new DomainIndex(
                    domain.getKey(), new Split(List.of(index(domain.getValue(), tokenizer))), new Split(validation)));
        }
        try {
            Files.createDirectories(out);
            new DatasetIndex(DatasetIndex.FORMAT, tokenizer.name(), domains).write(out);
        } catch (IOException e) {
            throw new RheostatException(Kind.MACHINE, "cannot write " + out + ": " + e.getMessage(), e);
        }
    }

    private static ShardIndex index(Path prefix, Tokenizer tokenizer) {
        Path absolute = prefix.toAbsolutePath();
        try (Arena arena = Arena.ofConfined()) {
            IndexedShard shard = IndexedShard.open(absolute, arena);
            long bytes = 0, tokens = shard.tokens();
            for (long i = 0; i < tokens; i++) {
                int id = shard.token(i);
                if (id < 0 || id >= tokenizer.vocabulary())
                    throw new RheostatException(
                            Kind.DAMAGED,
                            prefix + ".bin has token id " + id + " at token " + i + ", the vocabulary of "
                                    + tokenizer.name() + " ends at " + (tokenizer.vocabulary() - 1)
                                    + ": name the tokenizer it was made with");
                bytes += tokenizer.byteLength(id);
            }
            return new ShardIndex(
                    absolute.toString(),
                    shard.documents(),
                    tokens,
                    bytes,
                    Checksums.sha256(IndexedShard.file(absolute, ".bin")),
                    Checksums.sha256(IndexedShard.file(absolute, ".idx")));
        } catch (IOException e) {
            throw new RheostatException(Kind.DAMAGED, prefix + " cannot be read: " + e.getMessage(), e);
        }
    }
}
