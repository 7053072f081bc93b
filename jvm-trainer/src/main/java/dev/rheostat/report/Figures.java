package dev.rheostat.report;

import java.util.Locale;

/** Numbers as people read them, the same on a page and on a terminal. */
public final class Figures {
    private Figures() {}

    /** Three decimals; a dash for what is not known. */
    public static String nats(double value) {
        return Double.isFinite(value) ? String.format(Locale.ROOT, "%.3f", value) : "–";
    }

    public static String percent(double share) {
        if (!Double.isFinite(share)) return "–";
        return String.format(Locale.ROOT, share < 0.0995 ? "%.2f %%" : "%.1f %%", 100 * share);
    }

    /** A change with its sign, a true minus. */
    public static String signedPercent(double change) {
        if (!Double.isFinite(change)) return "–";
        String size = String.format(Locale.ROOT, "%.1f %%", Math.abs(100 * change));
        return size.equals("0.0 %") ? "±0.0 %" : (change < 0 ? "−" : "+") + size;
    }

    /** 950, 12.3k, 4.56M, 7.89G. */
    public static String count(double value) {
        if (value < 1e3) return String.format(Locale.ROOT, "%.0f", value);
        String[] units = {"k", "M", "G", "T"};
        int unit = -1;
        while (value >= 999.5 && unit + 1 < units.length) {
            value /= 1000;
            unit++;
        }
        return String.format(
                Locale.ROOT, value < 9.995 ? "%.2f%s" : value < 99.95 ? "%.1f%s" : "%.0f%s", value, units[unit]);
    }

    /** 8.4 s, 3 min 20 s, 5 h 07 min. */
    public static String duration(double seconds) {
        if (seconds < 60) return String.format(Locale.ROOT, "%.1f s", seconds);
        long whole = Math.round(seconds);
        if (whole < 3600) return whole / 60 + " min " + String.format(Locale.ROOT, "%02d s", whole % 60);
        return whole / 3600 + " h " + String.format(Locale.ROOT, "%02d min", whole / 60 % 60);
    }
}
