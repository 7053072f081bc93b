package dev.rheostat.data;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;

import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RheostatException.Kind;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;

/**
 * One shard in Megatron's indexed format, memory-mapped, of this project's making or of another's.
 *
 * <pre>
 * PREFIX.bin  ids end to end, little-endian
 * PREFIX.idx  "MMIDIDX\0\0", version u64 = 1, id type u8, sequences n u64, documents d u64,
 *             n lengths i32, n byte offsets i64, d indices of sequences i64
 * </pre>
 */
final class IndexedShard {
    private static final byte[] MAGIC = "MMIDIDX\0\0".getBytes(StandardCharsets.US_ASCII);
    private static final int HEADER_BYTES = 9 + 8 + 1 + 8 + 8;
    private static final long VERSION = 1;

    /** From here on Megatron writes four bytes an id. */
    private static final int LARGE_VOCABULARY = 65_500;

    private static final int U8 = 1, I8 = 2, I16 = 3, I32 = 4, I64 = 5, U16 = 8;

    private final int type;
    private final long sequences;
    private final MemorySegment idx;
    private final MemorySegment bin;

    private IndexedShard(int type, long sequences, MemorySegment idx, MemorySegment bin) {
        this.type = type;
        this.sequences = sequences;
        this.idx = idx;
        this.bin = bin;
    }

    static Path file(Path prefix, String suffix) {
        return prefix.resolveSibling(prefix.getFileName() + suffix);
    }

    static int idBytes(int vocabulary) {
        return vocabulary < LARGE_VOCABULARY ? 2 : 4;
    }

    /** The index's first bytes; one sequence is one document, and the list of documents has an end. */
    static ByteBuffer header(int idBytes, long documents) {
        return ByteBuffer.allocate(HEADER_BYTES)
                .order(ByteOrder.LITTLE_ENDIAN)
                .put(MAGIC)
                .putLong(VERSION)
                .put((byte) (idBytes == 2 ? U16 : I32))
                .putLong(documents)
                .putLong(documents + 1)
                .flip();
    }

    /** @throws RheostatException DAMAGED naming the file that is missing, is no index, or disagrees with the other */
    static IndexedShard open(Path prefix, Arena arena) {
        Path idxFile = file(prefix, ".idx"), binFile = file(prefix, ".bin");
        MemorySegment idx = map(idxFile, arena), bin = map(binFile, arena);
        if (idx.byteSize() < HEADER_BYTES
                || idx.asSlice(0, 9).mismatch(MemorySegment.ofArray(MAGIC)) >= 0
                || idx.get(JAVA_LONG_UNALIGNED, 9) != VERSION)
            throw damaged(idxFile + " is no index of a token shard (Megatron's format, version 1)");
        int type = idx.get(JAVA_BYTE, 17);
        if (type < U8 || type > I64 && type != U16) throw damaged(idxFile + ": ids of type " + type + " are not known");
        long n = idx.get(JAVA_LONG_UNALIGNED, 18), documents = idx.get(JAVA_LONG_UNALIGNED, 26);
        long expected = HEADER_BYTES + 12 * n + 8 * documents;
        if (n < 0 || documents < 0 || idx.byteSize() != expected)
            throw damaged(idxFile + " has " + idx.byteSize() + " bytes, " + n + " sequences and " + documents
                    + " documents take " + expected);
        IndexedShard shard = new IndexedShard(type, n, idx, bin);
        long tokenBytes = n == 0 ? 0 : shard.offset(n - 1) + (long) shard.length(n - 1) * width(type);
        if (bin.byteSize() != tokenBytes)
            throw damaged(binFile + " has " + bin.byteSize() + " bytes, its index says " + tokenBytes
                    + ": copy it again, or prepare the dataset again");
        return shard;
    }

    private static MemorySegment map(Path file, Arena arena) {
        try (FileChannel channel = FileChannel.open(file)) {
            return channel.map(FileChannel.MapMode.READ_ONLY, 0, Files.size(file), arena);
        } catch (NoSuchFileException e) {
            throw new RheostatException(
                    Kind.DAMAGED, file + " is missing: copy it again, or prepare the dataset again", e);
        } catch (IOException e) {
            throw new RheostatException(Kind.DAMAGED, file + " cannot be read: " + e.getMessage(), e);
        }
    }

    private static RheostatException damaged(String sentence) {
        return new RheostatException(Kind.DAMAGED, sentence);
    }

    private static int width(int type) {
        return switch (type) {
            case U8, I8 -> 1;
            case I16, U16 -> 2;
            case I32 -> 4;
            default -> 8;
        };
    }

    long tokens() {
        return bin.byteSize() / width(type);
    }

    long documents() {
        return sequences;
    }

    /** Tokens of document d. */
    int length(long d) {
        return idx.get(JAVA_INT_UNALIGNED, HEADER_BYTES + 4 * d);
    }

    private long offset(long d) {
        return idx.get(JAVA_LONG_UNALIGNED, HEADER_BYTES + 4 * sequences + 8 * d);
    }

    /** Copies tokens to i32; an id that is no i32 becomes -1, which no vocabulary has. */
    void copy(long start, int count, MemorySegment destination, long offset) {
        for (int i = 0; i < count; i++) destination.set(JAVA_INT_UNALIGNED, offset + 4L * i, token(start + i));
    }

    int token(long index) {
        return switch (type) {
            case U8 -> bin.get(JAVA_BYTE, index) & 0xff;
            case I8 -> bin.get(JAVA_BYTE, index);
            case U16 -> bin.get(JAVA_SHORT_UNALIGNED, 2 * index) & 0xffff;
            case I16 -> bin.get(JAVA_SHORT_UNALIGNED, 2 * index);
            case I32 -> bin.get(JAVA_INT_UNALIGNED, 4 * index);
            default -> {
                long id = bin.get(JAVA_LONG_UNALIGNED, 8 * index);
                yield id == (int) id ? (int) id : -1;
            }
        };
    }
}
