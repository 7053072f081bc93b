package dev.rheostat.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class TestbedCommandTest {
    @Test
    void theTableIsPrintedAndKept(@TempDir Path folder) throws IOException {
        Path bed = folder.resolve("bed");
        String options =
                "testbed policy --policy natural,ado --seeds 2 --seeds-of ado=1 --steps 300 --sequences 32 --out "
                        + bed;
        String[] arguments = (options + " --setting").split(" ");
        String[] all = Arrays.copyOf(arguments, arguments.length + 1);
        all[arguments.length] = "A,B hub";
        Ran ran = Ran.rheostat(all).mustExitWith(0);
        String table = Files.readString(bed.resolve("policy.md"));
        assertTrue(ran.out().startsWith(table), ran.out());
        assertTrue(table.contains("| policy | A | B hub |") && table.contains("| `ado` | "), table);
        assertTrue(table.contains("over 2 seeds; `ado` over 1:"), table);
        assertEquals(4, Files.readAllLines(bed.resolve("policy.jsonl")).size());
    }

    @ParameterizedTest
    @CsvSource({
        "--setting, C, unknown setting 'C'",
        "--policy, addo, did you mean 'ado'",
        "--policy, ado:ownCont=0, did you mean 'ownCount'",
        "--policy, ado:ownCount=2, must be a whole number in",
        "--draw, random, must be error-feedback or multinomial",
        "--steps, 0, steps must be in",
        "--seeds, 40, seeds is 40",
        "--seeds-of, addo=2, seeds of addo",
        "--policy, 'natural,natural', named twice",
        "--noise, Infinity, noise is Infinity",
        "--noise, -1, noise is -1.0"
    })
    void whatCannotBeMeantIsOneSentence(String option, String value, String sentence) {
        Ran.rheostat("testbed", "policy", option, value)
                .mustExitWith(2)
                .mustSay(sentence)
                .mustSayOneLine();
    }

    @ParameterizedTest
    @CsvSource({
        "--learner, ado-tiny, '--learner: ado-tiny is none of counting, ado-nano'",
        "--setting, C, '--setting: C is none of'",
        "--seeds, 0, '--seeds: 0 is not above 0'",
        "--policy, 'natural,addo', did you mean 'ado'",
        "--policy, 'natural,odm:memory', is no KEY=NUMBER",
        "--policy, 'natural,odm:memory=2', 'mixture.settings.memory: 2, must be in'",
        "--policy, 'natural,skill-it', 'skill-it needs mixture.graph'"
    })
    void aBedOfTextThatIsNoneIsOneSentence(String option, String value, String sentence) {
        Ran.rheostat("testbed", "data", option, value)
                .mustExitWith(2)
                .mustSay(sentence)
                .mustSayOneLine();
    }

    /** Before anything is measured: half an hour's figures are not lost for want of a place to put them. */
    @ParameterizedTest
    @ValueSource(strings = {"policy", "data"})
    void aFolderThatCannotBeMadeIsRefusedAtTheDoor(String bed, @TempDir Path folder) throws IOException {
        Path file = Files.writeString(folder.resolve("file"), "in the way");
        Ran ran = Ran.rheostat("testbed", bed, "--policy", "natural", "--out", file.toString())
                .mustExitWith(3)
                .mustSay("--out")
                .mustSayOneLine();
        assertEquals("", ran.out());
    }
}
