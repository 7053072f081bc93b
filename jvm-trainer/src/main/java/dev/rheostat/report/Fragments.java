package dev.rheostat.report;

import static dev.rheostat.report.Html.text;

import java.util.List;

/** Pieces of HTML that pages share; everything that a user named is escaped here. */
public final class Fragments {
    public static final String FOOTER =
            "<footer>Made by Rheostat. Charts by Apache ECharts (Apache License 2.0).</footer>\n";

    private Fragments() {}

    public static String heading(String title, String lead) {
        return "<h2>" + text(title) + "</h2>\n<p class=\"lead\">" + text(lead) + "</p>\n";
    }

    /** A figure with its unit and what it means, as a tile. */
    public static String tile(String figure, String unit, String meaning) {
        return "<div class=\"tile\"><b>" + text(figure) + " <small>" + text(unit) + "</small></b><span>" + text(meaning)
                + "</span></div>";
    }

    /** Buttons that show and hide domains in every chart of the page. */
    public static String domainLegend(List<String> domains) {
        StringBuilder html = new StringBuilder("<ul class=\"legend\">");
        for (int k = 0; k < domains.size(); k++)
            html.append("<li><button type=\"button\" aria-pressed=\"true\" data-domain=\"")
                    .append(k)
                    .append("\">")
                    .append(swatch(k))
                    .append(text(domains.get(k)))
                    .append("</button></li>");
        return html.append("</ul>\n").toString();
    }

    /** The place of a chart of run r of the page's data. @param kind a function of report.js. @param name empty if there is one run */
    public static String chart(int r, String kind, String name, String caption) {
        String title = name.isEmpty()
                ? "<b>" + text(caption) + "</b>"
                : runSwatch(r) + "<b>" + text(name) + "</b> <span>" + text(caption) + "</span>";
        return "<figure class=\"card\"><figcaption>" + title + "</figcaption><div class=\"chart\" data-chart=\"" + kind
                + "\" data-run=\"" + r + "\"></div></figure>\n";
    }

    /** The color of domain k. */
    public static String swatch(int k) {
        return "<i class=\"swatch\" data-swatch=\"" + k + "\"></i>";
    }

    /** The color of run r. */
    public static String runSwatch(int r) {
        return "<i class=\"swatch\" data-run-swatch=\"" + r + "\"></i> ";
    }
}
