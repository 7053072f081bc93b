package dev.rheostat.testbed;

import dev.rheostat.data.Prepare;
import dev.rheostat.data.Tokenizers;
import java.io.IOException;
import java.io.Writer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;

/** Writes the text of a setting as JSON lines and has it prepared, as a user would. Deterministic from its seed. */
final class LookupCorpus {
    private final DataSetting setting;
    private final BedShape shape;
    private final long seed;
    private final PairText text;

    LookupCorpus(DataSetting setting, BedShape shape, long seed) {
        this.setting = setting;
        this.shape = shape;
        this.seed = seed;
        text = new PairText(shape, seed);
    }

    /** Documents of training text, each one window. */
    long documents(int k) {
        return Math.max(1, Math.round(setting.poolShare_K()[k] * shape.steps() * shape.sequences()));
    }

    /**
     * @param folder gets text/DOMAIN/train.jsonl, valid.jsonl and dataset
     * @param validDocuments of each domain
     * @return the dataset's folder
     */
    Path prepare(Path folder, int validDocuments) throws IOException {
        Path dataset = folder.resolve("dataset");
        if (Files.exists(dataset)) return dataset;
        for (int k = 0; k < setting.K(); k++) {
            Path domain = Files.createDirectories(
                    folder.resolve("text").resolve(setting.domains().get(k).name()));
            write(domain.resolve("train.jsonl"), k, documents(k), new SplittableRandom(PairText.mix(seed << 8 | k)));
            write(domain.resolve("valid.jsonl"), k, validDocuments, new SplittableRandom(~PairText.mix(seed << 8 | k)));
        }
        Prepare.Request request = new Prepare.Request(
                List.of(folder.resolve("text")),
                dataset,
                Tokenizers.byName("bytes"),
                Optional.empty(),
                "text",
                0.01,
                0,
                1);
        Prepare.run(request, new Prepare.Listener() {});
        return dataset;
    }

    private void write(Path file, int k, long documents, SplittableRandom random) throws IOException {
        LookupDomain domain = setting.domains().get(k);
        double[] upTo = domain.frequencies(shape.keys());
        Arrays.parallelPrefix(upTo, Double::sum);
        StringBuilder line = new StringBuilder();
        try (Writer out = Files.newBufferedWriter(file)) {
            for (long d = 0; d < documents; d++) {
                line.setLength(0);
                line.append("{\"text\":\"");
                for (int pair = 0; pair < shape.pairs(); pair++) {
                    int found = Arrays.binarySearch(upTo, random.nextDouble());
                    int rank = Math.min(shape.keys() - 1, found < 0 ? -found - 1 : found + 1);
                    int key = setting.key(k, rank, shape.keys()), value = text.value((long) key);
                    if (random.nextDouble() < domain.wrong())
                        value = (value + 1 + random.nextInt(LookupDomain.VALUES - 1)) % LookupDomain.VALUES;
                    text.append(line, key, value);
                }
                out.append(line.append("\"}\n"));
            }
        }
    }
}
