package dev.rheostat.config;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What the documents say of run files and exit codes is what the code does. */
class DocumentationTest {
    private static final Path ROOT = Path.of("").toAbsolutePath().getParent();

    private static String document(String name) throws IOException {
        return Files.readString(ROOT.resolve("docs").resolve(name));
    }

    @Test
    void theRunFilePageHasARowForEveryKeyAndNoOther() throws IOException {
        Set<String> documented = new TreeSet<>();
        Matcher row = Pattern.compile("(?m)^\\| `([A-Za-z0-9.]+)` \\|").matcher(document("run-file.md"));
        while (row.find()) assertTrue(documented.add(row.group(1)), "two rows for " + row.group(1));
        assertEquals(new TreeSet<>(RunFile.keys()), documented);
    }

    @Test
    void everyExitCodeIsListed() throws IOException {
        String page = document("exit-codes.md");
        for (RheostatException.Kind kind : RheostatException.Kind.values())
            assertTrue(page.contains("\n| " + kind.exitCode() + " |"), kind.toString());
        assertTrue(page.contains("\n| 0 |") && page.contains("\n| 1 |"));
    }

    static List<Path> examples() throws IOException {
        try (Stream<Path> files = Files.list(ROOT.resolve("examples"))) {
            return files.filter(file -> file.toString().endsWith(".yaml"))
                    .filter(file -> !file.getFileName().toString().startsWith("compare-")) // a plan: PlanTest reads it
                    .sorted()
                    .toList();
        }
    }

    @ParameterizedTest
    @MethodSource("examples")
    void everyExampleIsAccepted(Path example) {
        RunConfig config = RunConfigs.resolve(RunFile.load(example, Map.of()), 50_257);
        assertTrue(config.schedule().steps() >= 300, "an example is worth its report");
    }
}
