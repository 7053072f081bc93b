package dev.rheostat.ado;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;

/** Every policy has its page, with every setting of its modes and the default that the code has. */
class PolicyPagesTest {
    private static final Path PAGES = Path.of("").toAbsolutePath().getParent().resolve("docs/policies");
    private static final Pattern ROW = Pattern.compile("(?m)^\\| `([A-Za-z0-9]+)` \\| ([^|]*?) \\|");

    static final List<String> POLICIES = Policies.NAMES;

    @Test
    void theIndexHasEveryPolicy() throws IOException {
        String index = Files.readString(PAGES.resolve("README.md"));
        for (String policy : Policies.NAMES)
            assertTrue(index.contains("\n| [" + policy + "](" + policy + ".md) |"), policy);
    }

    @ParameterizedTest
    @FieldSource("POLICIES")
    void everySettingIsOnThePageWithItsDefault(String policy) throws IOException {
        String page = Files.readString(PAGES.resolve(policy + ".md"));
        List<String> modes = Policies.modes(policy);
        Set<String> known = new TreeSet<>();
        for (String mode : modes.isEmpty() ? List.of("") : modes) {
            assertTrue(page.contains(mode), mode);
            Map<String, Double> values =
                    Policies.settings(policy, mode, 100_000).values();
            Map<String, Double> ofAShorterRun =
                    Policies.settings(policy, mode, 10_000).values();
            if (page.contains("Those of [robust ADO](ado.md)")) {
                values = new LinkedHashMap<>(values);
                values.entrySet()
                        .removeAll(AdoSettings.robust(100_000).values().values().entrySet());
            }
            known.addAll(values.keySet());
            List<String[]> rows = rows(settings(page, mode));
            values.forEach((name, value) -> assertTrue(
                    rows.stream()
                            .anyMatch(row ->
                                    row[0].equals(name) && says(row[1], value, value.equals(ofAShorterRun.get(name)))),
                    policy + " " + mode + ": no row for " + name + " " + value));
        }
        Set<String> written = new TreeSet<>();
        for (String[] row : rows(settings(page, ""))) written.add(row[0]);
        assertEquals(known, written, "settings of " + policy);
    }

    /** The number, or words on the run that it is a part of. */
    private static boolean says(String written, double value, boolean always) {
        return always
                ? written.matches("[-+.0-9eE]+") && Double.parseDouble(written) == value
                : written.contains("run");
    }

    /** The section on the settings of a mode, or all sections on settings where it has none of its own. */
    private static String settings(String page, String mode) {
        StringBuilder text = new StringBuilder();
        String own = "Settings of `" + mode + "`\n";
        for (String section : page.split("(?m)^## "))
            if (page.contains(own) ? section.startsWith(own) : section.startsWith("Settings")) text.append(section);
        return text.toString();
    }

    private static List<String[]> rows(String text) {
        List<String[]> rows = new ArrayList<>();
        Matcher row = ROW.matcher(text);
        while (row.find()) rows.add(new String[] {row.group(1), row.group(2)});
        return rows;
    }
}
