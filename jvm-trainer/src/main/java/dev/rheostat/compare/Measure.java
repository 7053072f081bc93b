package dev.rheostat.compare;

/** The four means that runs are judged by, all in nats a token and better when lower. */
enum Measure {
    FINAL_TARGET("final loss, weighted by the target", true, true),
    FINAL_EVEN("final loss, mean over domains", true, false),
    CURVE_TARGET("loss over the whole run, weighted by the target", false, true),
    CURVE_EVEN("loss over the whole run, mean over domains", false, false);

    private final String title;
    private final boolean atEnd;
    private final boolean byTarget;

    Measure(String title, boolean atEnd, boolean byTarget) {
        this.title = title;
        this.atEnd = atEnd;
        this.byTarget = byTarget;
    }

    String title() {
        return title;
    }

    /** Whether domains count by the target, else each the same. */
    boolean byTarget() {
        return byTarget;
    }

    /** Each domain's loss that the measure is a mean of. */
    double[] nats_K(RunResult run) {
        return atEnd ? run.finalNats_K() : run.curveNats_K();
    }
}
