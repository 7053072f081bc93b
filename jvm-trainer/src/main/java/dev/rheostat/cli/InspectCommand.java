package dev.rheostat.cli;

import dev.rheostat.data.DatasetFolder;
import dev.rheostat.data.DatasetFolder.DomainFigures;
import dev.rheostat.report.Figures;
import dev.rheostat.report.TextSummary;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** inspect DATASET: what is in a dataset. */
@Command(
        name = "inspect",
        mixinStandardHelpOptions = true,
        description =
                "Print a dataset's domains, documents, tokens, shares and checksums, and a sample of each domain.")
final class InspectCommand implements Callable<Integer> {
    private static final int SAMPLE_TOKENS = 300, SAMPLE_CHARACTERS = 100;

    @Parameters(paramLabel = "DATASET", description = "A folder that prepare made, or embedded.")
    private String dataset;

    @Option(names = "--verify", description = "Read every file and compare its checksum.")
    private boolean verify;

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() {
        PrintWriter out = spec.commandLine().getOut();
        try (DatasetFolder folder = Datasets.open(dataset, spec.commandLine().getErr()::println)) {
            if (verify) folder.verify();
            out.println("dataset   " + Path.of(dataset));
            out.println("tokenizer " + folder.tokens().tokenizer().name() + ", "
                    + folder.tokens().tokenizer().vocabulary() + " ids");
            out.println("checksum  " + folder.tokens().fingerprint() + (verify ? ", every file verified" : ""));
            out.println();
            out.print(table(folder));
            out.println();
            List<String> names = folder.tokens().names();
            for (int k = 0; k < names.size(); k++) {
                String sample = folder.sample(k, SAMPLE_TOKENS).strip().replaceAll("\\s+", " ");
                out.println(names.get(k) + ": "
                        + (sample.length() > SAMPLE_CHARACTERS
                                ? sample.substring(0, SAMPLE_CHARACTERS) + "…"
                                : sample));
            }
        }
        return 0;
    }

    static String table(DatasetFolder dataset) {
        List<String[]> rows = new ArrayList<>();
        rows.add(new String[] {"domain", "documents", "tokens", "bytes", "share", "valid. documents", "valid. tokens"});
        long documents = 0, tokens = 0, bytes = 0, validDocuments = 0, validTokens = 0;
        for (DomainFigures domain : dataset.figures()) {
            rows.add(row(
                    domain.name(),
                    domain.documents(),
                    domain.tokens(),
                    domain.bytes(),
                    Figures.percent(domain.share()),
                    domain.validDocuments(),
                    domain.validTokens()));
            documents += domain.documents();
            tokens += domain.tokens();
            bytes += domain.bytes();
            validDocuments += domain.validDocuments();
            validTokens += domain.validTokens();
        }
        rows.add(row("in all", documents, tokens, bytes, "", validDocuments, validTokens));
        return TextSummary.columns(rows);
    }

    private static String[] row(
            String name, long documents, long tokens, long bytes, String share, long validDocuments, long validTokens) {
        return new String[] {
            name, count(documents), count(tokens), count(bytes), share, count(validDocuments), count(validTokens)
        };
    }

    private static String count(long n) {
        return String.format(Locale.ROOT, "%,d", n);
    }
}
