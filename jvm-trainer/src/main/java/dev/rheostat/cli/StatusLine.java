package dev.rheostat.cli;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.function.LongSupplier;

/** How a long command goes: on a terminal one line that redraws, elsewhere a line every few seconds. */
final class StatusLine {
    private static final long REDRAW_NANOS = 200_000_000L;
    private static final long PRINT_NANOS = 5_000_000_000L;
    private static final int USUAL_COLUMNS = 80;

    private final PrintWriter out;
    private final boolean redraws;
    private final int columns;
    private final LongSupplier clock;
    private long shownNanos;
    private int drawn;

    /**
     * @param redraws whether out can go back to the start of its line; columns is then its width
     * @param clock nanoseconds, as System.nanoTime
     */
    StatusLine(PrintWriter out, boolean redraws, int columns, LongSupplier clock) {
        this.out = out;
        this.redraws = redraws;
        this.columns = columns;
        this.clock = clock;
        shownNanos = clock.getAsLong();
    }

    /** For standard output, whatever it is. */
    static StatusLine on(PrintWriter out) {
        boolean terminal = System.console() != null && System.console().isTerminal();
        return new StatusLine(out, terminal, terminal ? terminalColumns() : USUAL_COLUMNS, System::nanoTime);
    }

    /** The JDK does not know the width of its terminal; stty does. */
    private static int terminalColumns() {
        try {
            Process stty = new ProcessBuilder("stty", "size")
                    .redirectInput(ProcessBuilder.Redirect.INHERIT)
                    .redirectError(ProcessBuilder.Redirect.DISCARD)
                    .start();
            String[] rowsAndColumns = new String(stty.getInputStream().readAllBytes(), StandardCharsets.US_ASCII)
                    .strip()
                    .split(" ");
            int columns = rowsAndColumns.length == 2 ? Integer.parseInt(rowsAndColumns[1]) : 0;
            return columns > 0 ? columns : USUAL_COLUMNS;
        } catch (IOException | NumberFormatException e) {
            return USUAL_COLUMNS; // no stty here: a guess that fits every terminal
        }
    }

    /** Whether it is time to show something again. */
    boolean isDue() {
        return clock.getAsLong() - shownNanos >= (redraws ? REDRAW_NANOS : PRINT_NANOS);
    }

    void show(String line) {
        shownNanos = clock.getAsLong();
        if (!redraws) {
            out.println(line);
            return;
        }
        String cut = line.length() < columns ? line : line.substring(0, Math.max(0, columns - 2)) + "…";
        out.print("\r" + cut + " ".repeat(Math.max(0, drawn - cut.length())));
        out.flush();
        drawn = cut.length();
    }

    /** Makes room for a line of somebody else's; the next one shown draws again. */
    void clear() {
        if (drawn == 0) return;
        out.print("\r" + " ".repeat(drawn) + "\r");
        out.flush();
        drawn = 0;
    }

    /** A time left: 12 s, 3:20 min, 5:07 h. */
    static String left(double seconds) {
        long whole = Math.round(seconds);
        if (whole < 60) return whole + " s";
        if (whole < 3600) return String.format(Locale.ROOT, "%d:%02d min", whole / 60, whole % 60);
        return String.format(Locale.ROOT, "%d:%02d h", whole / 3600, whole / 60 % 60);
    }
}
