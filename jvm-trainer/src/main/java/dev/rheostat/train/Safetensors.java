package dev.rheostat.train;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.rheostat.model.NamedTensor;
import dev.rheostat.op.Backend;
import dev.rheostat.op.DType;
import dev.rheostat.op.Tensor;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.channels.WritableByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;

/**
 * Tensors in one file, in the safetensors format that other tools read too (github.com/huggingface/safetensors, README):
 *
 * <pre>
 * header bytes u64 | header: JSON of name -> {dtype, shape, data_offsets from the end of the header} | data
 * </pre>
 */
final class Safetensors {
    private static final ObjectMapper JSON = new ObjectMapper();

    /** Staging for one piece of a tensor on its way between backend and file. */
    private static final long PIECE_BYTES = 16L << 20;

    private Safetensors() {}

    static <X extends Tensor> void write(Backend<X> backend, List<NamedTensor<X>> tensors, WritableByteChannel to)
            throws IOException {
        ObjectNode header = JSON.createObjectNode();
        long offset = 0;
        for (NamedTensor<X> named : tensors) {
            ObjectNode entry = header.putObject(named.name());
            entry.put("dtype", dtype(named.tensor().type()));
            var shape = entry.putArray("shape");
            for (int axis = 0; axis < named.tensor().rank(); axis++)
                shape.add(named.tensor().dim(axis));
            entry.putArray("data_offsets")
                    .add(offset)
                    .add(offset + named.tensor().bytes());
            offset += named.tensor().bytes();
        }
        byte[] text = JSON.writeValueAsBytes(header);
        int padded = (text.length + 7) / 8 * 8; // the format lets the header end in spaces, so that data is aligned
        ByteBuffer start = ByteBuffer.allocate(8 + padded)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putLong(padded)
                .put(text);
        while (start.hasRemaining()) start.put((byte) ' ');
        writeAll(to, start.flip());
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment staging = arena.allocate(PIECE_BYTES, 64);
            for (NamedTensor<X> named : tensors)
                for (Piece<X> piece : pieces(backend, named.tensor())) {
                    MemorySegment part = staging.asSlice(0, piece.view().bytes());
                    backend.download(part, piece.view());
                    writeAll(to, part.asByteBuffer());
                }
        }
    }

    private record Piece<X extends Tensor>(long offsetBytes, X view) {}

    private static <X extends Tensor> List<Piece<X>> pieces(Backend<X> backend, X tensor) {
        long most = PIECE_BYTES / tensor.type().bytes();
        List<Piece<X>> pieces = new ArrayList<>();
        for (long start = 0; start < tensor.size(); start += most)
            pieces.add(new Piece<>(
                    start * tensor.type().bytes(), backend.view(tensor, start, Math.min(most, tensor.size() - start))));
        return pieces;
    }

    private static void writeAll(WritableByteChannel to, ByteBuffer bytes) throws IOException {
        while (bytes.hasRemaining()) to.write(bytes);
    }

    /**
     * Reads every one of {@code tensors} by its name; others in the file are left alone.
     * @throws IllegalArgumentException naming the first tensor that is missing or has another type or shape, nothing uploaded
     */
    static <X extends Tensor> void read(Backend<X> backend, List<NamedTensor<X>> tensors, Path file)
            throws IOException {
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ);
                Arena arena = Arena.ofConfined()) {
            MemorySegment all = channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena);
            long headerBytes = all.get(java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED, 0);
            byte[] text = all.asSlice(8, headerBytes).toArray(java.lang.foreign.ValueLayout.JAVA_BYTE);
            JsonNode header = JSON.readTree(new String(text, StandardCharsets.UTF_8));
            for (NamedTensor<X> named : tensors) check(header, named);
            MemorySegment staging = arena.allocate(PIECE_BYTES, 64);
            for (NamedTensor<X> named : tensors) {
                long start = 8
                        + headerBytes
                        + header.get(named.name()).get("data_offsets").get(0).longValue();
                for (Piece<X> piece : pieces(backend, named.tensor())) {
                    MemorySegment part = staging.asSlice(0, piece.view().bytes());
                    part.copyFrom(all.asSlice(start + piece.offsetBytes(), part.byteSize()));
                    backend.upload(piece.view(), part);
                }
            }
        }
    }

    private static void check(JsonNode header, NamedTensor<?> named) {
        JsonNode entry = header.path(named.name());
        if (entry.isMissingNode()) throw new IllegalArgumentException("it has no tensor " + named.name());
        List<Long> shape = new ArrayList<>(), expected = new ArrayList<>();
        entry.path("shape").forEach(length -> shape.add(length.longValue()));
        for (int axis = 0; axis < named.tensor().rank(); axis++)
            expected.add(named.tensor().dim(axis));
        String type = entry.path("dtype").asText();
        if (!shape.equals(expected) || !type.equals(dtype(named.tensor().type())))
            throw new IllegalArgumentException("its tensor " + named.name() + " is " + type + shape
                    + ", the model's is " + dtype(named.tensor().type()) + expected);
    }

    private static String dtype(DType type) {
        return type.name();
    }
}
