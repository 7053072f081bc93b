package dev.rheostat.data;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RheostatException.Kind;
import dev.rheostat.data.DatasetIndex.DomainIndex;
import dev.rheostat.data.DatasetIndex.ShardIndex;
import dev.rheostat.data.DatasetIndex.Split;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** A dataset that prepare made, its shards memory-mapped. Sizes are checked when it is opened, checksums when asked. */
public final class DatasetFolder implements AutoCloseable {
    /** A domain's figures. */
    public record DomainFigures(
            String name,
            long documents,
            long tokens,
            long bytes,
            long validDocuments,
            long validTokens,
            double share) {}

    private final Path folder;
    private final DatasetIndex index;
    private final Arena arena = Arena.ofShared();
    private final TokenDataset tokens;

    private DatasetFolder(Path folder, DatasetIndex index) {
        this.folder = folder;
        this.index = index;
        try {
            Tokenizer tokenizer = Tokenizers.byName(index.tokenizer());
            long all = index.domains().stream()
                    .mapToLong(d -> d.train().sum(ShardIndex::tokens))
                    .sum();
            List<Domain> domains = new ArrayList<>();
            for (DomainIndex domain : index.domains()) {
                TokenSource train = open(domain.train()), valid = open(domain.valid());
                if (train.tokens() == 0)
                    throw new RheostatException(
                            Kind.BAD_REQUEST,
                            folder + ": domain " + domain.name() + " is empty: bring text for it or leave it out");
                domains.add(new Domain(domain.name(), train, valid, train.tokens() / (double) all));
            }
            String name = folder.toAbsolutePath().normalize().getFileName().toString();
            tokens = new TokenDataset(name, index.fingerprint(), tokenizer, domains);
        } catch (RheostatException e) {
            arena.close();
            throw e;
        }
    }

    /**
     * @throws RheostatException BAD_REQUEST if there is no dataset or a domain is empty; DAMAGED naming the file that does not
     *     fit the others
     */
    public static DatasetFolder open(Path folder) {
        return new DatasetFolder(folder, DatasetIndex.read(folder));
    }

    private TokenSource open(Split split) {
        List<IndexedShard> shards = new ArrayList<>();
        for (ShardIndex shard : split.shards()) {
            Path prefix = folder.resolve(shard.prefix());
            IndexedShard opened = IndexedShard.open(prefix, arena);
            if (opened.tokens() != shard.tokens())
                throw new RheostatException(
                        Kind.DAMAGED,
                        prefix + ".bin has " + opened.tokens() + " tokens, " + folder.resolve(DatasetIndex.FILE)
                                + " says " + shard.tokens() + ": prepare the dataset again");
            shards.add(opened);
        }
        return new ShardedTokens(shards);
    }

    public TokenDataset tokens() {
        return tokens;
    }

    public List<DomainFigures> figures() {
        List<DomainFigures> all = new ArrayList<>();
        for (int k = 0; k < index.domains().size(); k++) {
            Split train = index.domains().get(k).train(),
                    valid = index.domains().get(k).valid();
            all.add(new DomainFigures(
                    index.domains().get(k).name(),
                    train.sum(ShardIndex::documents),
                    train.sum(ShardIndex::tokens),
                    train.sum(ShardIndex::bytes),
                    valid.sum(ShardIndex::documents),
                    valid.sum(ShardIndex::tokens),
                    tokens.domains().get(k).share()));
        }
        return all;
    }

    /** The beginning of a domain's training text, as it reads back from its tokens. */
    public String sample(int k, int count) {
        TokenSource train = tokens.domains().get(k).train();
        int n = (int) Math.min(count, train.tokens());
        try (Arena scratch = Arena.ofConfined()) {
            MemorySegment ids = scratch.allocate(4L * n, 4);
            train.copy(0, n, ids, 0);
            return tokens.tokenizer().decode(ids.toArray(JAVA_INT));
        }
    }

    /** Reads every file. @throws RheostatException DAMAGED naming the first whose checksum is not that of its making */
    public void verify() {
        for (DomainIndex domain : index.domains())
            for (Split split : List.of(domain.train(), domain.valid()))
                for (ShardIndex shard : split.shards()) {
                    verify(IndexedShard.file(folder.resolve(shard.prefix()), ".bin"), shard.binSha256());
                    verify(IndexedShard.file(folder.resolve(shard.prefix()), ".idx"), shard.idxSha256());
                }
    }

    private static void verify(Path file, String sha256) {
        try {
            if (!Checksums.sha256(file).equals(sha256))
                throw new RheostatException(
                        Kind.DAMAGED,
                        file + " is damaged: its checksum is not that of " + DatasetIndex.FILE
                                + "; copy it again, or prepare the dataset again");
        } catch (IOException e) {
            throw new RheostatException(Kind.DAMAGED, file + " cannot be read: " + e.getMessage(), e);
        }
    }

    @Override
    public void close() {
        if (arena.scope().isAlive()) arena.close();
    }
}
