package dev.rheostat.data;

/** Text to token ids and back. Instances may be used by many threads. */
public interface Tokenizer {
    /** As in {@code dataset.json} and {@code --tokenizer}: "gpt2", "bytes". */
    String name();

    /** Number of ids, V. */
    int vocabulary();

    /** The id that ends each document; it is no text and counts 0 bytes. */
    int endOfText();

    int[] encode(String text);

    /** Ids that together are no valid UTF-8 decode to replacement characters; end of text decodes to nothing. */
    String decode(int[] ids);

    /** UTF-8 bytes that an id stands for; exact for byte-level tokenizers, so bits per byte are exact too. */
    int byteLength(int id);
}
