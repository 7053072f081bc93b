package dev.rheostat.data;

import com.knuddels.jtokkit.Encodings;
import com.knuddels.jtokkit.api.Encoding;
import com.knuddels.jtokkit.api.EncodingType;
import com.knuddels.jtokkit.api.IntArrayList;
import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RheostatException.Kind;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;

/** The tokenizers that need no file. */
public final class Tokenizers {
    private Tokenizers() {}

    /** @throws RheostatException BAD_REQUEST naming those that exist */
    public static Tokenizer byName(String name) {
        return switch (name) {
            case "gpt2" -> Gpt2.INSTANCE;
            case "bytes" -> Bytes.INSTANCE;
            default -> throw new RheostatException(Kind.BAD_REQUEST, "tokenizer " + name + " is none of gpt2, bytes");
        };
    }

    /** Ids are the bytes of UTF-8; 256 ends a text. */
    private static final class Bytes implements Tokenizer {
        static final Bytes INSTANCE = new Bytes();

        @Override
        public String name() {
            return "bytes";
        }

        @Override
        public int vocabulary() {
            return 257;
        }

        @Override
        public int endOfText() {
            return 256;
        }

        @Override
        public int[] encode(String text) {
            byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
            int[] ids = new int[bytes.length];
            for (int i = 0; i < ids.length; i++) ids[i] = bytes[i] & 0xff;
            return ids;
        }

        @Override
        public String decode(int[] ids) {
            ByteArrayOutputStream bytes = new ByteArrayOutputStream();
            for (int id : ids) if (id < 256) bytes.write(id);
            return bytes.toString(StandardCharsets.UTF_8);
        }

        @Override
        public int byteLength(int id) {
            return id < 256 ? 1 : 0;
        }
    }

    /** GPT-2's byte-pair encoding, as jtokkit bundles it under its first name, r50k_base; Radford et al. 2019. */
    private static final class Gpt2 implements Tokenizer {
        static final Gpt2 INSTANCE = new Gpt2();
        private static final int END_OF_TEXT = 50256;

        private final Encoding encoding = Encodings.newLazyEncodingRegistry().getEncoding(EncodingType.R50K_BASE);
        private final byte[] byteLengths = new byte[END_OF_TEXT + 1];

        Gpt2() {
            IntArrayList one = new IntArrayList(1);
            for (int id = 0; id < END_OF_TEXT; id++) {
                one.clear();
                one.add(id);
                byteLengths[id] = (byte) encoding.decodeBytes(one).length; // read back unsigned: the longest has 128
            }
        }

        @Override
        public String name() {
            return "gpt2";
        }

        @Override
        public int vocabulary() {
            return END_OF_TEXT + 1;
        }

        @Override
        public int endOfText() {
            return END_OF_TEXT;
        }

        @Override
        public int[] encode(String text) {
            return encoding.encodeOrdinary(text).toArray();
        }

        @Override
        public String decode(int[] ids) {
            IntArrayList list = new IntArrayList(ids.length);
            for (int id : ids) if (id != END_OF_TEXT) list.add(id);
            return encoding.decode(list);
        }

        @Override
        public int byteLength(int id) {
            return byteLengths[id] & 0xff;
        }
    }
}
