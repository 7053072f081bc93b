package dev.rheostat.data;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RheostatException.Kind;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class DatasetFolderTest {
    @TempDir
    private Path folder;

    private static Path shard(Path prefix, int vocabulary, int[]... documents) throws IOException {
        try (IndexedShardWriter writer = new IndexedShardWriter(prefix, vocabulary)) {
            for (int[] document : documents) writer.append(document);
            writer.finish();
        }
        return prefix;
    }

    private Path dataset() throws IOException {
        Path text = folder.resolve("text");
        for (String domain : List.of("a", "b"))
            for (String split : List.of("train", "valid")) {
                Files.createDirectories(text.resolve(domain));
                Files.writeString(
                        text.resolve(domain).resolve(split + ".jsonl"),
                        ("{\"text\": \"" + domain + " " + split + "\"}\n").repeat(20));
            }
        Path out = folder.resolve("tokens");
        Prepare.run(
                new Prepare.Request(List.of(text), out, Tokenizers.byName("bytes"), Optional.empty(), "text", 0, 0, 1),
                new Prepare.Listener() {});
        return out;
    }

    private static RheostatException refused(Path dataset) {
        return assertThrows(
                RheostatException.class, () -> DatasetFolder.open(dataset).close());
    }

    /** The bytes that Megatron-LM's own writer makes of these two documents; worked out by hand from its format. */
    @Test
    void theFilesAreMegatrons() throws IOException {
        shard(folder.resolve("x"), 50257, new int[] {1, 50256}, new int[] {7, 8, 50256});
        assertArrayEquals(
                new byte[] {1, 0, 0x50, (byte) 0xc4, 7, 0, 8, 0, 0x50, (byte) 0xc4},
                Files.readAllBytes(folder.resolve("x.bin")));
        ByteBuffer idx = ByteBuffer.allocate(34 + 8 + 16 + 24)
                .order(ByteOrder.LITTLE_ENDIAN)
                .put("MMIDIDX\0\0".getBytes(StandardCharsets.US_ASCII))
                .putLong(1)
                .put((byte) 8)
                .putLong(2)
                .putLong(3)
                .putInt(2)
                .putInt(3)
                .putLong(0)
                .putLong(4)
                .putLong(0)
                .putLong(1)
                .putLong(2);
        assertArrayEquals(idx.array(), Files.readAllBytes(folder.resolve("x.idx")));
    }

    @ParameterizedTest
    @ValueSource(ints = {257, 65_499, 65_500, 200_000})
    void shardsEndToEndReadAsOneSequence(int vocabulary) throws IOException {
        Random random = new Random(vocabulary);
        List<Integer> all = new ArrayList<>();
        List<IndexedShard> shards = new ArrayList<>();
        try (Arena arena = Arena.ofConfined()) {
            for (int s = 0; s < 4; s++) {
                int[][] documents = new int[s == 2 ? 0 : 1 + random.nextInt(5)][];
                for (int d = 0; d < documents.length; d++) {
                    documents[d] =
                            random.ints(1 + random.nextInt(40), 0, vocabulary).toArray();
                    for (int id : documents[d]) all.add(id);
                }
                shards.add(IndexedShard.open(shard(folder.resolve("s" + s), vocabulary, documents), arena));
            }
            ShardedTokens tokens = new ShardedTokens(shards);
            assertEquals(all.size(), tokens.tokens());
            MemorySegment ids = arena.allocate(4L * all.size() + 8, 4);
            for (int i = 0; i < 200; i++) {
                int start = random.nextInt(all.size()), count = random.nextInt(all.size() - start + 1);
                tokens.copy(start, count, ids, 8);
                for (int t = 0; t < count; t++) assertEquals(all.get(start + t), ids.getAtIndex(JAVA_INT, 2 + t));
            }
            assertThrows(IndexOutOfBoundsException.class, () -> tokens.copy(1, all.size(), ids, 0));
        }
    }

    @Test
    void aShardThatWasCutOrGrewIsDamagedAndNamed() throws IOException {
        Path out = dataset(), bin = out.resolve("a/train-00000.bin");
        byte[] whole = Files.readAllBytes(bin);
        for (int length : new int[] {whole.length - 1, whole.length + 2, 0}) {
            Files.write(bin, java.util.Arrays.copyOf(whole, length));
            RheostatException refusal = refused(out);
            assertEquals(Kind.DAMAGED, refusal.kind());
            assertTrue(refusal.getMessage().startsWith(bin + " has " + length + " bytes"), refusal.getMessage());
        }
        Files.delete(bin);
        assertTrue(refused(out).getMessage().startsWith(bin + " is missing"));
        Files.write(bin, whole);
        Path idx = out.resolve("a/train-00000.idx");
        Files.write(idx, java.util.Arrays.copyOf(Files.readAllBytes(idx), 50));
        assertTrue(refused(out).getMessage().startsWith(idx + " has 50 bytes"));
        Files.writeString(idx, "something else");
        assertTrue(refused(out).getMessage().startsWith(idx + " is no index"));
    }

    @Test
    void aFlippedBitIsFoundByVerify() throws IOException {
        Path out = dataset(), bin = out.resolve("b/valid-00003.bin");
        byte[] bytes = Files.readAllBytes(bin);
        bytes[5] ^= 1;
        Files.write(bin, bytes);
        try (DatasetFolder dataset = DatasetFolder.open(out)) {
            RheostatException damaged = assertThrows(RheostatException.class, dataset::verify);
            assertEquals(Kind.DAMAGED, damaged.kind());
            assertTrue(damaged.getMessage().startsWith(bin.toString()), damaged.getMessage());
        }
    }

    @Test
    void noDatasetABrokenOneAndAnotherFormatAreTold() throws IOException {
        RheostatException none = refused(folder.resolve("none"));
        assertEquals(Kind.BAD_REQUEST, none.kind());
        assertTrue(none.getMessage().contains("rheostat prepare"), none.getMessage());
        Path out = dataset(), json = out.resolve("dataset.json");
        String whole = Files.readString(json);
        Files.writeString(json, whole.replace("\"format\" : 1", "\"format\" : 2"));
        assertEquals(Kind.DAMAGED, refused(out).kind());
        Files.writeString(json, whole.substring(0, whole.length() / 2));
        assertEquals(Kind.DAMAGED, refused(out).kind());
    }

    @Test
    void theFingerprintIsOfTheTokensAndNotOfThePlace() throws IOException {
        Path out = dataset();
        String before;
        try (DatasetFolder dataset = DatasetFolder.open(out)) {
            before = dataset.tokens().fingerprint();
        }
        Path moved = Files.move(out, folder.resolve("moved"));
        try (DatasetFolder dataset = DatasetFolder.open(moved)) {
            assertEquals(before, dataset.tokens().fingerprint());
        }
        Files.writeString(folder.resolve("text/a/train.jsonl"), "{\"text\": \"other\"}\n");
        try (DatasetFolder dataset = DatasetFolder.open(dataset())) {
            assertEquals(2, dataset.tokens().domains().size());
        }
        Files.writeString(folder.resolve("text/a/more.jsonl"), "{\"text\": \"other\"}\n");
        Prepare.run(
                new Prepare.Request(
                        List.of(folder.resolve("text")),
                        folder.resolve("tokens"),
                        Tokenizers.byName("bytes"),
                        Optional.empty(),
                        "text",
                        0,
                        0,
                        1),
                new Prepare.Listener() {});
        try (DatasetFolder dataset = DatasetFolder.open(folder.resolve("tokens"))) {
            assertNotEquals(before, dataset.tokens().fingerprint());
        }
    }

    @Test
    void foreignShardsAreUsedWhereTheyLieAndCountedInBytes() throws IOException {
        Tokenizer gpt2 = Tokenizers.byName("gpt2");
        int[] text = java.util.Arrays.copyOf(gpt2.encode("größer than 漢字"), gpt2.encode("größer than 漢字").length + 1);
        text[text.length - 1] = gpt2.endOfText();
        Path prefix = shard(folder.resolve("far/away"), gpt2.vocabulary(), text, text);
        Path out = folder.resolve("adopted");
        ForeignShards.adopt(Map.of("law", prefix), Map.of(), gpt2, out);
        try (DatasetFolder dataset = DatasetFolder.open(out)) {
            dataset.verify();
            assertEquals(
                    2L * "größer than 漢字".getBytes(StandardCharsets.UTF_8).length,
                    dataset.figures().getFirst().bytes());
            assertEquals(2, dataset.figures().getFirst().documents());
        }
        RheostatException ids = assertThrows(
                RheostatException.class,
                () -> ForeignShards.adopt(
                        Map.of("law", prefix), Map.of(), Tokenizers.byName("bytes"), folder.resolve("other")));
        assertEquals(Kind.DAMAGED, ids.kind());
        assertTrue(ids.getMessage().contains("token id"), ids.getMessage());
        RheostatException nobody = assertThrows(
                RheostatException.class,
                () -> ForeignShards.adopt(
                        Map.of("law", prefix), Map.of("lore", prefix), gpt2, folder.resolve("third")));
        assertEquals(Kind.BAD_REQUEST, nobody.kind());
    }
}
