package dev.rheostat.data;

import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.DigestOutputStream;
import java.security.MessageDigest;
import java.util.HexFormat;

/**
 * Writes one shard in Megatron's indexed format: PREFIX.bin holds the ids, end to end, little-endian; PREFIX.idx says where
 * each document lies. Documents are written as they come and nothing is kept of them in memory. Format: Megatron-LM,
 * megatron/core/datasets/indexed_dataset.py, version 1.
 */
final class IndexedShardWriter implements AutoCloseable {
    private static final int BUFFER_BYTES = 1 << 16;

    private final Path prefix;
    private final int idBytes;
    private final Path lengthsFile;
    private final MessageDigest binDigest = Checksums.sha256();
    private final OutputStream bin;
    private final DataOutputStream lengths;
    private long documents;
    private long tokens;
    private boolean finished;

    /** @param vocabulary chooses two or four bytes an id, by Megatron's own rule */
    IndexedShardWriter(Path prefix, int vocabulary) throws IOException {
        this.prefix = prefix;
        idBytes = IndexedShard.idBytes(vocabulary);
        Files.createDirectories(prefix.toAbsolutePath().getParent());
        lengthsFile = IndexedShard.file(prefix, ".lengths");
        bin = new BufferedOutputStream(
                new DigestOutputStream(Files.newOutputStream(IndexedShard.file(prefix, ".bin")), binDigest),
                BUFFER_BYTES);
        lengths = new DataOutputStream(new BufferedOutputStream(Files.newOutputStream(lengthsFile), BUFFER_BYTES));
    }

    /** One document, its end-of-text id included. */
    void append(int[] ids) throws IOException {
        ByteBuffer buffer = ByteBuffer.allocate(ids.length * idBytes).order(ByteOrder.LITTLE_ENDIAN);
        for (int id : ids) {
            if (idBytes == 2) buffer.putShort((short) id);
            else buffer.putInt(id);
        }
        bin.write(buffer.array());
        lengths.writeInt(ids.length);
        documents++;
        tokens += ids.length;
    }

    long documents() {
        return documents;
    }

    long tokens() {
        return tokens;
    }

    /** Writes the index. @return SHA-256 of .bin and of .idx, in hexadecimal */
    String[] finish() throws IOException {
        bin.close();
        lengths.close();
        finished = true;
        MessageDigest idxDigest = Checksums.sha256();
        try (OutputStream idx = new BufferedOutputStream(
                new DigestOutputStream(Files.newOutputStream(IndexedShard.file(prefix, ".idx")), idxDigest),
                BUFFER_BYTES)) {
            idx.write(IndexedShard.header(idBytes, documents).array());
            ByteBuffer number = ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN);
            try (DataInputStream in = lengthsBack()) {
                for (long d = 0; d < documents; d++)
                    idx.write(number.putInt(0, in.readInt()).array(), 0, 4);
            }
            long offset = 0;
            try (DataInputStream in = lengthsBack()) {
                for (long d = 0; d < documents; d++) {
                    idx.write(number.putLong(0, offset).array());
                    offset += (long) in.readInt() * idBytes;
                }
            }
            for (long d = 0; d <= documents; d++) idx.write(number.putLong(0, d).array());
        }
        Files.delete(lengthsFile);
        HexFormat hex = HexFormat.of();
        return new String[] {hex.formatHex(binDigest.digest()), hex.formatHex(idxDigest.digest())};
    }

    private DataInputStream lengthsBack() throws IOException {
        return new DataInputStream(new BufferedInputStream(Files.newInputStream(lengthsFile), BUFFER_BYTES));
    }

    /** Lets go of the files; a shard that was not finished has no index. */
    @Override
    public void close() throws IOException {
        if (finished) return;
        bin.close();
        lengths.close();
        Files.deleteIfExists(lengthsFile);
    }
}
