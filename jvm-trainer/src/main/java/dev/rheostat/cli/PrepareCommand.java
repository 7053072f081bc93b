package dev.rheostat.cli;

import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RheostatException.Kind;
import dev.rheostat.data.DatasetFolder;
import dev.rheostat.data.ForeignShards;
import dev.rheostat.data.Prepare;
import dev.rheostat.data.Tokenizers;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** prepare SOURCE... --out DATASET: text to token shards. */
@Command(
        name = "prepare",
        mixinStandardHelpOptions = true,
        description = {
            "Turn text into a dataset that train reads.",
            "",
            "A SOURCE is a folder that holds one folder a domain, of .jsonl, .jsonl.gz, .jsonl.zst or .txt files. Files"
                    + " named valid.* beside train.* are the validation split. With --domain-field a SOURCE is a file or"
                    + " folder of JSON lines that name their domain. Started again after a kill, it goes on where it was.",
            "",
            "With --shards, token shards in Megatron's format are used where they lie."
        })
final class PrepareCommand implements Callable<Integer> {
    @Parameters(arity = "0..*", paramLabel = "SOURCE", description = "Text.")
    private List<Path> sources = List.of();

    @Option(names = "--out", required = true, paramLabel = "DATASET", description = "The folder to make.")
    private Path out;

    @Option(
            names = "--tokenizer",
            defaultValue = "gpt2",
            paramLabel = "NAME",
            description = "gpt2 or bytes; default: ${DEFAULT-VALUE}.")
    private String tokenizer;

    @Option(
            names = "--domain-field",
            paramLabel = "FIELD",
            description = "Dotted path of the field that names a line's domain, such as meta.pile_set_name.")
    private String domainField;

    @Option(
            names = "--text-field",
            defaultValue = "text",
            paramLabel = "FIELD",
            description = "Dotted path of the text; default: ${DEFAULT-VALUE}.")
    private String textField;

    @Option(
            names = "--validation-share",
            defaultValue = "0.01",
            paramLabel = "X",
            description =
                    "Share of documents for validation where no file is named valid.*; default: ${DEFAULT-VALUE}.")
    private double validationShare;

    @Option(
            names = "--max-bad-share",
            defaultValue = "0.001",
            paramLabel = "X",
            description = "Share of a file's lines that may be unreadable; default: ${DEFAULT-VALUE}.")
    private double maxBadShare;

    @Option(names = "--threads", paramLabel = "N", description = "Default: all cores.")
    private Integer threads;

    @Option(
            names = "--shards",
            paramLabel = "DOMAIN=PREFIX",
            description = "Training shard PREFIX.bin, PREFIX.idx of a domain; instead of SOURCE.")
    private Map<String, Path> shards = new LinkedHashMap<>();

    @Option(names = "--valid-shards", paramLabel = "DOMAIN=PREFIX", description = "Its validation shard.")
    private Map<String, Path> validShards = new LinkedHashMap<>();

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() {
        if (sources.isEmpty() == shards.isEmpty())
            throw new RheostatException(Kind.BAD_REQUEST, "give either SOURCE or --shards, and not both");
        PrintWriter console = spec.commandLine().getOut();
        if (sources.isEmpty()) ForeignShards.adopt(shards, validShards, Tokenizers.byName(tokenizer), out);
        else prepare(console);
        try (DatasetFolder dataset = DatasetFolder.open(out)) {
            console.print(InspectCommand.table(dataset));
            List<String> unvalidated = dataset.figures().stream()
                    .filter(domain -> domain.validDocuments() == 0)
                    .map(DatasetFolder.DomainFigures::name)
                    .toList();
            if (!unvalidated.isEmpty())
                console.println("without validation text: " + String.join(", ", unvalidated)
                        + " (bring valid.* files, or raise --validation-share)");
        }
        console.println("dataset: " + out);
        return 0;
    }

    private void prepare(PrintWriter console) {
        Bar bar = new Bar(console);
        long bad;
        try {
            bad = Prepare.run(
                    new Prepare.Request(
                            sources,
                            out,
                            Tokenizers.byName(tokenizer),
                            Optional.ofNullable(domainField),
                            textField,
                            validationShare,
                            maxBadShare,
                            threads == null ? Runtime.getRuntime().availableProcessors() : threads),
                    bar);
        } finally {
            bar.line.clear();
        }
        if (bad > 0) console.println("passed over " + bad + " documents that cannot be read");
    }

    /** Bytes done, rate, time left. */
    private static final class Bar implements Prepare.Listener {
        private static final int WIDTH = 30;

        private final PrintWriter out;
        private final StatusLine line;
        private final long startNanos = System.nanoTime();
        private boolean ended;

        Bar(PrintWriter out) {
            this.out = out;
            line = StatusLine.on(out);
        }

        @Override
        public void progress(long doneBytes, long totalBytes) {
            if (ended || !line.isDue() && doneBytes < totalBytes) return;
            ended = doneBytes == totalBytes;
            double share = totalBytes == 0 ? 1 : doneBytes / (double) totalBytes;
            double seconds = (System.nanoTime() - startNanos) * 1e-9;
            int filled = (int) Math.round(share * WIDTH);
            line.show(String.format(
                    Locale.ROOT,
                    "[%s%s] %3.0f %%  %.1f of %.1f MB  %.1f MB/s  %s left",
                    "#".repeat(filled),
                    " ".repeat(WIDTH - filled),
                    100 * share,
                    doneBytes / 1e6,
                    totalBytes / 1e6,
                    doneBytes / 1e6 / seconds,
                    StatusLine.left(doneBytes == 0 ? 0 : seconds / doneBytes * (totalBytes - doneBytes))));
        }

        @Override
        public void bad(String place, String why) {
            line.clear();
            out.println("passed over " + place + ": " + why);
        }
    }
}
