package dev.rheostat.op.cuda;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;

/**
 * Which of the algorithms that cuBLASLt offers for a product it takes, by the product's shape as text; the first where nothing is said.
 * What is timed is timed when the file is made, so two runs with one file have the same bits.
 *
 * <pre>
 *   # any line of a file that begins so
 *   SHAPE | RANK | ALGORITHM        as {@link CudaBackend#algorithms} tells both
 * </pre>
 *
 * @param otherRank of shapes that are not named, for a benchmark of ranks; 0 in a run
 */
public record ProductChoices(Map<String, Choice> byShape, int otherRank) {
    /** @param rank 0 is what the heuristic prefers @param algorithm what is at that rank, by the library that was asked */
    public record Choice(int rank, String algorithm) {}

    private static final String SEPARATOR = " | ", CURE = "make it anew with bench products, or leave it out";

    /** What the heuristic prefers, for every product. */
    public static final ProductChoices FIRST = new ProductChoices(Map.of(), 0);

    public ProductChoices {
        byShape = Map.copyOf(byShape);
    }

    /** @throws IOException in one sentence: the file cannot be read, or a line of it */
    public static ProductChoices read(Path file) throws IOException {
        Map<String, Choice> choices = new TreeMap<>();
        int number = 0;
        for (String line : Files.readAllLines(file)) {
            number++;
            if (line.isBlank() || line.startsWith("#")) continue;
            String[] parts = line.split(" \\| ", -1);
            if (parts.length != 3 || !parts[1].matches("\\d{1,4}"))
                throw new IOException(file + ":" + number + ": not SHAPE" + SEPARATOR + "RANK" + SEPARATOR
                        + "ALGORITHM, which bench products writes");
            choices.put(parts[0], new Choice(Integer.parseInt(parts[1]), parts[2]));
        }
        return new ProductChoices(choices, 0);
    }

    /** As {@link #read} takes it. @param remark a line for the reader, as which device it is for */
    public void write(Path file, String remark) throws IOException {
        StringBuilder text = new StringBuilder("# ").append(remark).append('\n');
        new TreeMap<>(byShape)
                .forEach((shape, choice) -> text.append(shape)
                        .append(SEPARATOR)
                        .append(choice.rank())
                        .append(SEPARATOR)
                        .append(choice.algorithm())
                        .append('\n'));
        Files.writeString(file, text);
    }

    int rank(String shape) {
        Choice choice = byShape.get(shape);
        return choice == null ? otherRank : choice.rank();
    }

    static String notOffered(String shape, int rank) {
        return "runtime.products was made by another cuBLASLt or for another device: " + shape
                + " has no algorithm of rank " + rank + " here; " + CURE;
    }

    /** @throws IllegalStateException if another library, or another device, has another algorithm at the chosen rank */
    void check(String shape, String algorithm) {
        Choice choice = byShape.get(shape);
        if (choice != null && !choice.algorithm().equals(algorithm))
            throw new IllegalStateException(
                    "runtime.products was made by another cuBLASLt or for another device: " + shape
                            + " is [" + choice.algorithm() + "] there and [" + algorithm
                            + "] here; " + CURE);
    }
}
