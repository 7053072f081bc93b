package dev.rheostat.cli;

import dev.rheostat.config.RunFile;
import dev.rheostat.data.DatasetFolder;
import dev.rheostat.data.corpus.EmbeddedCorpus;
import java.nio.file.Path;
import java.util.function.Consumer;

/** Opens what {@code data.dataset} names. */
final class Datasets {
    private Datasets() {}

    /** @param note is told, in a sentence, what takes a while */
    static DatasetFolder open(String dataset, Consumer<String> note) {
        return DatasetFolder.open(dataset.equals(RunFile.EMBEDDED) ? EmbeddedCorpus.dataset(note) : Path.of(dataset));
    }
}
