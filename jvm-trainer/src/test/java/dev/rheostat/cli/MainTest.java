package dev.rheostat.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rheostat.report.SyntheticRun;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class MainTest {
    @Test
    void helpAndVersionGoToStandardOutput() {
        Ran help = Ran.rheostat("--help").mustExitWith(0);
        for (String command : List.of("train", "resume", "report", "generate", "eval", "replay"))
            assertTrue(help.out().contains("  " + command), command + " in\n" + help.out());
        assertTrue(Ran.rheostat("-V").mustExitWith(0).out().startsWith("rheostat "));
        assertTrue(Ran.rheostat("train", "--help").mustExitWith(0).out().contains("--set"));
        assertEquals(help.out(), Ran.rheostat().mustExitWith(0).out(), "no command is a question");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "trian           | rheostat: rheostat has no command trian; did you mean train? (rheostat --help says more)",
                "train --sett a=b | rheostat: rheostat train has no option --sett; did you mean --set? (rheostat train --help says more)",
                "report          | rheostat: Missing required parameter: 'RUNDIR' (rheostat report --help says more)",
                "train --set a   | rheostat: ",
                "report --out    | rheostat: ",
            })
    void aWrongCommandLineIsOneLineAndExitCodeTwo(String line, String start) {
        Ran ran = Ran.rheostat(line.split(" +")).mustExitWith(2).mustSayOneLine();
        assertTrue(ran.err().startsWith(start), ran.err());
    }

    @Test
    void aReportOfARunIsWrittenIntoItsFolder(@TempDir Path folder) throws IOException {
        Path run = SyntheticRun.write(folder.resolve("run"), List.of("a", "b"), 20, "", 1);
        Ran ran = Ran.rheostat("report", run.toString()).mustExitWith(0);
        assertEquals("report: " + run.resolve("report.html") + "\n", ran.out());
        assertTrue(Files.size(run.resolve("report.html")) > 10_000);
        Path both = folder.resolve("sub/both.html");
        Ran.rheostat("report", run.toString(), run.toString(), "--out", both.toString())
                .mustExitWith(0);
        assertTrue(Files.size(both) > 10_000);
    }

    @Test
    void exitCodesAreThoseOfTheKindOfFailure(@TempDir Path folder) throws IOException {
        Path none = folder.resolve("none");
        Ran.rheostat("report", none.toString()).mustExitWith(2).mustSayOneLine().mustSay(none.toString());
        Path run = SyntheticRun.write(folder.resolve("run"), List.of("a", "b"), 20, "", 1);
        Files.writeString(run.resolve("metrics.jsonl"), "{}\n");
        Ran.rheostat("report", run.toString())
                .mustExitWith(4)
                .mustSayOneLine()
                .mustSay("metrics.jsonl:1: field domains");
        Ran debug = Ran.rheostat("report", "--debug", run.toString()).mustExitWith(4);
        assertTrue(debug.err().contains("\tat dev.rheostat.report"), "a stack trace with --debug");
    }
}
