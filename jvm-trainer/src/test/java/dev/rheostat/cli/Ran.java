package dev.rheostat.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.PrintWriter;
import java.io.StringWriter;

/** One command line, run in this process, and what it left. */
record Ran(int exitCode, String out, String err) {
    static Ran rheostat(String... arguments) {
        StringWriter out = new StringWriter(), err = new StringWriter();
        int exitCode = Main.execute(new PrintWriter(out, true), new PrintWriter(err, true), arguments);
        return new Ran(exitCode, out.toString(), err.toString());
    }

    Ran mustExitWith(int expected) {
        assertEquals(expected, exitCode, () -> out + err);
        return this;
    }

    Ran mustSay(String part) {
        assertTrue((out + err).contains(part), () -> "no '" + part + "' in\n" + out + err);
        return this;
    }

    /** A failure is one line on standard error, with no stack trace. */
    Ran mustSayOneLine() {
        assertEquals(
                1, err.lines().filter(line -> line.startsWith("rheostat: ")).count(), err);
        assertFalse(err.contains("\tat "), err);
        return this;
    }
}
