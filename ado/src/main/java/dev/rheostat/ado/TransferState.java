package dev.rheostat.ado;

import java.util.List;

/**
 * All that ado-transfer remembers; arrays are never written.
 *
 * @param ado of the robust ADO whose laws it uses
 * @param drawn_K sequences so far
 * @param points one a validation, oldest first
 * @param help_KK A; a row is empty while it is not sharp, and then counts as the identity's
 * @param average_K average of earlier targets, as ADO's
 * @param target_K of this step; empty until a law steers
 * @param mixture_K the next, before it is shaken
 */
record TransferState(
        AdoState ado,
        double[] drawn_K,
        List<TransferHelp.Point> points,
        double[][] help_KK,
        double[] average_K,
        double[] target_K,
        double[] mixture_K)
        implements PolicyState {
    /** Rows of A that steer. */
    long sharp() {
        long sharp = 0;
        for (double[] row_K : help_KK) if (row_K.length > 0) sharp++;
        return sharp;
    }
}
