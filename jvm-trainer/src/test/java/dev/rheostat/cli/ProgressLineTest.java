package dev.rheostat.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

class ProgressLineTest {
    private static final List<String> DOMAINS = List.of("a", "b", "c", "d", "e");

    private final StringWriter text = new StringWriter();
    private final AtomicLong nanos = new AtomicLong();

    private ProgressLine line(boolean terminal, int columns, long steps, double peakFlops) {
        StatusLine status = new StatusLine(new PrintWriter(text), terminal, columns, nanos::get);
        return new ProgressLine(status, DOMAINS, steps, 1e6, peakFlops);
    }

    private void step(ProgressLine line, long step, double nats, double... mixture_K) {
        nanos.addAndGet(1_000_000_000L);
        line.step(step, nats, 1000, 0.5, mixture_K);
    }

    @Test
    void elsewhereThanOnATerminalALineComesEveryFiveSecondsAndAtTheEnd() {
        ProgressLine line = line(false, 80, 12, 0);
        for (int t = 0; t < 12; t++) step(line, t, 3, 0.2, 0.2, 0.2, 0.2, 0.2);
        assertEquals(
                List.of(
                        "step 5/12  loss 3.000  2,000 tokens/s  4 s left",
                        "step 10/12  loss 3.000  2,000 tokens/s  1 s left",
                        "step 12/12  loss 3.000  2,000 tokens/s  0 s left"),
                text.toString().lines().toList());
    }

    @Test
    void theThreeDomainsThatGainedAndLostMostAreNamed() {
        ProgressLine line = line(false, 80, 2, 0);
        step(line, 0, 3, 0.2, 0.2, 0.2, 0.2, 0.2);
        step(line, 1, 3, 0.1, 0.3, 0.201, 0.16, 0.239);
        assertTrue(
                text.toString().stripTrailing().endsWith("0 s left  up b+50% e+19%  down a-50% d-20%"),
                text.toString());
    }

    @Test
    void theShareOfThePeakIsAchievedOverStated() {
        ProgressLine line = line(false, 80, 1, 8e9);
        step(line, 0, 3, 1, 0, 0, 0, 0);
        // 2000 tokens/s of 1e6 FLOP each against 8e9.
        assertTrue(text.toString().contains("  25 % of peak  "), text.toString());
    }

    @Test
    void aSkippedStepKeepsTheLastLoss() {
        ProgressLine line = line(false, 80, 2, 0);
        step(line, 0, 3, 1, 0, 0, 0, 0);
        step(line, 1, Double.NaN, 1, 0, 0, 0, 0);
        assertTrue(text.toString().contains("step 2/2  loss 3.000"), text.toString());
    }

    @Test
    void aTerminalsLineIsCutToItsWidthAndOverwritten() {
        ProgressLine line = line(true, 20, 3, 0);
        step(line, 0, 3, 1, 0, 0, 0, 0);
        step(line, 1, 3, 1, 0, 0, 0, 0);
        assertEquals("\rstep 1/3  loss 3.0…\rstep 2/3  loss 3.0…", text.toString());
        line.clear();
        assertTrue(text.toString().endsWith("\r" + " ".repeat(19) + "\r"));
    }
}
